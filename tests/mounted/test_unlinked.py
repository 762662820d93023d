# SPDX-License-Identifier: Apache-2.0
"""Files and directories that are in use after their last name went."""

import errno
import os
import resource

import harness
import pytest
from expect import fails, noise, opened, read_all


def test_unlinked_file_works_on(d):
    with opened(d / "file", os.O_RDWR | os.O_CREAT) as fd:
        os.write(fd, noise(10_000))
        os.unlink(d / "file")
        assert os.listdir(d) == []
        assert os.fstat(fd).st_nlink == 0
        os.pwrite(fd, b"more", 20_000)
        assert os.fstat(fd).st_size == 20_004
        assert read_all(fd) == noise(10_000) + bytes(10_000) + b"more"
        os.ftruncate(fd, 5000)
        os.fsync(fd)
        os.fchmod(fd, 0o600)
        os.utime(fd, (1, 2))
        os.setxattr(fd, "user.note", b"v")
        assert os.getxattr(fd, "user.note") == b"v"
        info = os.fstat(fd)
        assert (info.st_size, info.st_mode & 0o777, info.st_mtime) == (5000, 0o600, 2)
        # A new file under the old name is another file.
        (d / "file").write_bytes(b"new")
        assert read_all(fd) == noise(5000, 0)[:0] + noise(10_000)[:5000]
    assert (d / "file").read_bytes() == b"new"


def test_unlinked_file_of_another_handle(d):
    (d / "file").write_bytes(noise(9000))
    with opened(d / "file", os.O_RDONLY) as one, opened(d / "file") as two:
        os.unlink(d / "file")
        os.pwrite(two, b"two", 0)
        assert os.pread(one, 3, 0) == b"two"


def test_reopened_through_proc(d):
    with opened(d / "file", os.O_RDWR | os.O_CREAT) as fd:
        os.write(fd, b"kept")
        os.unlink(d / "file")
        with opened(f"/proc/self/fd/{fd}") as again:
            assert read_all(again) == b"kept"
            os.pwrite(again, b"K", 0)
        assert read_all(fd) == b"Kept"


def test_replaced_by_rename(d):
    (d / "old").write_bytes(noise(8000))
    with opened(d / "old") as fd:
        for i in range(5):
            (d / "new").write_bytes(b"%d" % i)
            os.rename(d / "new", d / "old")
        assert read_all(fd) == noise(8000)
        assert os.fstat(fd).st_nlink == 0
    assert (d / "old").read_bytes() == b"4"


def test_one_name_of_two_removed(d):
    (d / "a").write_bytes(b"x")
    os.link(d / "a", d / "b")
    with opened(d / "a") as fd:
        os.unlink(d / "a")
        assert os.fstat(fd).st_nlink == 1
        os.pwrite(fd, b"y", 0)
    assert (d / "b").read_bytes() == b"y"


def test_removed_directory_that_is_open(d):
    (d / "dir").mkdir()
    with opened(d / "dir", os.O_RDONLY) as fd:
        os.rmdir(d / "dir")
        assert os.listdir(fd) == []
        with fails(errno.ENOENT):
            os.open("file", os.O_CREAT | os.O_WRONLY, dir_fd=fd)
        with fails(errno.ENOENT):
            os.mkdir("sub", dir_fd=fd)
        (d / "dir").mkdir()
        (d / "dir" / "in").write_bytes(b"")
        assert os.listdir(fd) == []


@pytest.mark.parametrize("limit", [64, 256])
def test_more_unlinked_files_than_descriptors(repo, tmp, limit):
    """The daemon may open `limit` files; 1500 unlinked ones are in use at once."""
    count = 1500
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(before[0], 4096), before[1]))
    limits = {resource.RLIMIT_NOFILE: limit}
    try:
        with harness.Mount(repo, tmp / "mnt", limits=limits) as m:
            fds = []
            for i in range(count):
                path = f"{m.point}/{i}"
                fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL)
                os.write(fd, noise(100 + i, i))
                os.unlink(path)
                fds.append(fd)
            assert os.listdir(m.point) == []
            m.forget()
            for i, fd in enumerate(fds):
                os.pwrite(fd, b"%d" % i, 5000)
            m.forget()
            for i, fd in enumerate(fds):
                expected = noise(100 + i, i).ljust(5000, b"\0") + b"%d" % i
                assert read_all(fd) == expected, i
                assert os.fstat(fd).st_nlink == 0
                os.close(fd)
            assert len(m.descriptors()) <= limit
            # Everything is given back to the backing file system.
            m.assert_no_open_blobs()
            harness.wait_for(lambda: count_files(repo.data) == 0, "the unlinked blobs to go")
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


def count_files(top):
    return sum(
        1
        for where, _, names in os.walk(top)
        for name in names
        if not os.path.islink(os.path.join(where, name))
    )
