# SPDX-License-Identifier: Apache-2.0
"""Creating, opening, reading, writing and truncating regular files."""

import errno
import mmap
import os

import pytest
import system
from expect import SIZES, fails, noise, opened, read_all


@pytest.mark.parametrize("size", SIZES)
def test_write_then_read(d, size):
    data = noise(size)
    path = d / "file"
    path.write_bytes(data)
    assert path.stat().st_size == size
    assert path.read_bytes() == data
    with opened(path, os.O_RDONLY) as fd:
        assert os.pread(fd, 100, size) == b""
        assert os.pread(fd, 100, max(size - 1, 0)) == data[-1:]


def test_every_small_size(d):
    for size in range(0, 300):
        (d / str(size)).write_bytes(noise(size))
    for size in range(0, 300):
        assert (d / str(size)).read_bytes() == noise(size)


def test_write_in_odd_steps(d):
    data = noise(300_000)
    for step in (1013, 3906, 4066, 4095, 4097, 65537):
        with opened(d / f"step{step}", os.O_RDWR | os.O_CREAT) as fd:
            for at in range(0, len(data), step):
                assert os.write(fd, data[at : at + step]) == len(data[at : at + step])
            assert os.fstat(fd).st_size == len(data)
            assert read_all(fd) == data


def test_overwrite_inside(d):
    data = bytearray(noise(50_000))
    path = d / "file"
    path.write_bytes(data)
    with opened(path) as fd:
        for at, length in ((0, 1), (3905, 2), (3906, 1), (7843, 3), (4095, 4100), (49_999, 1)):
            patch = noise(length, seed=at)
            os.pwrite(fd, patch, at)
            data[at : at + length] = patch
        assert os.fstat(fd).st_size == len(data)
    assert path.read_bytes() == data


def test_vector_io(d):
    with opened(d / "file", os.O_RDWR | os.O_CREAT) as fd:
        assert os.writev(fd, [b"one", b"", b"two" * 2000, b"three"]) == 3 + 6000 + 5
        buffers = [bytearray(2), bytearray(6000), bytearray(100)]
        assert os.preadv(fd, buffers, 0) == 6008
        assert buffers[0] == b"on" and buffers[2][:6] == b"othree"
        assert os.pwritev(fd, [b"X", b"Y"], 6007) == 2
        assert os.fstat(fd).st_size == 6009


def test_write_beyond_the_end_leaves_zeros(d):
    for start in (0, 1, 3906, 5000):
        for gap in (1, 4066, 100_000):
            path = d / f"{start}-{gap}"
            path.write_bytes(noise(start))
            with opened(path) as fd:
                os.pwrite(fd, b"end", start + gap)
            assert path.read_bytes() == noise(start) + bytes(gap) + b"end"


@pytest.mark.parametrize("flags", [os.O_CREAT | os.O_EXCL, os.O_CREAT | os.O_EXCL | os.O_TRUNC])
def test_exclusive_create(d, flags):
    path = d / "file"
    os.close(os.open(path, os.O_WRONLY | flags, 0o600))
    with fails(errno.EEXIST):
        os.open(path, os.O_WRONLY | flags, 0o600)
    os.symlink("nowhere", d / "dangling")
    with fails(errno.EEXIST):
        os.open(d / "dangling", os.O_WRONLY | flags, 0o600)
    os.mkdir(d / "dir")
    with fails(errno.EEXIST):
        os.open(d / "dir", os.O_WRONLY | flags, 0o600)


def test_create_through_a_dangling_symlink(d):
    os.symlink("made", d / "link")
    (d / "link").write_bytes(b"x")
    assert (d / "made").read_bytes() == b"x"


def test_truncating_open(d):
    path = d / "file"
    path.write_bytes(noise(100_000))
    os.utime(path, (1, 1))
    with opened(path, os.O_RDWR | os.O_TRUNC) as fd:
        assert os.fstat(fd).st_size == 0
        assert os.fstat(fd).st_mtime > 1000
        assert os.read(fd, 10) == b""
        os.write(fd, b"new")
    assert path.read_bytes() == b"new"


def test_append(d):
    path = d / "file"
    flags = os.O_WRONLY | os.O_APPEND
    with opened(path, flags | os.O_CREAT) as one, opened(path, flags) as two:
        expected = b""
        for i in range(200):
            for fd in (one, two):
                line = b"%d %d\n" % (i, fd == one)
                os.write(fd, line)
                expected += line
        # Linux appends whatever offset pwrite is given.
        os.pwrite(one, b"tail", 0)
    assert path.read_bytes() == expected + b"tail"


def test_append_after_another_truncated(d):
    path = d / "file"
    with opened(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT) as fd:
        os.write(fd, noise(10_000))
        os.truncate(path, 5000)
        os.write(fd, b"after")
    assert path.read_bytes() == noise(10_000)[:5000] + b"after"


@pytest.mark.parametrize("size", [4096, 65536, 1 << 20, (1 << 20) + 8192])
def test_direct_io(d, size):
    path = d / "file"
    buffer = mmap.mmap(-1, size)  # page-aligned
    buffer.write(noise(size))
    with opened(path, os.O_RDWR | os.O_CREAT | os.O_DIRECT) as fd:
        assert os.pwritev(fd, [buffer], 0) == size
        os.pwritev(fd, [memoryview(buffer)[:4096]], size)
        back = mmap.mmap(-1, size)
        assert os.preadv(fd, [back], 0) == size
        assert back[:] == buffer[:]
    assert path.read_bytes() == buffer[:] + buffer[:4096]
    # What was written through the page cache is seen directly, and the other way round.
    with opened(path) as cached, opened(path, os.O_RDWR | os.O_DIRECT) as direct:
        os.pwrite(cached, b"C" * 4096, 4096)
        page = mmap.mmap(-1, 4096)
        os.preadv(direct, [page], 4096)
        assert page[:] == b"C" * 4096
        page[:] = b"D" * 4096
        os.pwritev(direct, [page], 0)
        assert os.pread(cached, 4096, 0) == b"D" * 4096


