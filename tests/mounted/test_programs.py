# SPDX-License-Identifier: Apache-2.0
"""
Real programs inside the mount. After each: unmount, remount, and a comparison of everything with what
was there before. Those that take minutes are marked long.
"""

import filecmp
import glob
import os
import pwd
import random
import shutil
import sqlite3
import subprocess
import time

import harness
import pytest
import system
import tree
from expect import noise

POSTGRES = "/usr/lib/postgresql/15/bin"


def need(*programs):
    for program in programs:
        if not shutil.which(program):
            pytest.skip(f"{program} is not installed")


def run(*command, **more):
    """Runs a program that must succeed; returns its standard output."""
    more.setdefault("timeout", 3600)
    more.setdefault("env", dict(os.environ, LC_ALL="C.UTF-8", HOME="/nonexistent"))
    done = subprocess.run(
        [os.fspath(c) for c in command],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        errors="backslashreplace",
        **more,
    )
    assert done.returncode == 0, f"{command}: {done.returncode}\n{done.stdout[-4000:]}\n{done.stderr[-4000:]}"
    return done.stdout


@pytest.fixture(scope="module")
def sample(work):
    """A source tree with everything that a backup must keep, on the backing file system."""
    top = work / "sample"
    rng = random.Random(7)
    for i in range(12):
        directory = top / f"dir{i}"
        directory.mkdir(parents=True)
        for k in range(15):
            path = directory / f"file{k}"
            path.write_bytes(rng.randbytes(rng.choice((0, 1, 100, 3906, 4096, 20_000, 150_000))))
            os.chmod(path, rng.choice((0o600, 0o644, 0o755, 0o4755, 0o2750, 0o400)))
            os.chown(path, rng.choice((0, 1000, system.USER)), rng.choice((0, 1000)))
            os.chmod(path, rng.choice((0o600, 0o644, 0o755, 0o4755, 0o2750, 0o400)))
            if k % 3 == 0:
                os.setxattr(path, "user.comment", rng.randbytes(50))
            if k % 4 == 0:
                run("setfacl", "-m", f"u:{system.OTHER_USER}:rw", path)
            os.utime(path, ns=(rng.randrange(10**18), rng.randrange(10**18)))
        os.link(directory / "file0", top / f"hard{i}")
        os.symlink(f"dir{i}/file1", top / f"link{i}")
    os.symlink("t/" * 500, top / "long link")
    (top / ("n" * 255)).write_bytes(b"long name")
    with open(os.fsencode(top) + b"/odd \n\xff\x01 name", "wb") as file:
        file.write(b"odd")
    with open(top / "sparse", "wb") as file:
        file.seek(100 << 20)
        file.write(b"end")
    os.mkfifo(top / "fifo")
    os.mknod(top / "device", 0o600 | 0o020000, os.makedev(1, 3))
    (top / "empty dir").mkdir(mode=0o700)
    run("setfacl", "-d", "-m", f"u:{system.OTHER_USER}:rwx", top / "dir1")
    os.setxattr(top / "dir2", "trusted.overlay", b"x")
    for directory in [*top.glob("dir*"), top / "empty dir", top]:
        os.utime(directory, ns=(10**18, 10**18 + 5))
    return top


def assert_kept(m, *ignore):
    """Unmount, remount, and nothing has changed."""
    before = tree.snapshot(m.point, inodes=True)
    m.remount()
    tree.assert_same(before, tree.snapshot(m.point, inodes=True), set(ignore))


def assert_copied(source, copy, top=True, ignore=()):
    """top: the directory itself is a copy, too. ignore: fields that the program does not keep."""
    snapshots = [tree.snapshot(path) for path in (source, copy)]
    if not top:
        for entries in snapshots:
            del entries[b"."]
    tree.assert_same(*snapshots, ignore)


