# SPDX-License-Identifier: Apache-2.0
"""
Bad input to the commands: each mistake has its message, which names what is wrong, and its exit code.
Nothing may be changed or left behind by a command that refuses.
"""

import os
import random
import re
import resource
import shutil
import subprocess

import exitcodes
import harness
import pytest
import system
import tree


def expect(code, pattern, *args, **more):
    """Runs a command that must fail with this code and one message that matches the pattern."""
    done = harness.coffer(*args, **more)
    got = exitcodes.name_of(done.returncode)
    assert got == code, f"{got} instead of {code}: {done.stderr}"
    assert re.search(pattern, done.stderr, re.IGNORECASE), done.stderr
    assert re.search("(?m)^coffer: ", done.stderr), done.stderr
    return done


@pytest.fixture(scope="module")
def shared_repo(work):
    path = work / "badinput"
    path.mkdir()
    return harness.Repo(path / "repo").init()


@pytest.fixture
def point(tmp):
    path = tmp / "mnt"
    path.mkdir()
    return path


@pytest.fixture
def password(tmp):
    path = tmp / "password"
    path.write_bytes(b"some password\n")
    os.chmod(path, 0o600)
    return path


def mount(code, pattern, repo, point, *args, password_file=None, **more):
    password_file = password_file or getattr(repo, "password_file", None) or "/dev/null"
    path = getattr(repo, "path", repo)
    done = expect(code, pattern, "mount", "--password-file", password_file, *args, path, point, **more)
    assert not harness.is_mounted(point)
    return done


# ---- commands and options ----


def test_commands(work):
    expect("USAGE", "usage|command")
    expect("USAGE", "unknown command.*mont.*mount", "mont")
    expect("USAGE", "unknown command", "frobnicate")
    expect("USAGE", "--frobnicate", "init", "--frobnicate", "/nowhere")
    expect("USAGE", "REPO", "init")
    expect("USAGE", "MOUNTPOINT", "mount", "/nowhere")
    expect("USAGE", "one|two|too many|unexpected", "umount", "/a", "/b")
    expect("USAGE", "password", "init", "--password-file", "/a", "--password-command", "b", "/nowhere")


def test_help_and_version(work):
    top = harness.coffer("--help")
    assert top.returncode == 0
    for name in ("init", "mount", "umount", "status", "passwd", "header", "sync", "break-lock"):
        assert name in top.stdout
        for args in ((name, "--help"), ("help", name)):
            done = harness.coffer(*args)
            assert done.returncode == 0 and done.stdout and not done.stderr, args
    version = harness.coffer("--version")
    assert version.returncode == 0 and re.search(r"\d+\.\d+", version.stdout)


@pytest.mark.parametrize("option", ["frobnicate", "allow_othr", "uid=5", "password_file"])
def test_unknown_mount_options(shared_repo, point, option):
    mount("USAGE", option.split("=")[0], shared_repo, point, "-o", option)


# ---- init ----


def init(code, pattern, path, *args, **more):
    before = tree.snapshot(os.path.dirname(path)) if os.path.exists(os.path.dirname(path)) else None
    done = expect(code, pattern, "init", *args, path, **more)
    if before is not None:
        tree.assert_same(before, tree.snapshot(os.path.dirname(path)), ignore={"mtime"})
    return done


def test_init_where_it_cannot_be(tmp, password, shared_repo):
    top = tmp / "top"
    (top / "full").mkdir(parents=True)
    (top / "full" / "file").write_bytes(b"precious")
    (top / "file").write_bytes(b"precious")
    options = ("--password-file", password)
    init("REPO_MISSING", "missing", top / "missing" / "repo", *options)
    init("NOT_EMPTY", "not empty", top / "full", *options)
    init("NOT_REPO", "not a directory", top / "file", *options)
    init("REPO_EXISTS", "already", shared_repo.path, *options)


def test_init_without_permission(tmp):
    top = tmp / "top"
    top.mkdir()
    secret = tmp / "password"
    secret.write_bytes(b"x\n")
    os.chown(secret, system.USER, system.GROUP)
    os.chmod(secret, 0o600)
    init("REPO_ACCESS", "permission", top / "repo", "--password-file", secret, uid=system.USER)


