# SPDX-License-Identifier: Apache-2.0
"""Time stamps: set exactly, and updated by what must update them."""

import errno
import os
import time

import pytest
import system
from expect import fails, opened
from system import UTIME_NOW, UTIME_OMIT, utimensat

STAMPS = [(0, 0), (1, 1), (1_000_000_000, 123_456_789), (2**31 + 5, 999_999_999), (-1_000, 5)]


@pytest.mark.parametrize("kind", ["file", "dir", "symlink", "fifo"])
def test_exact_to_the_nanosecond(d, kind):
    path = d / kind
    {
        "file": lambda: path.write_bytes(b"x"),
        "dir": path.mkdir,
        "symlink": lambda: path.symlink_to("x"),
        "fifo": lambda: os.mkfifo(path),
    }[kind]()
    for seconds, nanoseconds in STAMPS:
        utimensat(path, (seconds + 7, nanoseconds), (seconds, nanoseconds), follow=False)
        info = os.lstat(path)
        assert info.st_mtime_ns == seconds * 10**9 + nanoseconds
        assert info.st_atime_ns == (seconds + 7) * 10**9 + nanoseconds


def test_now_and_omit(d):
    path = d / "file"
    path.write_bytes(b"")
    utimensat(path, (1, 11), (2, 22))
    utimensat(path, (0, UTIME_OMIT), (3, 33))
    assert (path.stat().st_atime_ns, path.stat().st_mtime_ns) == (1_000_000_011, 3_000_000_033)
    utimensat(path, (4, 44), (0, UTIME_OMIT))
    assert (path.stat().st_atime_ns, path.stat().st_mtime_ns) == (4_000_000_044, 3_000_000_033)
    utimensat(path, (0, UTIME_OMIT), (0, UTIME_OMIT))
    assert (path.stat().st_atime_ns, path.stat().st_mtime_ns) == (4_000_000_044, 3_000_000_033)
    utimensat(path, (0, UTIME_OMIT), (0, UTIME_NOW))
    assert path.stat().st_atime_ns == 4_000_000_044
    assert abs(path.stat().st_mtime - time.time()) < 1000
    utimensat(path, (0, UTIME_NOW), (5, 0))
    assert abs(path.stat().st_atime - time.time()) < 1000
    with fails(errno.EINVAL):
        utimensat(path, (0, 10**9), (0, 0))


@pytest.mark.root_only
def test_who_may_set_them(d):
    os.chmod(d, 0o755)
    path = d / "file"
    path.write_bytes(b"")
    os.chmod(path, 0o666)
    with system.acting_as(system.USER, system.GROUP):
        # A writer may set both to now, but nothing else.
        utimensat(path, (0, UTIME_NOW), (0, UTIME_NOW))
        with fails(errno.EPERM):
            utimensat(path, (1, 0), (1, 0))
        with fails(errno.EPERM):
            utimensat(path, (0, UTIME_NOW), (0, UTIME_OMIT))
    os.chmod(path, 0o644)
    with system.acting_as(system.USER, system.GROUP):
        with fails(errno.EACCES):
            utimensat(path, (0, UTIME_NOW), (0, UTIME_NOW))


def old(path):
    """Sets times long ago and returns a function that tells which of m and c are new."""
    os.utime(path, (100, 100), follow_symlinks=False)
    before = os.lstat(path)

    def changed():
        after = os.lstat(path)
        ret = "m" if after.st_mtime_ns != before.st_mtime_ns else ""
        return ret + ("c" if after.st_ctime_ns != before.st_ctime_ns else "")

    # File systems stamp with the resolution of the kernel's tick.
    time.sleep(0.02)
    return changed


