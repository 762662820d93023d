# SPDX-License-Identifier: Apache-2.0
"""The life of a repository through the commands: init, mount, status, passwd, header, umount, signals."""

import json
import os
import resource
import signal
import stat
import subprocess
import time
from errno import EACCES, EPERM, EROFS

import exitcodes
import harness
import pytest
import system
from expect import fails, noise


def test_init(tmp):
    password = tmp / "password"
    password.write_bytes(b"secret\n")
    os.chmod(password, 0o600)
    done = harness.coffer("init", "--password-file", password, "--label", "my backups", tmp / "repo")
    assert done.returncode == 0, done.stderr
    assert "SHA256:" in done.stdout
    assert set(os.listdir(tmp / "repo")) == {"coffer.ini", "coffer.ini.bak", "state", "trash", "data"}
    assert (tmp / "repo" / "coffer.ini").read_bytes() == (tmp / "repo" / "coffer.ini.bak").read_bytes()
    assert "my backups" in (tmp / "repo" / "coffer.ini").read_text()
    # An empty directory may be there already.
    (tmp / "empty").mkdir()
    done = harness.coffer("init", "--password-file", password, "--json", tmp / "empty")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["fingerprint"].startswith("SHA256:")


def test_two_repositories_have_nothing_in_common(tmp):
    """Same password, same files: no equal name, no equal record."""
    names = []
    for which in ("one", "two"):
        repo = harness.Repo(tmp / which).init()
        with harness.Mount(repo, tmp / f"{which}-mnt") as m:
            with open(f"{m.point}/file", "wb") as file:
                file.write(bytes(100_000))
        (entry,) = [name for name in os.listdir(repo.data) if not name.startswith(".")]
        blob = open(os.path.join(repo.data, entry), "rb").read()
        count = len(blob) // 4096
        records = {blob[i * 4096 : (i + 1) * 4096] for i in range(count)}
        assert len(records) == count == 25
        names.append((entry, records))
    assert names[0][0] != names[1][0]
    assert not names[0][1] & names[1][1]


def test_mount_in_the_background(repo, tmp):
    """Returns when the mount is usable; umount returns when everything is on the disk."""
    point = tmp / "mnt"
    point.mkdir()
    for i in range(3):
        done = harness.coffer("mount", "--password-file", repo.password_file, repo.path, point)
        assert done.returncode == 0, done.stderr
        assert done.stdout == ""
        assert sorted(os.listdir(point)) == [f"file{k}" for k in range(i)]
        assert harness.mounted_at(point) == ("fuse.coffer", repo.path)
        with open(point / f"file{i}", "wb") as file:
            file.write(noise(100_000, i))
        done = harness.coffer("umount", point)
        assert done.returncode == 0, done.stderr
        assert not harness.is_mounted(point)
        # Nobody holds the repository any more: the next command may have it at once.
        status = json.loads(harness.coffer("status", "--json", repo.path).stdout)
        assert not status.get("mounted"), status


def test_mount_helper_form(repo, tmp):
    """`coffer REPO MOUNTPOINT -o LIST`, as mount.fuse3 calls it."""
    point = tmp / "mnt"
    point.mkdir()
    generic = "rw,defaults,noauto,nofail,user,_netdev,x-systemd.automount,x-gvfs-hide,comment=backups,noatime"
    done = harness.coffer(repo.path, point, "-o", f"{generic},password_file={repo.password_file}")
    assert done.returncode == 0, done.stderr
    assert harness.is_mounted(point)
    assert harness.coffer("umount", point).returncode == 0


def mount_flags(point):
    with open("/proc/self/mountinfo") as table:
        for line in table:
            fields = line.split()
            if fields[4] == str(point):
                return set(fields[5].split(","))
    raise AssertionError(point)


def test_mount_flags(repo, tmp):
    with harness.Mount(repo, tmp / "mnt", options="") as m:
        assert {"nosuid", "nodev"} <= mount_flags(m.point)
    with harness.Mount(repo, tmp / "mnt", options="suid,dev") as m:
        assert not {"nosuid", "nodev"} & mount_flags(m.point)
    with harness.Mount(repo, tmp / "mnt", options="noexec,noatime,nosuid") as m:
        assert {"noexec", "nosuid", "nodev"} <= mount_flags(m.point)
        script = os.path.join(m.point, "script")
        with open(script, "w") as file:
            file.write("#!/bin/sh\n")
        os.chmod(script, 0o755)
        with fails(EACCES):
            subprocess.run([script])


def test_without_allow_other_nobody_else_gets_in(repo, tmp):
    with harness.Mount(repo, tmp / "mnt", options="") as m:
        with system.acting_as(system.USER, system.GROUP), fails(EACCES):
            os.listdir(m.point)