def test_init_on_a_full_disk(small_disk, password):
    """Nothing half-made stays behind."""
    with open(small_disk / "ballast", "wb") as file:
        try:
            while True:
                file.write(bytes(65536))
                file.flush()
        except OSError:
            pass
    path = small_disk / "repo"
    done = harness.coffer("init", "--password-file", password, path)
    assert exitcodes.name_of(done.returncode) == "NO_SPACE", done.stderr
    assert not path.exists()


@pytest.fixture
def small_disk(tmp):
    """An ext4 of 16 MiB with blocks of 4096 bytes, on a loop device."""
    yield from loop_mount(tmp, 16 << 20, ["-b", "4096", "-m", "0"])


def loop_mount(tmp, size, mkfs_options):
    image, point = tmp / "image", tmp / "disk"
    with open(image, "wb") as file:
        file.truncate(size)
    point.mkdir()
    subprocess.run(["mkfs.ext4", "-q", *mkfs_options, image], check=True)
    done = subprocess.run(["mount", "-o", "loop", image, point], capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"no loop device: {done.stderr.strip()}")
    try:
        yield point
    finally:
        subprocess.run(["umount", "-d", point], check=True)
        image.unlink()


def test_init_on_small_blocks(tmp, password):
    """Blocks below 4096 bytes would tear records in a power cut."""
    for disk in loop_mount(tmp, 16 << 20, ["-b", "1024"]):
        done = harness.coffer("init", "--password-file", password, disk / "repo")
        assert exitcodes.name_of(done.returncode) == "BACKING_UNFIT", done.stderr
        assert "1024" in done.stderr or "block" in done.stderr
        assert not (disk / "repo").exists()


# ---- passwords ----


def test_passwords(tmp, shared_repo, point):
    def file(content, mode=0o600):
        path = tmp / "candidate"
        path.write_bytes(content)
        os.chmod(path, mode)
        return path

    mount("PASSWORD", "password", shared_repo, point, password_file=file(b"wrong\n"))
    mount("PASSWORD", "password", shared_repo, point, password_file=file(harness.PASSWORD + b"x\n"))
    mount("NO_PASSWORD", "empty", shared_repo, point, password_file=file(b""))
    mount("NO_PASSWORD", "empty", shared_repo, point, password_file=file(b"\nsecond line\n"))
    mount("NO_PASSWORD", "missing", shared_repo, point, password_file=tmp / "missing")
    mount("NO_PASSWORD", "directory", shared_repo, point, password_file=tmp)
    mount("NO_PASSWORD", "zero|NUL|null", shared_repo, point, password_file=file(b"a\0b\n"))
    mount("NO_PASSWORD", "long|4096", shared_repo, point, password_file=file(b"x" * 100_000))
    for command, pattern in (("exit 3", "3"), ("true", "empty|nothing"), ("/nonexistent", "127|not found")):
        expect("NO_PASSWORD", pattern, "mount", "--password-command", command, shared_repo.path, point)
    # No terminal to ask on.
    expect("NO_PASSWORD", "terminal|password-file", "mount", shared_repo.path, point, start_new_session=True)


def test_password_from_standard_input_and_command(shared_repo, point):
    for options in (
        ["--password-file", "-"],
        ["--password-command", f"cat {shared_repo.password_file}"],
        ["-o", f"password_file={shared_repo.password_file}"],
    ):
        more = {"input": harness.PASSWORD.decode() + "\n"} if "-" in options else {}
        done = harness.coffer("mount", *options, shared_repo.path, point, **more)
        assert done.returncode == 0, done.stderr
        assert harness.is_mounted(point)
        assert harness.coffer("umount", point).returncode == 0


def test_password_without_newline_is_the_same(tmp, shared_repo, point):
    (tmp / "bare").write_bytes(harness.PASSWORD)
    os.chmod(tmp / "bare", 0o600)
    done = harness.coffer("mount", "--password-file", tmp / "bare", shared_repo.path, point)
    assert done.returncode == 0, done.stderr
    assert harness.coffer("umount", point).returncode == 0


def test_password_is_never_in_a_process_list(shared_repo, point):
    with harness.Mount(shared_repo, point) as m:
        for name in ("cmdline", "environ"):
            with open(f"/proc/{m.process.pid}/{name}", "rb") as file:
                assert harness.PASSWORD not in file.read()


# ---- repositories and mount points ----


