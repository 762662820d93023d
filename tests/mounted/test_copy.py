# SPDX-License-Identifier: Apache-2.0
"""copy_file_range, sendfile, splice, and reflinks (which cannot be)."""

import errno
import fcntl
import os

from expect import fails, noise, opened, read_all

FICLONE = 0x40049409


def copy(source, target, length, at, to):
    done = 0
    while done < length:
        step = os.copy_file_range(source, target, length - done, at + done, to + done)
        if step == 0:
            break
        done += step
    return done


def test_between_files(d):
    data = noise(300_000)
    (d / "a").write_bytes(data)
    for at, length, to in ((0, 300_000, 0), (1, 3906, 10), (3905, 5000, 0), (100_000, 999_999, 7)):
        with opened(d / "a", os.O_RDONLY) as a, opened(d / f"{at}", os.O_RDWR | os.O_CREAT) as b:
            part = data[at : at + length]
            assert copy(a, b, length, at, to) == len(part)
            assert read_all(b) == bytes(to) + part


def test_of_what_is_not_written_back_yet(d):
    with opened(d / "a", os.O_RDWR | os.O_CREAT) as a, opened(d / "b", os.O_RDWR | os.O_CREAT) as b:
        os.write(a, noise(70_000))
        os.write(b, noise(90_000, 1))
        assert copy(a, b, 50_000, 10_000, 20_000) == 50_000
        expected = noise(90_000, 1)[:20_000] + noise(70_000)[10_000:60_000] + noise(90_000, 1)[70_000:]
        assert read_all(b) == expected
        os.pwrite(a, b"later", 10_000)
        assert read_all(b) == expected


def test_within_a_file(d):
    with opened(d / "a", os.O_RDWR | os.O_CREAT) as a:
        os.write(a, noise(50_000))
        assert copy(a, a, 10_000, 0, 60_000) == 10_000
        assert read_all(a) == noise(50_000) + bytes(10_000) + noise(50_000)[:10_000]
        with fails(errno.EINVAL):
            os.copy_file_range(a, a, 1000, 0, 500)


def test_edges(d):
    (d / "a").write_bytes(b"x" * 100)
    with opened(d / "a") as a, opened(d / "b", os.O_RDWR | os.O_CREAT) as b:
        assert os.copy_file_range(a, b, 10, 100, 0) == 0
        assert os.copy_file_range(a, b, 0, 0, 0) == 0
        assert os.fstat(b).st_size == 0
    with opened(d / "a") as a, opened(d / "b", os.O_RDONLY) as b, fails(errno.EBADF):
        os.copy_file_range(a, b, 10)


def test_splice(d):
    (d / "a").write_bytes(noise(200_000))
    pipe_r, pipe_w = os.pipe()
    with opened(d / "a", os.O_RDONLY) as a, opened(d / "b", os.O_RDWR | os.O_CREAT) as b:
        done = 0
        while done < 200_000:
            got = os.splice(a, pipe_w, 65536)
            while got:
                moved = os.splice(pipe_r, b, got)
                got -= moved
                done += moved
        assert read_all(b) == noise(200_000)
    os.close(pipe_r)
    os.close(pipe_w)


def test_sendfile(d):
    (d / "a").write_bytes(noise(100_000))
    with opened(d / "a", os.O_RDONLY) as a, opened(d / "b", os.O_RDWR | os.O_CREAT) as b:
        at = 0
        while step := os.sendfile(b, a, at, 1 << 20):
            at += step
        assert read_all(b) == noise(100_000)


def test_reflink_is_refused(d):
    """Two blobs never share ciphertext; programs fall back to copying."""
    (d / "a").write_bytes(noise(10_000))
    with opened(d / "a") as a, opened(d / "b", os.O_RDWR | os.O_CREAT) as b:
        try:
            fcntl.ioctl(b, FICLONE, a)
        except OSError as error:
            assert error.errno in (errno.EOPNOTSUPP, errno.ENOTTY, errno.EXDEV, errno.EINVAL, errno.ENOSYS)
            assert os.fstat(b).st_size == 0
        else:
            assert read_all(b) == noise(10_000)
