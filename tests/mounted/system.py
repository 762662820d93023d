# SPDX-License-Identifier: Apache-2.0
"""System calls that Python's os module lacks, and running code as another user."""

import contextlib
import ctypes
import os
import platform
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


class CapHeader(ctypes.Structure):
    _fields_ = [("version", ctypes.c_uint32), ("pid", ctypes.c_int)]


class CapData(ctypes.Structure):
    _fields_ = [(name, ctypes.c_uint32) for name in ("effective", "permitted", "inheritable")]


def use_capabilities(use):
    """Makes the calling thread's permitted capabilities effective, or puts them aside."""
    header, data = CapHeader(0x20080522, 0), (CapData * 2)()
    check(libc.capget(ctypes.byref(header), data))
    for part in data:
        part.effective = part.permitted if use else 0
    check(libc.capset(ctypes.byref(header), data))


def keep_capabilities(keep):
    """Whether a change of user ids leaves capabilities alone (SECBIT_NO_SETUID_FIXUP)."""
    check(libc.prctl(28, 4 if keep else 0, 0, 0, 0))  # PR_SET_SECUREBITS


# setgroups, setresgid, setresuid. The C library's would change all threads, and abort where one of them
# lacks the privilege; the kernel's change the caller alone.
IDENTITY_CALLS = {"x86_64": (116, 119, 117), "aarch64": (159, 149, 147)}


def become(uid, gid, groups):
    """All ids, because FUSE compares all of them with those of a mount's owner."""
    setgroups, setresgid, setresuid = IDENTITY_CALLS[platform.machine()]
    use_capabilities(True)
    check(libc.syscall(setgroups, len(groups), (ctypes.c_uint32 * len(groups))(*groups)))
    check(libc.syscall(setresgid, gid, gid, gid))
    check(libc.syscall(setresuid, uid, uid, uid))
    use_capabilities(uid == 0)


@contextlib.contextmanager
def acting_as(uid, gid, groups=()):
    """
    Runs the block with this identity and without any privilege (unless it is root's), then goes back.
    Concerns the calling thread, and what it starts.
    """
    before = os.geteuid(), os.getegid(), os.getgroups()
    if before[0] == 0:
        keep_capabilities(True)
    become(uid, gid, groups)
    try:
        yield
    finally:
        become(*before)
        if before[0] == 0:
            keep_capabilities(False)


def root_again():
    """Root for a moment, inside acting_as, for what a test prepares."""
    return acting_as(0, 0)


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
                keep_capabilities(False)
                os.setgroups(list(groups))
                os.setresgid(gid, gid, gid)
                os.setresuid(uid, uid, uid)
            status = function() or 0
        except BaseException as error:  # the child must never return into pytest
            os.write(2, f"child: {error!r}\n".encode())
        finally:
            os._exit(status)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