def test_what_is_no_repository(tmp, shared_repo, point):
    (tmp / "file").write_bytes(b"")
    (tmp / "empty").mkdir()
    secret = shared_repo.password_file
    mount("REPO_MISSING", "missing", tmp / "missing", point, password_file=secret)
    mount("NOT_REPO", "file", tmp / "file", point, password_file=secret)
    mount("NOT_REPO", "coffer.ini|not a coffer repository", tmp / "empty", point, password_file=secret)
    for command in ("status", "break-lock"):
        expect("REPO_MISSING", "missing", command, tmp / "missing")
        expect("NOT_REPO", "empty", command, tmp / "empty")


def test_repository_without_permission(shared_repo, tmp):
    point = tmp / "mnt"
    point.mkdir()
    os.chown(point, system.USER, system.GROUP)
    os.chmod(shared_repo.path, 0o700)
    secret = tmp / "password"
    shutil.copy(shared_repo.password_file, secret)
    os.chown(secret, system.USER, system.GROUP)
    mount("REPO_ACCESS", "permission", shared_repo, point, password_file=secret, uid=system.USER)


def test_mount_points(tmp, shared_repo):
    (tmp / "file").write_bytes(b"")
    (tmp / "full").mkdir()
    (tmp / "full" / "file").write_bytes(b"")
    inside = os.path.join(shared_repo.path, "inside")
    mount("MOUNTPOINT", "missing", shared_repo, tmp / "missing")
    mount("MOUNTPOINT", "directory", shared_repo, tmp / "file")
    mount("MOUNTPOINT", "not empty.*nonempty|nonempty.*not empty", shared_repo, tmp / "full")
    os.mkdir(inside)
    try:
        mount("MOUNTPOINT", "inside", shared_repo, inside)
    finally:
        os.rmdir(inside)
    mount("MOUNTPOINT", "inside", shared_repo, os.path.dirname(shared_repo.path), "-o", "nonempty")
    mount("MOUNTPOINT", "", shared_repo, shared_repo.path, "-o", "nonempty")


def test_nonempty_mount_point(tmp, shared_repo):
    (tmp / "full").mkdir()
    (tmp / "full" / "file").write_bytes(b"under it")
    with harness.Mount(shared_repo, tmp / "full", options="nonempty") as m:
        assert not os.path.exists(f"{m.point}/file")
    assert (tmp / "full" / "file").read_bytes() == b"under it"


def test_mounted_twice(shared_repo, tmp):
    with harness.Mount(shared_repo, tmp / "one") as m:
        (tmp / "two").mkdir()
        done = mount("REPO_IN_USE", str(m.process.pid), shared_repo, tmp / "two")
        assert m.point in done.stderr
        expect(
            "MOUNTPOINT", "mounted|busy", "mount", "--password-file", shared_repo.password_file, shared_repo.path, m.point
        )
        mount("REPO_IN_USE", "writing", shared_repo, tmp / "two", "--read-only")
        expect("REPO_IN_USE", str(m.process.pid), "break-lock", "--yes", shared_repo.path)


def test_lock_of_another_host(repo, tmp):
    lock = os.path.join(repo.path, "state", "lock")
    (tmp / "mnt").mkdir()
    with harness.Mount(repo, tmp / "other"):
        with open(lock) as file:
            text = file.read()
    assert "host=" in text
    with open(lock, "w") as file:
        file.write(re.sub("host=.*", "host=elsewhere.example", text))
    done = mount("REPO_IN_USE", "elsewhere.example", repo, tmp / "mnt")
    assert "break-lock" in done.stderr
    expect("REFUSED", "", "break-lock", repo.path, input="no\n", start_new_session=True)
    mount("REPO_IN_USE", "elsewhere.example", repo, tmp / "mnt")
    done = harness.coffer("break-lock", "--yes", repo.path)
    assert done.returncode == 0, done.stderr
    with harness.Mount(repo, tmp / "mnt"):
        pass


def test_stale_lock_of_this_host(repo, tmp):
    """A killed daemon's text stays behind; the kernel's lock is gone."""
    m = harness.Mount(repo, tmp / "mnt").start()
    m.kill()
    assert "host=" in open(os.path.join(repo.path, "state", "lock")).read()
    with harness.Mount(repo, tmp / "mnt") as again:
        again.allow("^(warning|info): ")


def test_umount_and_sync_of_what_is_not_mounted(tmp, point):
    for command in ("umount", "sync"):
        expect("NOT_MOUNTED", str(point), command, point)
        expect("NOT_MOUNTED", "missing", command, tmp / "missing")
        expect("NOT_MOUNTED", "/proc", command, "/proc")