def test_cp(place, sample):
    run("cp", "-a", sample, f"{place.point}/copy")
    assert_copied(sample, f"{place.point}/copy")
    assert_kept(place)
    # And out again, and within.
    run("cp", "-a", "--sparse=always", f"{place.point}/copy", f"{place.point}/second")
    assert_copied(sample, f"{place.point}/second")


def test_tar(place, sample, tmp):
    options = ["--acls", "--xattrs", "--xattrs-include=*", "--numeric-owner", "-S"]
    archive = f"{place.point}/archive.tar"
    run("tar", *options, "-C", sample, "-cf", archive, ".")
    os.mkdir(f"{place.point}/out")
    run("tar", *options, "-C", f"{place.point}/out", "-xpf", archive)
    assert_copied(sample, f"{place.point}/out")
    assert_kept(place)
    run("tar", *options, "-C", f"{place.point}/out", "-df", archive)


def test_rsync(place, sample, tmp):
    need("rsync")
    options = ["-aHAXS", "--numeric-ids", "--itemize-changes"]
    run("rsync", *options, f"{sample}/", f"{place.point}/copy/")
    assert_copied(sample, f"{place.point}/copy")
    assert run("rsync", *options, f"{sample}/", f"{place.point}/copy/") == ""
    assert_kept(place)
    assert run("rsync", *options, f"{sample}/", f"{place.point}/copy/") == ""
    assert run("rsync", *options, "--checksum", f"{sample}/", f"{place.point}/copy/") == ""
    # Changed files are updated in place as well.
    with open(f"{place.point}/copy/dir0/file3", "ab") as file:
        file.write(b"changed")
    run("rsync", *options, "--inplace", "--no-whole-file", f"{sample}/", f"{place.point}/copy/")
    run("rsync", *options, f"{place.point}/copy/", tmp / "back/")
    assert_copied(sample, tmp / "back")


def test_git(place):
    need("git")
    env = dict(os.environ, HOME=place.point, GIT_CONFIG_NOSYSTEM="1", LC_ALL="C.UTF-8")
    for who in ("AUTHOR", "COMMITTER"):
        env |= {f"GIT_{who}_NAME": "T", f"GIT_{who}_EMAIL": "t@example.org"}
    work = f"{place.point}/work"

    def git(*args, cwd=work):
        return run("git", *args, cwd=cwd, env=env)

    os.mkdir(work)
    git("init", "-q", "-b", "main")
    for i in range(30):
        for k in range(10):
            with open(f"{work}/file{k}", "a") as file:
                file.write(f"line {i} {k}\n" * 50)
        git("add", ".")
        git("commit", "-q", "-m", f"commit {i}")
    git("clone", "-q", work, f"{place.point}/clone", cwd=place.point)
    git("gc", "-q", "--aggressive")
    git("checkout", "-q", "-b", "side", "HEAD~10")
    git("fsck", "--strict")
    assert_kept(place)
    for repository in (work, f"{place.point}/clone"):
        git("fsck", "--strict", cwd=repository)
        assert git("status", "--porcelain", cwd=repository) == ""
    assert len(git("log", "--oneline", cwd=f"{place.point}/clone").splitlines()) == 30


def test_sqlite(place):
    """WAL mode with crash-safe settings, two connections, large transactions, vacuum."""
    path = f"{place.point}/data.db"

    def connect():
        db = sqlite3.connect(path, timeout=60, isolation_level=None)
        assert db.execute("pragma journal_mode=wal").fetchone() == ("wal",)
        db.execute("pragma synchronous=full")
        return db

    writer, reader = connect(), connect()
    writer.execute("create table t (id integer primary key, value blob)")
    for i in range(40):
        writer.execute("begin")
        for k in range(100):
            writer.execute("insert into t (value) values (?)", (noise(300, i * 100 + k),))
        writer.execute("commit")
        assert reader.execute("select count(*) from t").fetchone() == ((i + 1) * 100,)
    writer.execute("delete from t where id % 3 = 0")
    writer.execute("vacuum")
    assert reader.execute("pragma integrity_check").fetchone() == ("ok",)
    rows = reader.execute("select id, value from t").fetchall()
    writer.close()
    reader.close()
    assert_kept(place)
    db = connect()
    assert db.execute("pragma integrity_check").fetchone() == ("ok",)
    assert db.execute("select id, value from t").fetchall() == rows
    db.close()


