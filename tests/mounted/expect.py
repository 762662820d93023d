# SPDX-License-Identifier: Apache-2.0
"""Small helpers that make the conformance tests read like statements."""

import contextlib
import errno
import os
import random

import pytest

# Sizes around every boundary of the format: the capacities of records 0, 1 and the others, pages, requests.
SIZES = (
    0, 1, 31, 32, 3905, 3906, 3907, 4095, 4096, 4097, 7843, 7844, 7845, 8192, 11909, 11910, 11911,
    65535, 65536, 131072, (1 << 20) - 1, 1 << 20, (1 << 20) + 1, 3906 + 3938 + 4066 * 300,
)  # fmt: skip


@contextlib.contextmanager
def fails(*codes):
    """The block must raise OSError with one of these errno values."""
    names = [errno.errorcode[c] for c in codes]
    try:
        yield
    except OSError as error:
        got = errno.errorcode.get(error.errno, error.errno)
        assert error.errno in codes, f"failed with {got}, not {names}"
    else:
        pytest.fail(f"succeeded, but must fail with {names}")


def noise(size, seed=0):
    """Bytes that do not compress or repeat; the same for the same seed."""
    return random.Random(seed * 1000003 + size).randbytes(size)


@contextlib.contextmanager
def opened(path, flags=os.O_RDWR, mode=0o644):
    fd = os.open(path, flags, mode)
    try:
        yield fd
    finally:
        os.close(fd)


def read_all(fd):
    """The whole content by pread, which stops only at the end of the file."""
    parts, at = [], 0
    while part := os.pread(fd, 1 << 20, at):
        parts.append(part)
        at += len(part)
    return b"".join(parts)