def test_umount_while_in_use(mount_, tmp):
    with open(f"{mount_.point}/file", "wb"):
        done = expect("BUSY", str(os.getpid()), "umount", mount_.point)
        assert "pytest" in done.stderr or "python" in done.stderr
    assert harness.is_mounted(mount_.point)


@pytest.fixture
def mount_(shared_repo, tmp):
    with harness.Mount(shared_repo, tmp / "mnt") as m:
        yield m


def test_no_fuse_device(shared_repo, point):
    """In a mount namespace where /dev is empty."""
    script = f"mount -t tmpfs none /dev && exec '{harness.COFFER}' mount --password-file '{shared_repo.password_file}' '{shared_repo.path}' '{point}'"
    done = subprocess.run(
        ["unshare", "--mount", "sh", "-c", script], env=harness.environment(), capture_output=True, text=True
    )
    assert exitcodes.name_of(done.returncode) == "FUSE", done.stderr
    assert "/dev/fuse" in done.stderr


def test_no_fusermount3(tmp):
    """Only users other than root need it."""
    home = tmp / "home"
    home.mkdir()
    os.chown(home, system.USER, system.GROUP)
    repo = harness.Repo(home / "repo", uid=system.USER).init()
    point = home / "mnt"
    point.mkdir()
    os.chown(point, system.USER, system.GROUP)
    command = f"'{harness.COFFER}' mount --password-file '{repo.password_file}' '{repo.path}' '{point}'"
    script = (
        'for f in $(command -v -p fusermount3 || true) /usr/bin/fusermount3 /bin/fusermount3; do '
        '[ -e "$f" ] && mount --bind /dev/null "$f"; done; '
        f'exec setpriv --reuid {system.USER} --regid {system.GROUP} --clear-groups {command}'
    )
    done = subprocess.run(
        ["unshare", "--mount", "sh", "-c", script], env=harness.environment(system.USER), capture_output=True, text=True
    )
    assert exitcodes.name_of(done.returncode) == "FUSE", done.stderr
    assert "fusermount3" in done.stderr


def test_allow_other_is_for_root(tmp):
    if "\nuser_allow_other" in "\n" + open("/etc/fuse.conf").read():
        pytest.skip("/etc/fuse.conf allows it to everybody here")
    home = tmp / "home"
    home.mkdir()
    os.chown(home, system.USER, system.GROUP)
    repo = harness.Repo(home / "repo", uid=system.USER).init()
    (home / "mnt").mkdir()
    os.chown(home / "mnt", system.USER, system.GROUP)
    mount("FUSE", "user_allow_other", repo, home / "mnt", "-o", "allow_other", uid=system.USER)


def test_few_descriptors(repo, tmp):
    """Even a limit of 64 files is enough for a tree of any size."""
    with harness.Mount(repo, tmp / "mnt", limits={resource.RLIMIT_NOFILE: 64}) as m:
        for i in range(30):
            os.makedirs(f"{m.point}/{i}/sub")
            for k in range(10):
                with open(f"{m.point}/{i}/sub/{k}", "wb") as file:
                    file.write(b"%d" % (i * k))
        handles = [open(f"{m.point}/{i}/sub/{k}", "rb") for i in range(30) for k in range(10)]
        for handle in handles:
            assert handle.read().isdigit()
            handle.close()
        assert len(m.descriptors()) <= 64


# ---- coffer.ini ----


def ini_copies(repo, tmp):
    """A function that mounts the repository with a changed coffer.ini and returns the exit code's name."""
    path = os.path.join(repo.path, "coffer.ini")
    point = tmp / "mnt"
    point.mkdir(exist_ok=True)
    whole = open(path, "rb").read()

    def attempt(content):
        with open(path, "wb") as file:
            file.write(content)
        done = harness.coffer("mount", "--password-file", repo.password_file, repo.path, point)
        if harness.is_mounted(point):
            system.umount(point)
            pytest.fail(f"a changed coffer.ini was accepted: {done.stderr}")
        assert done.stderr.startswith("coffer: "), done.stderr
        return exitcodes.name_of(done.returncode)

    return whole, attempt


def test_configuration_cut(repo, tmp):
    whole, attempt = ini_copies(repo, tmp)
    for length in [*range(0, len(whole), 23), len(whole) - 1]:
        assert attempt(whole[:length]) == "REPO_DAMAGED", length


