# SPDX-License-Identifier: Apache-2.0
"""Snapshots of directory trees, to compare everything that a file system must keep."""

import hashlib
import os
import stat

PAGE = 4096
CHUNK = 256 * PAGE
READ_WHOLE = 64 << 20  # up to this size the file's own idea of where data is must not be trusted
ZEROS = bytes(CHUNK)


def content_digest(path):
    """
    Hashes position and bytes of every page that is not all zeros: the same for a file and its sparse
    copy. Only where a big file says that it has data is it read, so that many terabytes are quick.
    """
    digest = hashlib.sha256()
    with open(path, "rb", buffering=0) as file:
        end = os.fstat(file.fileno()).st_size
        at = 0
        while at < end:
            stop = end
            if end > READ_WHOLE:
                try:
                    at = os.lseek(file.fileno(), at, os.SEEK_DATA)
                    stop = os.lseek(file.fileno(), at, os.SEEK_HOLE)
                except OSError:  # ENXIO: only a hole is left
                    break
                at -= at % PAGE
            while at < stop:
                data = os.pread(file.fileno(), CHUNK, at)
                if not data:
                    raise AssertionError(f"{path}: ends at {at}, but its size is {end}")
                if data != ZEROS[: len(data)]:
                    for page in range(0, len(data), PAGE):
                        part = data[page : page + PAGE]
                        if part != ZEROS[: len(part)]:
                            digest.update(b"%d:" % (at + page))
                            digest.update(part)
                at += len(data)
    return digest.hexdigest()


def xattrs(path):
    return {
        name: os.getxattr(path, name, follow_symlinks=False)
        for name in sorted(os.listxattr(path, follow_symlinks=False))
    }


def describe(path, content=True, owner=True):
    """Everything comparable about one object, as a dictionary."""
    info = os.lstat(path)
    ret = {
        "type": stat.S_IFMT(info.st_mode),
        "mode": oct(stat.S_IMODE(info.st_mode)),
        "nlink": info.st_nlink,
        "mtime": info.st_mtime_ns,
        "xattrs": xattrs(path),
    }
    if owner:
        ret["owner"] = (info.st_uid, info.st_gid)
    if stat.S_ISREG(info.st_mode):
        ret["size"] = info.st_size
        if content:
            ret["content"] = content_digest(path)
    elif stat.S_ISLNK(info.st_mode):
        ret["size"] = info.st_size
        ret["target"] = os.readlink(path)
    elif stat.S_ISBLK(info.st_mode) or stat.S_ISCHR(info.st_mode):
        ret["device"] = info.st_rdev
    return ret


def snapshot(top, inodes=False, content=True, owner=True):
    """
    {relative path: description} of everything below top and top itself (bytes paths). Hard links
    show as the first path of their group; with inodes the numbers are compared as well.
    """
    top = os.fsencode(top)
    ret, first = {}, {}

    def add(path):
        relative = os.path.relpath(path, top)
        info = os.lstat(path)
        ret[relative] = describe(path, content, owner)
        if inodes:
            ret[relative]["inode"] = info.st_ino
        if not stat.S_ISDIR(info.st_mode) and info.st_nlink > 1:
            ret[relative]["link to"] = first.setdefault((info.st_dev, info.st_ino), relative)
        return stat.S_ISDIR(info.st_mode)

    def walk(directory):
        for name in sorted(os.listdir(directory)):
            path = os.path.join(directory, name)
            if add(path):
                walk(path)

    add(top)
    walk(top)
    return ret


def differences(before, after, ignore=(), most=20):
    """Lines that name each difference between two snapshots; ignore: fields, e.g. "nlink"."""
    lines = []
    for path in sorted(before.keys() | after.keys()):
        if path not in after:
            lines.append(f"{path!r}: lost")
        elif path not in before:
            lines.append(f"{path!r}: appeared")
        else:
            old, new = before[path], after[path]
            for field in sorted(old.keys() | new.keys()):
                if field not in ignore and old.get(field) != new.get(field):
                    lines.append(f"{path!r}: {field} {old.get(field)!r} became {new.get(field)!r}")
    if len(lines) > most:
        lines = lines[:most] + [f"and {len(lines) - most} more differences"]
    return lines


def assert_same(before, after, ignore=()):
    found = differences(before, after, ignore)
    assert not found, "\n".join(found)