def test_sqlite_after_the_daemon_was_killed(repo, tmp):
    """Every committed transaction is there."""
    m = harness.Mount(repo, tmp / "mnt").start()
    db = sqlite3.connect(f"{m.point}/data.db", isolation_level=None)
    db.execute("pragma journal_mode=wal")
    db.execute("pragma synchronous=full")
    db.execute("create table t (value blob)")
    for i in range(50):
        db.execute("insert into t values (?)", (noise(2000, i),))
    m.kill()
    try:
        db.close()
    except sqlite3.Error:
        pass
    with harness.Mount(repo, tmp / "mnt") as again:
        again.allow("^(warning|info): ")
        db = sqlite3.connect(f"{again.point}/data.db")
        assert db.execute("pragma integrity_check").fetchone() == ("ok",)
        assert db.execute("select value from t").fetchall() == [(noise(2000, i),) for i in range(50)]
        db.close()


def backup_environment(tmp):
    """Backup tools keep caches and settings in the home directory: outside the mount, of this test."""
    home = tmp / "home"
    home.mkdir()
    return dict(
        os.environ,
        HOME=str(home),
        XDG_CACHE_HOME=str(home / "cache"),
        LC_ALL="C.UTF-8",
        BORG_PASSPHRASE="x",
        BORG_UNKNOWN_UNENCRYPTED_REPO_ACCESS_IS_OK="yes",
        BORG_RELOCATED_REPO_ACCESS_IS_OK="yes",
        RESTIC_PASSWORD="x",
    )


def test_borg(place, sample, tmp):
    need("borg")
    env = backup_environment(tmp)
    repository = f"{place.point}/borg"

    def borg(*args, cwd=sample):
        return run("borg", *args, cwd=cwd, env=env)

    borg("init", "-e", "repokey", repository)
    borg("create", f"{repository}::one", ".")
    borg("create", f"{repository}::two", ".")
    borg("check", "--verify-data", repository)
    assert_kept(place)
    borg("check", "--verify-data", repository)
    (tmp / "out").mkdir()
    borg("extract", "--numeric-ids", "--sparse", f"{repository}::one", cwd=tmp / "out")
    assert_copied(sample, tmp / "out", top=False)
    borg("delete", f"{repository}::one")
    borg("compact", repository)
    borg("check", repository)
    os.mkdir(f"{place.point}/out")
    borg("extract", "--numeric-ids", f"{repository}::two", cwd=f"{place.point}/out")
    assert_copied(sample, f"{place.point}/out", top=False)


def test_restic(place, sample, tmp):
    need("restic")
    env = backup_environment(tmp)

    def restic(*args):
        return run("restic", "-q", "-r", f"{place.point}/restic", *args, env=env)

    restic("init")
    restic("backup", sample)
    restic("backup", sample)
    restic("check", "--read-data")
    assert_kept(place)
    restic("check", "--read-data")
    restic("restore", "latest", "--target", f"{place.point}/out")
    assert_copied(sample, f"{place.point}/out{sample}")
    restic("forget", "--keep-last", "1", "--prune")
    restic("check", "--read-data")


def test_rclone(place, sample, tmp):
    need("rclone")
    env = backup_environment(tmp)
    files = [f for f in sample.rglob("file*") if f.is_file() and not f.is_symlink()]

    def rclone(*args):
        return run("rclone", "-q", *args, env=env)

    rclone("copy", "--max-size", "1M", sample, f"{place.point}/copy")
    rclone("check", "--max-size", "1M", sample, f"{place.point}/copy")
    rclone("sync", "--max-size", "1M", sample, f"{place.point}/copy")
    assert_kept(place)
    rclone("check", "--download", "--max-size", "1M", sample, f"{place.point}/copy")
    for file in files:
        copy = os.path.join(place.point, "copy", file.relative_to(sample))
        assert filecmp.cmp(file, copy, shallow=False)
        assert os.stat(copy).st_mtime_ns == file.stat().st_mtime_ns
    rclone("purge", f"{place.point}/copy")
    assert os.listdir(place.point) == []


