# SPDX-License-Identifier: Apache-2.0
"""Sparse files: sizes of many terabytes, holes that read as zeros and cost nothing, SEEK_HOLE and SEEK_DATA."""

import errno
import os
import random

import pytest
import system
from expect import fails, noise, opened, read_all

TIB = 1 << 40


@pytest.mark.parametrize("offset", [1 << 31, 1 << 32, TIB + 12_345, 7 * TIB + 1, 15 * TIB + 77])
def test_huge_offsets(d, offset):
    path = d / "file"
    path.write_bytes(b"start")
    with opened(path) as fd:
        os.pwrite(fd, noise(10_000), offset)
        assert os.fstat(fd).st_size == offset + 10_000
        assert os.pread(fd, 10_000, offset) == noise(10_000)
        assert os.pread(fd, 100, offset - 100) == bytes(100)
        assert os.pread(fd, 100, offset // 2) == bytes(100)
        os.fsync(fd)
        assert os.fstat(fd).st_blocks * 512 < 1 << 20
        os.pwrite(fd, b"middle", offset // 2)
        assert os.pread(fd, 8, offset // 2 - 1) == b"\0middle\0"
    with opened(path) as fd:
        assert os.pread(fd, 5, 0) == b"start"
        assert os.pread(fd, 8, offset // 2 - 1) == b"\0middle\0"
        os.ftruncate(fd, offset // 2 + 3)
        assert os.fstat(fd).st_size == offset // 2 + 3
        assert os.pread(fd, 100, offset // 2) == b"mid"


def test_truncated_to_terabytes(d):
    path = d / "file"
    with opened(path, os.O_RDWR | os.O_CREAT) as fd:
        os.ftruncate(fd, 10 * TIB)
        assert os.fstat(fd).st_size == 10 * TIB
        os.ftruncate(fd, 9 * TIB + 1)
        assert os.pread(fd, 10, 9 * TIB) == b"\0"
        assert os.pread(fd, 10, 0) == bytes(10)
    assert path.stat().st_size == 9 * TIB + 1
    assert path.stat().st_blocks * 512 < 1 << 20


def test_limit(d):
    with opened(d / "file", os.O_RDWR | os.O_CREAT) as fd:
        with fails(errno.EFBIG, errno.EINVAL):
            os.ftruncate(fd, (1 << 63) - 1)
        os.pwrite(fd, b"ok", 0)
        assert os.fstat(fd).st_size == 2


def regions(fd):
    """What the file says of itself: [(start, end of data)]."""
    size, at, ret = os.fstat(fd).st_size, 0, []
    while at < size:
        try:
            start = os.lseek(fd, at, os.SEEK_DATA)
        except OSError as error:
            assert error.errno == errno.ENXIO
            break
        stop = os.lseek(fd, start, os.SEEK_HOLE)
        assert at <= start < stop <= size
        ret.append((start, stop))
        at = stop
    return ret


def assert_covered(fd, written):
    """Every byte that was written lies in what is reported as data."""
    found = regions(fd)
    for start, stop in written:
        assert any(a <= start and stop <= b for a, b in found), ((start, stop), found)
    return found


def test_data_and_holes_while_pages_are_dirty(d):
    with opened(d / "file", os.O_RDWR | os.O_CREAT) as fd:
        written = []
        for at in (0, 1 << 30, (1 << 31) + 5000, 3 << 31):
            os.pwrite(fd, noise(5000), at)
            written.append((at, at + 5000))
            found = assert_covered(fd, written)
        assert len(found) >= 2, "the holes of a gigabyte must show"
        os.fsync(fd)
        assert_covered(fd, written)
        size = 4 << 31
        os.ftruncate(fd, size)
        assert os.lseek(fd, (3 << 31) + 5000 + (1 << 20), os.SEEK_HOLE) < size
        try:
            at = os.lseek(fd, (3 << 31) + 5000 + (1 << 20), os.SEEK_DATA)
        except OSError as error:
            assert error.errno == errno.ENXIO
        else:  # the format has a record at the end of each file
            assert size - 8192 <= at < size


def test_seek_edges(d):
    path = d / "file"
    path.write_bytes(noise(10_000))
    with opened(path) as fd:
        assert os.lseek(fd, 0, os.SEEK_DATA) == 0
        assert os.lseek(fd, 9_999, os.SEEK_DATA) == 9_999
        assert os.lseek(fd, 0, os.SEEK_HOLE) == 10_000
        for whence in (os.SEEK_DATA, os.SEEK_HOLE):
            with fails(errno.ENXIO):
                os.lseek(fd, 10_000, whence)
            with fails(errno.ENXIO, errno.EINVAL):
                os.lseek(fd, -1, whence)
    (d / "empty").write_bytes(b"")
    with opened(d / "empty") as fd, fails(errno.ENXIO):
        os.lseek(fd, 0, os.SEEK_DATA)


def test_random_islands(d):
    seed = random.randrange(1 << 32)
    print("seed", seed)
    rng = random.Random(seed)
    model = bytearray(8 << 20)
    with opened(d / "file", os.O_RDWR | os.O_CREAT) as fd:
        os.ftruncate(fd, len(model))
        written = []
        for _ in range(60):
            length = rng.choice((1, 100, 4066, 4096, 20_000))
            at = rng.randrange(len(model) - length)
            data = rng.randbytes(length)
            os.pwrite(fd, data, at)
            model[at : at + length] = data
            written.append((at, at + length))
            if rng.random() < 0.2:
                os.fsync(fd)
        found = regions(fd)
        for start, stop in written:
            for a in (start, stop - 1):
                assert any(x <= a < y for x, y in found), (a, found)
        assert read_all(fd) == model
    assert (d / "file").read_bytes() == model


def test_filling_holes(d):
    with opened(d / "file", os.O_RDWR | os.O_CREAT) as fd:
        os.ftruncate(fd, 1 << 20)
        model = bytearray(1 << 20)
        for at in range((1 << 20) - 4096, -1, -4096):
            os.pwrite(fd, noise(4096, at), at)
            model[at : at + 4096] = noise(4096, at)
        assert read_all(fd) == model
    assert (d / "file").read_bytes() == model


def test_punched_file_shrinks_on_disk(d):
    path = d / "file"
    path.write_bytes(noise(4 << 20))
    # FUSE's write-back cache counts the blocks of a file when it is closed.
    full = path.stat().st_blocks
    assert full * 512 >= 4 << 20
    with opened(path) as fd:
        system.fallocate(fd, system.FALLOC_PUNCH_HOLE | system.FALLOC_KEEP_SIZE, 1 << 20, 2 << 20)
        os.fsync(fd)
    with opened(path) as fd:
        assert os.fstat(fd).st_blocks < full * 0.6
        assert os.fstat(fd).st_size == 4 << 20
        assert os.pread(fd, 2 << 20, 1 << 20) == bytes(2 << 20)