def test_set_uid_programs_and_devices_are_off_by_default(repo, tmp):
    with harness.Mount(repo, tmp / "mnt", options="allow_other") as m:
        os.mknod(f"{m.point}/null", stat.S_IFCHR | 0o666, os.makedev(1, 3))
        with fails(EACCES):
            os.open(f"{m.point}/null", os.O_RDWR)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_signals(repo, tmp, number):
    """Flush, unmount, exit 0; more signals on the way change nothing."""
    with harness.Mount(repo, tmp / "mnt") as m:
        with open(f"{m.point}/file", "wb") as file:
            file.write(noise(500_000))
        if number == signal.SIGHUP:
            # A terminal that is closed must not end a mount in the foreground without a clean end.
            m.process.send_signal(signal.SIGHUP)
        for _ in range(3):
            if m.process.poll() is None:
                m.process.send_signal(number if number != signal.SIGHUP else signal.SIGTERM)
            time.sleep(0.01)
        m.wait()
    with harness.Mount(repo, tmp / "mnt") as m:
        with open(f"{m.point}/file", "rb") as file:
            assert file.read() == noise(500_000)


def test_signal_while_a_file_is_open(repo, tmp):
    m = harness.Mount(repo, tmp / "mnt").start()
    m.allow("^(warning|info|error): ")
    file = open(f"{m.point}/file", "wb", buffering=0)
    file.write(noise(100_000))
    m.process.send_signal(signal.SIGTERM)
    m.process.wait(harness.PATIENCE)
    try:
        file.close()
    except OSError:
        pass
    assert not harness.is_mounted(m.point)
    with harness.Mount(repo, tmp / "mnt") as again:
        again.allow("^(warning|info): ")
        with open(f"{again.point}/file", "rb") as file:
            assert file.read() == noise(100_000)


def test_unmounted_by_other_programs(repo, tmp):
    for command in (["umount"], ["fusermount3", "-u"]):
        with harness.Mount(repo, tmp / "mnt") as m:
            with open(f"{m.point}/file", "wb") as file:
                file.write(noise(100_000))
            subprocess.run([*command, m.point], check=True)
            m.wait()
        with harness.Mount(repo, tmp / "mnt") as m:
            with open(f"{m.point}/file", "rb") as file:
                assert file.read() == noise(100_000)


def test_lazy_unmount(repo, tmp):
    m = harness.Mount(repo, tmp / "mnt").start()
    with open(f"{m.point}/file", "wb", buffering=0) as file:
        file.write(b"before")
        done = harness.coffer("umount", "--lazy", m.point)
        assert done.returncode == 0, done.stderr
        assert not harness.is_mounted(m.point)
        file.write(b" after")
    m.wait()
    with harness.Mount(repo, tmp / "mnt") as m:
        with open(f"{m.point}/file", "rb") as file:
            assert file.read() == b"before after"


def test_umount_twice(repo, tmp):
    with harness.Mount(repo, tmp / "mnt") as m:
        m.unmount()
        done = harness.coffer("umount", m.point)
        assert exitcodes.name_of(done.returncode) == "NOT_MOUNTED"


# ---- read-only ----


def full_state(path):
    """Everything of a repository, with every time stamp that a write would change."""
    ret = {}
    for where, dirs, files in os.walk(path):
        for name in [*dirs, *files, "."]:
            full = os.path.join(where, name)
            info = os.lstat(full)
            ret[full] = (info.st_ino, info.st_mode, info.st_size, info.st_mtime_ns, info.st_ctime_ns)
            if stat.S_ISREG(info.st_mode):
                with open(full, "rb") as file:
                    ret[full] += (file.read(),)
    return ret


@pytest.fixture
def filled(repo, tmp):
    with harness.Mount(repo, tmp / "mnt") as m:
        os.mkdir(f"{m.point}/dir")
        for size in (0, 10, 5000, 100_000):
            with open(f"{m.point}/dir/{size}", "wb") as file:
                file.write(noise(size))
        os.symlink("target", f"{m.point}/link")
    return repo


@pytest.mark.parametrize("how", [["--read-only"], ["-o", "ro"]])
def test_read_only_writes_nothing(filled, tmp, how):
    before = full_state(filled.path)
    with harness.Mount(filled, tmp / "mnt", args=how) as m:
        for size in (0, 10, 5000, 100_000):
            with open(f"{m.point}/dir/{size}", "rb") as file:
                assert file.read() == noise(size)
        for attempt in (
            lambda: open(f"{m.point}/dir/10", "r+b"),
            lambda: open(f"{m.point}/new", "wb"),
            lambda: os.mkdir(f"{m.point}/new"),
            lambda: os.unlink(f"{m.point}/link"),
            lambda: os.rename(f"{m.point}/link", f"{m.point}/x"),
            lambda: os.chmod(f"{m.point}/dir", 0o700),
            lambda: os.utime(f"{m.point}/dir"),
            lambda: os.setxattr(f"{m.point}/dir", "user.x", b""),
            lambda: os.truncate(f"{m.point}/dir/10", 0),
        ):
            with fails(EROFS):
                attempt()
        # Several readers may share a repository.
        with harness.Mount(filled, tmp / "second", args=how) as other:
            assert os.listdir(other.point) == os.listdir(m.point)
    assert full_state(filled.path) == before