def test_rdiff_backup(place, sample, tmp):
    need("rdiff-backup")
    if subprocess.run(["/usr/bin/python3", "-c", "import xattr, posix1e"], capture_output=True).returncode:
        pytest.skip("rdiff-backup's modules for attributes and ACLs are not installed")
    source, out = tmp / "source", tmp / "out"
    run("cp", "-a", sample, source)
    (source / "sparse").unlink()  # rdiff-backup writes its zeros out
    target = f"{place.point}/backup"
    run("rdiff-backup", "backup", source, target)
    with open(source / "dir0" / "file5", "ab") as file:
        file.write(b"changed" * 1000)
    (source / "dir1" / "file7").unlink()
    time.sleep(1.1)  # two backups in one second are refused
    run("rdiff-backup", "backup", source, target)
    run("rdiff-backup", "verify", target)
    assert_kept(place)
    run("rdiff-backup", "verify", target)
    run("rdiff-backup", "restore", target, out)
    # It knows whole seconds only.
    assert_copied(source, out, ignore={"mtime"})


@pytest.mark.parametrize("engine", ["psync", "mmap", "libaio"])
def test_fio(place, engine):
    need("fio")
    jobs = {
        "sequential": ["--rw=write", "--bs=128k"],
        "random": ["--rw=randwrite", "--bs=4k"],
        "odd": ["--rw=randrw", "--bsrange=512-70000", "--bs_unaligned"],
    }
    if engine == "mmap":
        jobs["odd"] = ["--rw=randrw", "--bsrange=4k-64k"]
    for name, options in jobs.items():
        job = [
            "fio", f"--name={name}", f"--directory={place.point}", f"--ioengine={engine}", "--size=24m", "--numjobs=2",
            "--verify=sha1", "--verify_fatal=1", "--verify_state_save=0", "--fsync=64", "--iodepth=8", *options,
        ]  # fmt: skip
        run(*job, "--do_verify=1")
    assert_kept(place)
    place.forget()
    run(*job, "--verify_only")


class Server:
    """A PostgreSQL cluster in a directory, run as the package's own user."""

    def __init__(self, data, port, sockets):
        self.data, self.port, self.sockets = data, port, sockets
        account = pwd.getpwnam("postgres")
        self.who = {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []}
        self.env = dict(os.environ, PGHOST=str(sockets), PGPORT=str(port), LC_ALL="C.UTF-8", HOME="/nonexistent")

    def run(self, program, *args):
        return run(f"{POSTGRES}/{program}", *args, env=self.env, cwd="/", **self.who)

    def init(self):
        self.run("initdb", "-A", "trust", "-k", "-D", self.data)

    def start(self):
        options = f"-k {self.sockets} -p {self.port} -c listen_addresses= -c wal_level=replica"
        self.run("pg_ctl", "-w", "-t", "300", "-D", self.data, "-l", f"{self.sockets}/log", "-o", options, "start")

    def stop(self, mode="fast"):
        self.run("pg_ctl", "-w", "-t", "300", "-D", self.data, "-m", mode, "stop")

    def sql(self, text):
        return self.run("psql", "-X", "-A", "-t", "-q", "-d", "postgres", "-c", text).strip()


