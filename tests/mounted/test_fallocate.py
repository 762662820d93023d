# SPDX-License-Identifier: Apache-2.0
"""fallocate(2) in its modes, against a model in memory."""

import errno
import os
import random

import pytest
from expect import fails, noise, opened, read_all
from system import (
    FALLOC_COLLAPSE_RANGE,
    FALLOC_INSERT_RANGE,
    FALLOC_KEEP_SIZE,
    FALLOC_PUNCH_HOLE,
    FALLOC_ZERO_RANGE,
    fallocate,
)

# Offsets and lengths around the boundaries of records and pages.
RANGES = [
    (0, 1), (0, 3906), (1, 3905), (3905, 2), (3906, 3938), (3000, 9000), (4096, 4096), (7844, 4066),
    (11_910, 20_000), (29_999, 1), (29_000, 5000), (30_000, 10), (50_000, 100),
]  # fmt: skip


@pytest.mark.parametrize("start,length", RANGES)
def test_allocate(d, start, length):
    with opened(d / "file", os.O_RDWR | os.O_CREAT) as fd:
        os.write(fd, noise(30_000))
        fallocate(fd, FALLOC_KEEP_SIZE, start, length)
        assert read_all(fd) == noise(30_000)
        fallocate(fd, 0, start, length)
        assert read_all(fd) == noise(30_000).ljust(start + length, b"\0")
    assert (d / "file").stat().st_size == max(30_000, start + length)


@pytest.mark.parametrize("start,length", RANGES)
def test_punch(d, start, length):
    model = bytearray(noise(30_000))
    with opened(d / "file", os.O_RDWR | os.O_CREAT) as fd:
        os.write(fd, model)
        fallocate(fd, FALLOC_PUNCH_HOLE | FALLOC_KEEP_SIZE, start, length)
        zero(model, start, length, grow=False)
        assert read_all(fd) == model
    assert (d / "file").read_bytes() == model


@pytest.mark.parametrize("keep", [0, FALLOC_KEEP_SIZE])
@pytest.mark.parametrize("start,length", RANGES)
def test_zero_range(d, start, length, keep):
    model = bytearray(noise(30_000))
    with opened(d / "file", os.O_RDWR | os.O_CREAT) as fd:
        os.write(fd, model)
        fallocate(fd, FALLOC_ZERO_RANGE | keep, start, length)
        zero(model, start, length, grow=not keep)
        assert read_all(fd) == model
        os.pwrite(fd, b"again", start)
    assert (d / "file").stat().st_size == max(len(model), start + 5)


def zero(model, start, length, grow):
    end = start + length
    if grow and end > len(model):
        model.extend(bytes(end - len(model)))
    end = min(end, len(model))
    if start < end:
        model[start:end] = bytes(end - start)


def test_whole_file_punched_and_written_again(d):
    with opened(d / "file", os.O_RDWR | os.O_CREAT) as fd:
        os.write(fd, noise(50_000))
        for _ in range(3):
            fallocate(fd, FALLOC_PUNCH_HOLE | FALLOC_KEEP_SIZE, 0, 50_000)
            assert read_all(fd) == bytes(50_000)
            os.pwrite(fd, noise(50_000), 0)
            assert read_all(fd) == noise(50_000)


def test_posix_fallocate(d):
    with opened(d / "file", os.O_RDWR | os.O_CREAT) as fd:
        os.posix_fallocate(fd, 0, 100_000)
        assert os.fstat(fd).st_size == 100_000
        assert read_all(fd) == bytes(100_000)
        assert os.fstat(fd).st_blocks * 512 >= 100_000


@pytest.mark.no_control
def test_unsupported_modes_say_so(d):
    with opened(d / "file", os.O_RDWR | os.O_CREAT) as fd:
        os.write(fd, noise(20_000))
        for mode in (FALLOC_COLLAPSE_RANGE, FALLOC_INSERT_RANGE):
            with fails(errno.EOPNOTSUPP):
                fallocate(fd, mode, 0, 4096)
        assert read_all(fd) == noise(20_000)


def test_errors(d):
    with opened(d / "file", os.O_RDWR | os.O_CREAT) as fd:
        for start, length in ((0, 0), (-1, 10), (0, -1)):
            with fails(errno.EINVAL):
                fallocate(fd, 0, start, length)
        with fails(errno.EOPNOTSUPP, errno.EINVAL):
            fallocate(fd, FALLOC_PUNCH_HOLE, 0, 10)
    with opened(d / "file", os.O_RDONLY) as fd, fails(errno.EBADF):
        fallocate(fd, 0, 0, 10)


def test_random_sequence(d):
    seed = random.randrange(1 << 32)
    print("seed", seed)
    rng = random.Random(seed)
    model = bytearray()
    with opened(d / "file", os.O_RDWR | os.O_CREAT) as fd:
        for _ in range(300):
            start, length = rng.randrange(60_000), rng.randrange(1, 20_000)
            action = rng.randrange(5)
            if action == 0:
                data = rng.randbytes(length)
                os.pwrite(fd, data, start)
                zero(model, start, length, grow=True)
                model[start : start + length] = data
            elif action == 1:
                fallocate(fd, FALLOC_PUNCH_HOLE | FALLOC_KEEP_SIZE, start, length)
                zero(model, start, length, grow=False)
            elif action == 2:
                fallocate(fd, FALLOC_ZERO_RANGE, start, length)
                zero(model, start, length, grow=True)
            elif action == 3:
                fallocate(fd, 0, start, length)
                model.extend(bytes(max(0, start + length - len(model))))
            else:
                os.ftruncate(fd, start)
                del model[start:]
                model.extend(bytes(start - len(model)))
            assert read_all(fd) == model
    assert (d / "file").read_bytes() == model