def test_read_only_media(filled, tmp):
    bound = tmp / "bound"
    bound.mkdir()
    subprocess.run(["mount", "--bind", filled.path, bound], check=True)
    try:
        subprocess.run(["mount", "-o", "remount,bind,ro", bound], check=True)
        repo = harness.Repo.__new__(harness.Repo)
        repo.__dict__.update(filled.__dict__, path=str(bound), data=str(bound / "data"))
        with harness.Mount(repo, tmp / "mnt", args=["--read-only"]) as m:
            with open(f"{m.point}/dir/5000", "rb") as file:
                assert file.read() == noise(5000)
        (tmp / "rw").mkdir()
        done = harness.coffer("mount", "--password-file", filled.password_file, bound, tmp / "rw")
        assert exitcodes.name_of(done.returncode) == "REPO_ACCESS", done.stderr
    finally:
        subprocess.run(["umount", bound], check=True)


def test_read_only_after_a_crash(repo, tmp):
    m = harness.Mount(repo, tmp / "mnt").start()
    with open(f"{m.point}/file", "wb") as file:
        file.write(noise(50_000))
        file.flush()
        os.fsync(file.fileno())
    m.kill()
    before = full_state(repo.path)
    (tmp / "second").mkdir()
    with harness.Mount(repo, tmp / "second", args=["--read-only"]) as r:
        r.allow("^(warning|info): ")
        with open(f"{r.point}/file", "rb") as file:
            assert file.read() == noise(50_000)
    assert full_state(repo.path) == before
    m.abandon()


# ---- status, passwd, header ----


def status(target):
    done = harness.coffer("status", "--json", target)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_status(tmp):
    repo = harness.Repo(tmp / "repo").init("--label", "weekly")
    offline = status(repo.path)
    text = json.dumps(offline)
    assert "weekly" in text and "SHA256:" in text and "password" in text
    plain = harness.coffer("status", repo.path)
    assert plain.returncode == 0 and "weekly" in plain.stdout and "SHA256:" in plain.stdout
    with harness.Mount(repo, tmp / "mnt") as m:
        for target in (repo.path, m.point):
            online = json.dumps(status(target))
            assert m.point in online and str(m.process.pid) in online
            shown = harness.coffer("status", target)
            assert m.point in shown.stdout


def passwd(repo, old, new, *more):
    return harness.coffer("passwd", "--password-file", old, "--new-password-file", new, *more, repo.path)


def secret(path, content):
    path.write_bytes(content + b"\n")
    os.chmod(path, 0o600)
    return path


def test_passwd(filled, tmp):
    new = secret(tmp / "new", b"a new password")
    old = filled.password_file
    before = {k: v for k, v in full_state(filled.data).items()}
    done = passwd(filled, new, new)
    assert exitcodes.name_of(done.returncode) == "PASSWORD"
    done = passwd(filled, old, secret(tmp / "bad", b""))
    assert exitcodes.name_of(done.returncode) == "NO_PASSWORD"
    done = passwd(filled, old, new, "--slot", "63")
    assert exitcodes.name_of(done.returncode) == "SLOT"
    done = passwd(filled, old, new)
    assert done.returncode == 0, done.stderr
    assert full_state(filled.data) == before, "the data must not be touched"
    done = harness.coffer("mount", "--password-file", old, filled.path, tmp / "mnt")
    assert exitcodes.name_of(done.returncode) == "PASSWORD"
    filled.password_file = str(new)
    with harness.Mount(filled, tmp / "mnt") as m:
        with open(f"{m.point}/dir/5000", "rb") as file:
            assert file.read() == noise(5000)
        # While it is mounted, too.
        assert passwd(filled, new, secret(tmp / "newer", b"newer")).returncode == 0
    filled.password_file = str(tmp / "newer")
    with harness.Mount(filled, tmp / "mnt"):
        pass


def test_old_header_opens_with_the_old_password(filled, tmp):
    """Changing a password is not revocation: the manual says so, and this is why."""
    backup = tmp / "header"
    assert harness.coffer("header", "backup", filled.path, backup).returncode == 0
    new = secret(tmp / "new", b"a new password")
    assert passwd(filled, filled.password_file, new).returncode == 0
    done = harness.coffer("header", "restore", filled.path, backup)
    assert done.returncode == 0, done.stderr
    with harness.Mount(filled, tmp / "mnt"):
        pass


