# SPDX-License-Identifier: Apache-2.0
"""System calls that Python's os module lacks, and running code as another user."""

import contextlib
import ctypes
import os
import struct

# An ordinary user. fusermount3 wants a name for him, so it is one that every Debian has.
USER = 34  # backup
GROUP = 34
# A user and a group that nothing knows.
OTHER_USER = 54323
OTHER_GROUP = 54324

RENAME_NOREPLACE = 1
RENAME_EXCHANGE = 2

FALLOC_KEEP_SIZE = 0x01
FALLOC_PUNCH_HOLE = 0x02
FALLOC_COLLAPSE_RANGE = 0x08
FALLOC_ZERO_RANGE = 0x10
FALLOC_INSERT_RANGE = 0x20

AT_FDCWD = -100
UTIME_NOW = (1 << 30) - 1
UTIME_OMIT = (1 << 30) - 2

MS_REMOUNT = 0x20
MNT_DETACH = 2

libc = ctypes.CDLL(None, use_errno=True)


def check(result, *what):
    """Raises OSError for a C function's -1."""
    if result == -1:
        err = ctypes.get_errno()
        raise OSError(err, os.strerror(err), *[os.fsdecode(w) for w in what[:1]])
    return result


def renameat2(old, new, flags):
    old, new = os.fsencode(old), os.fsencode(new)
    check(libc.renameat2(AT_FDCWD, old, AT_FDCWD, new, ctypes.c_uint(flags)), old)


def link_descriptor(fd, new):
    """Gives an unnamed file a name (linkat with AT_SYMLINK_FOLLOW, which os.link does not use)."""
    old, new = b"/proc/self/fd/%d" % fd, os.fsencode(new)
    check(libc.linkat(AT_FDCWD, old, AT_FDCWD, new, 0x400), new)


def fallocate(fd, mode, offset, length):
    call = libc.fallocate
    call.argtypes = (ctypes.c_int, ctypes.c_int, ctypes.c_int64, ctypes.c_int64)
    check(call(fd, mode, offset, length))


class Timespec(ctypes.Structure):
    _fields_ = [("sec", ctypes.c_long), ("nsec", ctypes.c_long)]


def utimensat(path, atime, mtime, follow=True):
    """Times as (seconds, nanoseconds); nanoseconds may be UTIME_NOW or UTIME_OMIT."""
    times = (Timespec * 2)(Timespec(*atime), Timespec(*mtime))
    path = os.fsencode(path)
    check(libc.utimensat(AT_FDCWD, path, times, 0 if follow else 0x100), path)


def syncfs(fd):
    check(libc.syncfs(fd))


def umount(path, flags=0):
    path = os.fsencode(path)
    check(libc.umount2(path, flags), path)


def getdents(fd, size=32768):
    """One getdents64: a list of (inode, offset of the next entry, type, name)."""
    buffer = ctypes.create_string_buffer(size)
    got = check(libc.getdents64(fd, buffer, ctypes.c_size_t(size)))
    entries, at = [], 0
    while at < got:
        inode, offset, length, kind = struct.unpack_from("<QqHB", buffer.raw, at)
        name = buffer.raw[at + 19 : at + length].split(b"\0", 1)[0]
        entries.append((inode, offset, kind, name))
        at += length
    return entries


@contextlib.contextmanager
def acting_as(uid, gid, groups=()):
    """
    Runs the block with this effective identity (file access checks follow it, and the effective
    capabilities are gone), then becomes root again.
    """
    before = os.getgroups()
    os.setgroups(list(groups))
    os.setegid(gid)
    os.seteuid(uid)
    try:
        yield
    finally:
        os.seteuid(0)
        os.setegid(0)
        os.setgroups(before)


@contextlib.contextmanager
def root_again():
    """Root for a moment, inside acting_as, for what a test prepares."""
    uid, gid = os.geteuid(), os.getegid()
    os.seteuid(0)
    os.setegid(0)
    try:
        yield
    finally:
        os.setegid(gid)
        os.seteuid(uid)


def in_child(function, uid=None, gid=None, groups=()):
    """
    Runs function() in a forked process (fully as uid/gid if given) and returns its exit status;
    a negative one is a signal. An exception is exit status 70, printed.
    """
    pid = os.fork()
    if pid == 0:
        status = 70
        try:
            if uid is not None:
                os.setgroups(list(groups))
                os.setresgid(gid, gid, gid)
                os.setresuid(uid, uid, uid)
            status = function() or 0
        except BaseException as error:  # the child must never return into pytest
            os.write(2, f"child: {error!r}\n".encode())
        finally:
            os._exit(status)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
