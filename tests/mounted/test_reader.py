# SPDX-License-Identifier: Apache-2.0
"""Another implementation, written from coffer-format(5), reads what the mount wrote."""

import os
import stat
import subprocess

import harness
import pytest
from expect import noise

pytest.importorskip("cryptography", "38")
import reader  # noqa: E402: needs cryptography

SIZES = (0, 1, 3905, 3906, 3907, 4096, 7844, 7845, 11910, 11911, 1 << 20)


def fill(top):
    """One of everything that the format knows."""
    for size in SIZES:
        with open(f"{top}/{size}", "wb") as file:
            file.write(noise(size))
    with open(f"{top}/sparse", "wb") as file:
        file.write(noise(100))
        file.seek(1 << 20)
        file.write(noise(5000))
    with open(f"{top}/stretched", "wb") as file:
        file.truncate(100_000)
    with open(f"{top}/shrunk", "wb") as file:
        file.write(noise(100_000))
        file.truncate(5000)
    where = f"{top}/directory"
    for length in (1, 175, 176, 255):
        where += "/" + "n" * length
        os.makedirs(where)
        with open(where + "/" + "f" * length, "wb") as file:
            file.write(b"text")
    for length in (1, 714, 715, 4095):
        os.symlink("t" * length, f"{top}/symlink{length}")
    for length in (1, 170, 171, 250):
        os.setxattr(f"{top}/1", "user." + "a" * length, noise(length))
    os.setxattr(f"{top}/1", "user.empty", b"")
    os.setxattr(f"{top}/directory", "user.of a directory", b"value")


def xattrs(path):
    return {
        name: os.getxattr(path, name, follow_symlinks=False)
        for name in os.listxattr(path, follow_symlinks=False)
    }


def names_below(top):
    ret = {b""}
    for where, dirs, files in os.walk(top):
        ret |= {where[len(top) :] + b"/" + name for name in dirs + files}
    return ret


def test_the_page_is_complete(repo, tmp):
    copy = os.fsencode(tmp / "copy")
    with harness.Mount(repo, tmp / "mnt") as m:
        fill(m.point)
        subprocess.run(["cp", "-a", m.point, copy], check=True)
    r = reader.Repository(repo.path, harness.PASSWORD)
    found = set()
    for plain, path in r.walk():
        original = copy + plain
        kind = stat.S_IFMT(os.lstat(original).st_mode)
        assert stat.S_IFMT(os.lstat(path).st_mode) == kind, plain
        assert r.xattrs(path) == xattrs(original), plain
        if kind == stat.S_IFREG:
            with open(original, "rb") as file:
                assert r.content(path) == file.read(), plain
        elif kind == stat.S_IFLNK:
            assert r.target(path) == os.readlink(original), plain
        found.add(plain)
    assert found == names_below(copy)