def test_what_updates_a_file(d):
    path = d / "file"
    path.write_bytes(b"0123456789")
    changed = old(path)
    path.read_bytes()
    assert changed() == ""
    with opened(path) as fd:
        os.write(fd, b"x")
        assert changed() == "mc"
    changed = old(path)
    os.truncate(path, 5)
    assert changed() == "mc"
    changed = old(path)
    os.chmod(path, 0o600)
    assert changed() == "c"
    changed = old(path)
    os.link(path, d / "second")
    assert changed() == "c"
    changed = old(path)
    os.unlink(d / "second")
    assert changed() == "c"
    changed = old(path)
    os.setxattr(path, "user.a", b"v")
    assert changed() == "c"
    changed = old(path)
    with opened(path):
        pass
    assert changed() == ""


def test_what_updates_a_directory(d):
    path = d / "dir"
    path.mkdir()
    (d / "outside").write_bytes(b"")
    for action in (
        lambda: (path / "file").write_bytes(b""),
        lambda: (path / "sub").mkdir(),
        lambda: os.symlink("x", path / "link"),
        lambda: os.link(d / "outside", path / "hard"),
        lambda: os.rename(path / "file", path / "renamed"),
        lambda: os.rename(d / "outside", path / "file"),
        lambda: os.unlink(path / "file"),
        lambda: os.rmdir(path / "sub"),
    ):
        changed = old(path)
        action()
        assert changed() == "mc"
    changed = old(path)
    (path / "renamed").write_bytes(b"content")
    os.listdir(path)
    assert changed() == ""


@pytest.mark.parametrize("size", [0, 10, 5000, 3_000_000])
def test_set_time_survives_what_is_still_cached(d, size):
    """The daemon writes back data, and its own bookkeeping, after the time was set: backup tools do this."""
    path = d / "file"
    with opened(path, os.O_RDWR | os.O_CREAT) as fd:
        os.write(fd, bytes(size))
        os.utime(fd, ns=(5_000_000_001, 6_000_000_002))
    assert path.stat().st_mtime_ns == 6_000_000_002
    with opened(path) as fd:
        os.fsync(fd)
    assert path.stat().st_mtime_ns == 6_000_000_002
    with opened(path) as fd:
        os.write(fd, bytes(size))
    os.utime(path, ns=(7, 8_000_000_009))
    os.sync()
    assert path.stat().st_mtime_ns == 8_000_000_009
    # Compared once more after the remount, like everything in `d`.


def write_in_pieces(path, flags, count=6):
    with opened(path, os.O_WRONLY | os.O_CREAT | flags) as fd:
        for i in range(count):
            os.write(fd, bytes([65 + i]) * 700)
            time.sleep(0.003)


def test_reported_time_is_final(d):
    """
    Under the write-back cache the kernel tells the time before the daemon has the data. What stat said once nobody
    changes the file any more must stay, whatever is written back later (the remount compares it once more).
    """
    paths = []
    for i in range(5):
        path = d / f"pieces{i}"
        write_in_pieces(path, 0)
        write_in_pieces(path, os.O_APPEND)
        write_in_pieces(path, os.O_APPEND, 40)  # over the end of the first record
        with opened(path) as fd:
            os.pwrite(fd, b"inside", 100)
        paths.append(path)
        path = d / f"grown{i}"
        with opened(path, os.O_RDWR | os.O_CREAT) as fd:
            os.write(fd, bytes(5000))
            os.fsync(fd)
            time.sleep(0.003)
            os.write(fd, bytes(5000))
            time.sleep(0.003)
            os.ftruncate(fd, 7000)
        paths.append(path)
    told = [path.stat().st_mtime_ns for path in paths]
    os.sync()
    assert [path.stat().st_mtime_ns for path in paths] == told
    time.sleep(0.1)
    assert [path.stat().st_mtime_ns for path in paths] == told


def test_rename_keeps_the_time(d):
    (d / "a").write_bytes(b"x" * 10_000)
    os.utime(d / "a", ns=(1, 2_000_000_003))
    os.rename(d / "a", d / "b")
    assert (d / "b").stat().st_mtime_ns == 2_000_000_003