def test_sync_flags(d):
    for flag in (os.O_SYNC, os.O_DSYNC):
        path = d / str(flag)
        with opened(path, os.O_RDWR | os.O_CREAT | flag) as fd:
            for i in range(20):
                os.pwrite(fd, noise(3000, i), i * 3000)
        assert path.read_bytes() == b"".join(noise(3000, i) for i in range(20))


def test_unnamed_temporary_file(d):
    """O_TMPFILE needs libfuse 3.17; an older one must say clearly that it cannot."""
    try:
        fd = os.open(d, os.O_TMPFILE | os.O_RDWR, 0o600)
    except OSError as error:
        assert error.errno in (errno.EOPNOTSUPP, errno.EISDIR)
        return
    os.write(fd, b"unnamed")
    assert os.fstat(fd).st_nlink == 0
    system.link_descriptor(fd, d / "named")
    os.close(fd)
    assert (d / "named").read_bytes() == b"unnamed"


def test_open_errors(d):
    (d / "file").write_bytes(b"")
    (d / "dir").mkdir()
    os.symlink("file", d / "link")
    with fails(errno.ENOENT):
        os.open(d / "missing", os.O_RDONLY)
    with fails(errno.ENOENT):
        os.open(d / "missing" / "file", os.O_CREAT | os.O_WRONLY)
    with fails(errno.ENOTDIR):
        os.open(d / "file" / "below", os.O_RDONLY)
    with fails(errno.ENOTDIR):
        os.open(d / "file", os.O_DIRECTORY)
    with fails(errno.ELOOP):
        os.open(d / "link", os.O_NOFOLLOW)
    with fails(errno.EISDIR):
        os.open(d / "dir", os.O_WRONLY)
    with opened(d / "dir", os.O_RDONLY) as fd, fails(errno.EISDIR):
        os.read(fd, 1)


def test_open_handle_outlives_the_permission(d):
    path = d / "file"
    with opened(path, os.O_RDWR | os.O_CREAT, 0o644) as fd:
        os.write(fd, noise(5000))
        os.fchmod(fd, 0)
        os.pwrite(fd, b"still", 4998)
        assert os.pread(fd, 10, 4998) == b"still"
        os.ftruncate(fd, 4999)
        os.fsync(fd)
        assert os.fstat(fd).st_size == 4999
    os.chmod(path, 0o600)
    assert path.read_bytes() == noise(5000)[:4998] + b"s"


@pytest.mark.parametrize("mode", [0o000, 0o444, 0o200])
def test_created_without_permission_is_writable_through_its_handle(d, mode):
    path = d / "file"
    with opened(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, mode) as fd:
        os.write(fd, noise(20_000))
        assert read_all(fd) == noise(20_000)
    assert os.stat(path).st_mode & 0o777 == mode
    assert os.stat(path).st_size == 20_000
    os.chmod(path, 0o600)
    assert path.read_bytes() == noise(20_000)


@pytest.mark.parametrize("size", SIZES)
def test_truncate(d, size):
    data = noise(20_000)
    for other in (0, 1, 3906, 3907, 7844, 7845, 12_000, 19_999):
        path = d / str(other)
        path.write_bytes(data)
        os.truncate(path, other)
        os.truncate(path, size)
        kept = min(size, other)
        assert path.stat().st_size == size
        assert path.read_bytes() == data[:kept] + bytes(size - kept)


def test_truncate_open_file_between_writes(d):
    path = d / "file"
    with opened(path, os.O_RDWR | os.O_CREAT) as fd:
        os.write(fd, noise(30_000))
        os.ftruncate(fd, 10_000)
        os.pwrite(fd, b"far", 25_000)
        os.ftruncate(fd, 25_001)
        assert read_all(fd) == noise(30_000)[:10_000] + bytes(15_000) + b"f"
        os.ftruncate(fd, 0)
        os.ftruncate(fd, 100)
        assert read_all(fd) == bytes(100)


def test_truncate_errors(d):
    (d / "file").write_bytes(b"x")
    with fails(errno.EINVAL):
        os.truncate(d / "file", -1)
    with fails(errno.EISDIR):
        os.truncate(d, 0)
    with fails(errno.ENOENT):
        os.truncate(d / "missing", 0)
    with opened(d / "file", os.O_RDONLY) as fd, fails(errno.EINVAL, errno.EBADF):
        os.ftruncate(fd, 0)


@pytest.mark.user_only
def test_truncate_needs_write_permission(d):
    path = d / "file"
    path.write_bytes(b"keep")
    os.chmod(path, 0o444)
    with fails(errno.EACCES):
        os.truncate(path, 0)
    with fails(errno.EACCES):
        os.open(path, os.O_WRONLY)
    with fails(errno.EACCES):
        os.open(path, os.O_RDONLY | os.O_TRUNC)
    assert path.read_bytes() == b"keep"


def test_inode_number_and_link_count_stay(d):
    path = d / "file"
    path.write_bytes(b"a")
    first = path.stat()
    path.write_bytes(b"b" * 10_000)
    os.rename(path, d / "other")
    again = (d / "other").stat()
    assert (again.st_ino, again.st_dev, again.st_nlink) == (first.st_ino, first.st_dev, 1)


def test_blocks_follow_the_data(d):
    path = d / "file"
    path.write_bytes(noise(1 << 20))
    with opened(path) as fd:
        os.fsync(fd)
    blocks = path.stat().st_blocks * 512
    assert (1 << 20) <= blocks < (1 << 20) * 1.1