def test_configuration_changed(repo, tmp):
    whole, attempt = ini_copies(repo, tmp)
    rng = random.Random(1)
    for at in range(0, len(whole), 17):
        changed = bytearray(whole)
        changed[at] ^= 1 << rng.randrange(8)
        assert attempt(bytes(changed)) in ("REPO_DAMAGED", "REPO_VERSION"), at
    assert attempt(whole + b"\n") == "REPO_DAMAGED"
    assert attempt(b"\0" + whole) == "REPO_DAMAGED"


def with_checksum(text):
    """An attacker can make the plain checksum fit."""
    import base64
    import hashlib

    body = text[: text.rindex(b"sha256 = ")]
    digest = base64.urlsafe_b64encode(hashlib.sha256(body).digest()).rstrip(b"=")
    return body + b"sha256 = " + digest + b"\n"


def test_configuration_tampered(repo, tmp):
    whole, attempt = ini_copies(repo, tmp)
    assert with_checksum(whole) == whole

    def change(pattern, replacement):
        changed, count = re.subn(pattern, replacement, whole, count=1)
        assert count == 1, pattern
        return attempt(with_checksum(changed))

    # What this version does not know may be of a newer one.
    newer = ("REPO_VERSION", "REPO_DAMAGED")
    assert change(rb"(?m)^version = 1$", b"version = 2") == "REPO_VERSION"
    assert change(rb"(?m)^version = 1$", b"version = 0") in ("REPO_VERSION", "REPO_DAMAGED")
    assert change(rb"(?m)^created = \d", b"created = 9") == "REPO_TAMPERED"
    assert change(rb"(?m)^(\[repository\])$", b"\\1\nunknown = 1") in newer
    assert change(rb"(?m)^\[slot", b"[unknown]\nx = 1\n\n[slot") in newer
    assert change(rb"(?m)^type = password$", b"type = none") in newer
    # A cost that would take all memory, or none at all.
    for n in (b"1", b"3", b"1099511627776", b"18446744073709551616", b"-1"):
        assert change(rb"(?m)^(n = )\d+$", b"\\g<1>" + n) == "REPO_DAMAGED", n


def test_backup_helps_after_damage(repo, tmp):
    path = os.path.join(repo.path, "coffer.ini")
    backup = tmp / "header"
    assert harness.coffer("header", "backup", repo.path, backup).returncode == 0
    assert os.stat(backup).st_mode & 0o777 == 0o600
    expect("FILE", "exists|already", "header", "backup", repo.path, backup)
    with open(path, "wb") as file:
        file.write(b"rubbish")
    done = harness.coffer("header", "restore", repo.path, backup)
    assert done.returncode == 0, done.stderr
    with harness.Mount(repo, tmp / "mnt"):
        pass
    expect("FILE", "missing", "header", "restore", repo.path, tmp / "missing")
    other = harness.Repo(tmp / "other").init()
    expect("OTHER_REPO", "another", "header", "restore", other.path, backup)


# ---- writing ----


def test_full_disk_while_writing(small_disk, tmp):
    """The program is told, what was there before stays intact, and there is room again after a removal."""
    repo = harness.Repo(small_disk / "repo").init()
    with harness.Mount(repo, tmp / "mnt") as m:
        m.allow("^(error|warning): .*(space|full|ENOSPC)")
        with open(f"{m.point}/old", "wb") as file:
            file.write(b"o" * 100_000)
            os.fsync(file.fileno())
        told = False
        try:
            with open(f"{m.point}/big", "wb", buffering=0) as file:
                for _ in range(400):
                    file.write(os.urandom(65536))
                os.fsync(file.fileno())
        except OSError as error:
            told = True
            assert error.errno == 28
        assert told, "26 MiB were written to a disk of 16"
        with open(f"{m.point}/old", "rb") as file:
            assert file.read() == b"o" * 100_000
        os.unlink(f"{m.point}/big")
        with open(f"{m.point}/new", "wb") as file:
            file.write(b"n" * 1_000_000)
            os.fsync(file.fileno())
        m.remount()
        m.allow("^(error|warning): .*(space|full|ENOSPC)")
        for name, size in (("old", 100_000), ("new", 1_000_000)):
            with open(f"{m.point}/{name}", "rb") as file:
                assert file.read() == name[:1].encode() * size
