# SPDX-License-Identifier: Apache-2.0
"""flock, fcntl and open-file-description locks between processes."""

import errno
import fcntl
import os
import struct

from expect import opened

F_OFD_SETLK = 37


def attempt(path, action):
    """Tries a lock in another process: 0, or the errno."""
    pid = os.fork()
    if pid == 0:
        try:
            fd = os.open(path, os.O_RDWR)
            action(fd)
            os._exit(0)
        except OSError as error:
            os._exit(error.errno)
        finally:
            os._exit(255)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def flock(how):
    return lambda fd: fcntl.flock(fd, how | fcntl.LOCK_NB)


def lockf(how, start, length):
    return lambda fd: fcntl.lockf(fd, how | fcntl.LOCK_NB, length, start)


def ofd(kind, start, length):
    return lambda fd: fcntl.fcntl(fd, F_OFD_SETLK, struct.pack("hhqqi4x", kind, 0, start, length, 0))


def test_flock(d):
    with opened(d / "file", os.O_RDWR | os.O_CREAT) as fd:
        fcntl.flock(fd, fcntl.LOCK_EX)
        assert attempt(d / "file", flock(fcntl.LOCK_EX)) == errno.EAGAIN
        assert attempt(d / "file", flock(fcntl.LOCK_SH)) == errno.EAGAIN
        fcntl.flock(fd, fcntl.LOCK_SH)
        assert attempt(d / "file", flock(fcntl.LOCK_SH)) == 0
        assert attempt(d / "file", flock(fcntl.LOCK_EX)) == errno.EAGAIN
        # A duplicate shares the lock, a second open does not.
        copy = os.dup(fd)
        fcntl.flock(copy, fcntl.LOCK_UN)
        os.close(copy)
        assert attempt(d / "file", flock(fcntl.LOCK_EX)) == 0
        fcntl.flock(fd, fcntl.LOCK_EX)
    assert attempt(d / "file", flock(fcntl.LOCK_EX)) == 0


def test_record_locks(d):
    with opened(d / "file", os.O_RDWR | os.O_CREAT) as fd:
        fcntl.lockf(fd, fcntl.LOCK_EX, 100, 1000)
        assert attempt(d / "file", lockf(fcntl.LOCK_EX, 0, 1000)) == 0
        assert attempt(d / "file", lockf(fcntl.LOCK_SH, 1099, 1)) in (errno.EAGAIN, errno.EACCES)
        assert attempt(d / "file", lockf(fcntl.LOCK_EX, 1100, 0)) == 0
        fcntl.lockf(fd, fcntl.LOCK_UN, 50, 1000)
        assert attempt(d / "file", lockf(fcntl.LOCK_EX, 1000, 50)) == 0
        assert attempt(d / "file", lockf(fcntl.LOCK_EX, 1050, 1)) in (errno.EAGAIN, errno.EACCES)
        # Closing any descriptor of the file drops the process's record locks.
        os.close(os.open(d / "file", os.O_RDONLY))
        assert attempt(d / "file", lockf(fcntl.LOCK_EX, 0, 0)) == 0


def test_who_holds_a_lock(d):
    with opened(d / "file", os.O_RDWR | os.O_CREAT) as fd:
        fcntl.lockf(fd, fcntl.LOCK_EX, 10, 20)
        mine = os.getpid()

        def ask(other):
            query = struct.pack("hhqqi4x", fcntl.F_WRLCK, 0, 0, 0, 0)
            kind, _, start, length, pid = struct.unpack("hhqqi4x", fcntl.fcntl(other, fcntl.F_GETLK, query))
            assert (kind, start, length, pid) == (fcntl.F_WRLCK, 20, 10, mine)

        assert attempt(d / "file", ask) == 0


def test_open_file_description_locks(d):
    with opened(d / "file", os.O_RDWR | os.O_CREAT) as fd:
        ofd(fcntl.F_WRLCK, 0, 100)(fd)
        assert attempt(d / "file", ofd(fcntl.F_RDLCK, 50, 10)) in (errno.EAGAIN, errno.EACCES)
        # Unlike record locks they survive the close of another descriptor.
        os.close(os.open(d / "file", os.O_RDONLY))
        assert attempt(d / "file", ofd(fcntl.F_WRLCK, 99, 1)) in (errno.EAGAIN, errno.EACCES)
    assert attempt(d / "file", ofd(fcntl.F_WRLCK, 0, 0)) == 0


def test_a_waiting_lock_is_granted(d):
    for take in (
        lambda fd: fcntl.flock(fd, fcntl.LOCK_EX),
        lambda fd: fcntl.lockf(fd, fcntl.LOCK_EX),
    ):
        with opened(d / "file", os.O_RDWR | os.O_CREAT) as fd:
            take(fd)
            reader, writer = os.pipe()
            pid = os.fork()
            if pid == 0:
                other = os.open(d / "file", os.O_RDWR)
                os.write(writer, b"w")
                take(other)  # blocks until the parent closes
                os.write(writer, b"g")
                os._exit(0)
            assert os.read(reader, 1) == b"w"
            fcntl.lockf(fd, fcntl.LOCK_UN)
            fcntl.flock(fd, fcntl.LOCK_UN)
            assert os.read(reader, 1) == b"g"
            assert os.waitpid(pid, 0)[1] == 0
            os.close(reader)
            os.close(writer)


def test_locks_end_with_their_process(d):
    (d / "file").write_bytes(b"")
    for action in (flock(fcntl.LOCK_EX), lockf(fcntl.LOCK_EX, 0, 0), ofd(fcntl.F_WRLCK, 0, 0)):
        for _ in range(3):
            assert attempt(d / "file", action) == 0