@pytest.mark.parametrize("seconds", [3, pytest.param(120, marks=pytest.mark.long)])
def test_postgresql(place, tmp, seconds):
    if not os.path.exists(f"{POSTGRES}/initdb"):
        pytest.skip("postgresql-15 is not installed")
    sockets = tmp / "sockets"
    sockets.mkdir()
    server = Server(f"{place.point}/pg", 54329, sockets)
    copy = Server(f"{place.point}/backup", 54328, sockets)
    for path in (server.data, sockets):
        os.makedirs(path, exist_ok=True)
        os.chown(path, server.who["user"], server.who["group"])
        os.chmod(path, 0o700)
    os.mkdir(copy.data)
    os.chown(copy.data, server.who["user"], server.who["group"])
    os.chmod(copy.data, 0o700)

    server.init()
    server.start()
    try:
        server.run("pgbench", "-q", "-i", "-s", "2" if seconds < 10 else "20", "postgres")
        server.run("pgbench", "-c", "4", "-j", "2", "-T", str(seconds), "postgres")
        server.run("pg_basebackup", "-D", copy.data, "-X", "stream", "-c", "fast")
        # A crash of the server: what was committed is replayed from the log.
        total = server.sql("select count(*), sum(abalance) from pgbench_accounts")
        server.stop("immediate")
        server.start()
        assert server.sql("select count(*), sum(abalance) from pgbench_accounts") == total
        server.sql("vacuum full")
        server.sql("checkpoint")
    finally:
        server.stop()
    server.run("pg_checksums", "--check", "-D", server.data)
    assert_kept(place)
    server.run("pg_checksums", "--check", "-D", server.data)
    server.run("pg_verifybackup", copy.data)
    server.start()
    try:
        assert server.sql("select count(*), sum(abalance) from pgbench_accounts") == total
        server.sql("reindex database postgres")
    finally:
        server.stop()
    copy.start()
    try:
        accounts = "200000" if seconds < 10 else "2000000"
        assert copy.sql("select count(*) from pgbench_accounts") == accounts
    finally:
        copy.stop()


# The stressors of the class "filesystem" that need nothing but a directory, by what they exercise.
STRESSORS = [
    "access", "chdir", "chmod", "chown", "copy-file", "dentry", "dir", "dirdeep", "dirmany", "dup", "fallocate",
    "fcntl", "fiemap", "file-ioctl", "filename", "flock", "fpunch", "fsize", "fstat", "getdent", "hdd", "inode-flags", "io",
    "iomix", "link", "locka", "lockf", "lockofd", "mknod", "mmap", "open", "rename", "seek", "sync-file", "symlink",
    "touch", "unlink", "utime", "verity", "xattr",
]  # fmt: skip


@pytest.mark.parametrize("seconds", [1, pytest.param(10, marks=pytest.mark.long)])
def test_stress_ng(place, seconds):
    need("stress-ng")
    available = run("stress-ng", "--stressors").split()
    for stressor in STRESSORS:
        if stressor not in available:
            continue
        run(
            "stress-ng", f"--{stressor}", "2", "-t", f"{seconds}s", "--temp-path", place.point, "--verify",
            "--hdd-bytes", "32m", "--iomix-bytes", "32m", "--fallocate-bytes", "32m", "--no-rand-seed",
        )  # fmt: skip
        leftovers = glob.glob(f"{place.point}/tmp-stress-ng*")
        assert leftovers == [], (stressor, leftovers)
    assert_kept(place)
    assert os.listdir(place.point) == []


@pytest.mark.long
def test_stress_ng_whole_class(place):
    need("stress-ng")
    run("stress-ng", "--class", "filesystem", "--all", "1", "-t", "240s", "--temp-path", place.point, "--verify")
    assert_kept(place)


@pytest.mark.long
def test_build_this_project(place, tmp):
    """A compiler, make, and many small files."""
    source = os.path.abspath(os.path.join(os.path.dirname(__file__), "../.."))
    run("cp", "-a", "--no-preserve=ownership", source, f"{place.point}/source")
    if not os.path.exists(f"{place.point}/source/configure"):
        run("autoreconf", "-i", cwd=f"{place.point}/source")
    os.mkdir(f"{place.point}/build")
    run("../source/configure", cwd=f"{place.point}/build")
    run("make", "-s", "-j2", "check", cwd=f"{place.point}/build", timeout=7200)
    assert_kept(place)