# ---- many files, little memory ----


def count_descriptors(m):
    return len(m.descriptors())


def test_repetition_leaks_nothing(repo, tmp):
    """Descriptors and memory after many operations are what they were after some."""
    with harness.Mount(repo, tmp / "mnt") as m:

        def work():
            for i in range(300):
                path = f"{m.point}/dir{i % 7}"
                os.makedirs(path, exist_ok=True)
                with open(f"{path}/file", "wb") as file:
                    file.write(noise(3000))
                os.setxattr(f"{path}/file", "user.x", b"y")
                os.rename(f"{path}/file", f"{path}/{'n' * 250}")
                os.listdir(path)
                os.symlink("t" * 2000, f"{path}/link")
                os.readlink(f"{path}/link")
                os.unlink(f"{path}/link")
                os.unlink(f"{path}/{'n' * 250}")
                os.rmdir(path)
            m.assert_no_open_blobs()
            return count_descriptors(m), m.resident()

        work()
        descriptors, memory = work()
        for _ in range(4):
            again, memory_again = work()
        assert again <= descriptors
        assert memory_again < memory + (16 << 20)


def scale(m, count):
    """Makes, lists, examines, reads and removes a tree of `count` files; returns the peak of memory."""
    peak = 0
    per_dir = 500
    for i in range(0, count, per_dir):
        os.mkdir(f"{m.point}/{i}")
        for k in range(per_dir):
            with open(f"{m.point}/{i}/{k}", "wb") as file:
                file.write(b"%d" % k)
        peak = max(peak, m.resident())
    total = 0
    for where, _, names in os.walk(m.point):
        for name in names:
            with open(f"{where}/{name}", "rb") as file:
                assert file.read() == name.encode()
            total += 1
        peak = max(peak, m.resident())
    assert total == count
    for where, dirs, names in os.walk(m.point, topdown=False):
        for name in names:
            os.unlink(f"{where}/{name}")
        for name in dirs:
            os.rmdir(f"{where}/{name}")
    assert os.listdir(m.point) == []
    return peak


@pytest.mark.parametrize("count", [10_000, pytest.param(1_000_000, marks=pytest.mark.long)])
def test_large_trees_with_few_descriptors(repo, tmp, count):
    with harness.Mount(repo, tmp / "mnt", limits={resource.RLIMIT_NOFILE: 1024}) as m:
        peak = scale(m, count)
        print(f"{count} files: {peak >> 20} MiB resident at most")
        m.forget()
        left = m.resident()
        print(f"after the kernel forgot them: {left >> 20} MiB")


def test_size_overhead(repo, tmp):
    """Prints what README says of the format's size."""
    sizes = (0, 1, 3906, 3907, 4096, 1 << 20, 1 << 30)
    expected = {0: 0, 1: 4097, 3906: 8002, 3907: 8193, 4096: 8382}
    with harness.Mount(repo, tmp / "mnt") as m:
        inodes = {}
        for size in sizes:
            with open(f"{m.point}/{size}", "wb") as file:
                for at in range(0, size, 1 << 20):
                    file.write(noise(min(1 << 20, size - at)))
            inodes[os.stat(f"{m.point}/{size}").st_ino] = size
            assert os.stat(f"{m.point}/{size}").st_size == size
    print("\n      bytes  blob length  bytes on disk")
    for entry in os.listdir(repo.data):
        info = os.lstat(os.path.join(repo.data, entry))
        size = inodes.pop(info.st_ino, None)
        if size is not None:
            print(f"{size:11} {info.st_size:12} {info.st_blocks * 512:14}")
            assert info.st_size == expected.get(size, info.st_size)
            assert info.st_size <= size * 4096 / 4066 + 2 * 4096
            assert info.st_blocks * 512 <= size * 4096 / 4066 + 4 * 4096
    assert not inodes


def test_mount_option_for_one_user_only(tmp):
    """An ordinary user's own repository and mount; root cannot look into it."""
    home = tmp / "home"
    home.mkdir()
    os.chown(home, system.USER, system.GROUP)
    repo = harness.Repo(home / "repo", uid=system.USER).init()
    with harness.Mount(repo, home / "mnt", options="") as m:
        with system.acting_as(system.USER, system.GROUP):
            with open(f"{m.point}/file", "wb") as file:
                file.write(noise(10_000))
            with fails(EPERM):
                os.chown(f"{m.point}/file", 0, 0)
        m.remount()
        with system.acting_as(system.USER, system.GROUP):
            with open(f"{m.point}/file", "rb") as file:
                assert file.read() == noise(10_000)
