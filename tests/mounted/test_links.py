# SPDX-License-Identifier: Apache-2.0
"""Hard links, symbolic links, and link counts."""

import errno
import os

import pytest
from expect import fails, noise, opened

LONG = "h" * 255


def test_hard_links(d):
    (d / "sub").mkdir()
    (d / "a").write_bytes(noise(5000))
    for i, name in enumerate(("b", LONG, "sub/c"), start=2):
        os.link(d / "a", d / name)
        assert (d / name).stat().st_nlink == i
        assert (d / name).stat().st_ino == (d / "a").stat().st_ino
    with opened(d / LONG) as fd:
        os.pwrite(fd, b"changed", 0)
    assert (d / "sub" / "c").read_bytes()[:7] == b"changed"
    os.unlink(d / "a")
    assert (d / "b").stat().st_nlink == 3
    os.unlink(d / LONG)
    assert (d / "b").read_bytes() == b"changed" + noise(5000)[7:]


def test_hard_link_errors(d):
    (d / "a").write_bytes(b"")
    (d / "b").write_bytes(b"")
    (d / "dir").mkdir()
    with fails(errno.EEXIST):
        os.link(d / "a", d / "b")
    with fails(errno.EPERM):
        os.link(d / "dir", d / "hard")
    with fails(errno.ENOENT):
        os.link(d / "missing", d / "x")
    with fails(errno.ENAMETOOLONG):
        os.link(d / "a", d / ("n" * 256))


def test_hard_link_to_a_symlink(d):
    os.symlink("nowhere", d / "link")
    os.link(d / "link", d / "second", follow_symlinks=False)
    assert os.readlink(d / "second") == "nowhere"
    assert os.lstat(d / "second").st_nlink == 2


def test_many_hard_links(d):
    (d / "f").write_bytes(b"x")
    for i in range(1000):
        os.link(d / "f", d / f"{i}")
    assert (d / "f").stat().st_nlink == 1001
    for i in range(1000):
        os.unlink(d / f"{i}")
    assert (d / "f").stat().st_nlink == 1


def test_directory_link_counts(d):
    base = d.stat().st_nlink
    for i in range(5):
        (d / f"sub{i}").mkdir()
        assert d.stat().st_nlink == base + i + 1
    (d / "file").write_bytes(b"")
    assert d.stat().st_nlink == base + 5
    assert (d / "sub0").stat().st_nlink == 2
    for i in range(5):
        (d / f"sub{i}").rmdir()
    assert d.stat().st_nlink == base


# All lengths around those where the stored form changes, and a sample of the others.
LENGTHS = sorted({*range(1, 20), *range(690, 730), *range(17, 4095, 97), 1023, 1024, 4094, 4095})


def test_symlink_targets_of_any_length(d):
    for length in LENGTHS:
        target = ("t%d/" % length + "x" * length)[:length]
        os.symlink(target, d / str(length))
    for length in LENGTHS:
        target = ("t%d/" % length + "x" * length)[:length]
        assert os.readlink(d / str(length)) == target
        info = os.lstat(d / str(length))
        assert info.st_size == length
        assert info.st_mode & 0o777 == 0o777


def test_symlink_targets_of_any_byte(d):
    target = bytes(range(1, 256))
    path = os.fsencode(d / "link")
    os.symlink(target, path)
    assert os.readlink(path) == target


def test_symlink_errors(d):
    (d / "a").write_bytes(b"")
    with fails(errno.EEXIST):
        os.symlink("x", d / "a")
    with fails(errno.ENAMETOOLONG):
        os.symlink("x" * 4096, d / "long")
    with fails(errno.ENOENT):
        os.symlink("", d / "empty")
    with fails(errno.EINVAL):
        os.readlink(d / "a")


@pytest.mark.parametrize("length", [10, 4000])
def test_long_targets_are_moved_linked_and_removed(d, length):
    target = ("v" * length)[:length]
    os.symlink(target, d / "a")
    os.rename(d / "a", d / "b")
    os.link(d / "b", d / "c", follow_symlinks=False)
    os.unlink(d / "b")
    assert os.readlink(d / "c") == target
    os.symlink("y" * length, d / "d")
    os.rename(d / "d", d / "c")
    assert os.readlink(d / "c") == "y" * length
    os.unlink(d / "c")
    assert os.listdir(d) == []


def test_symlinks_are_followed(d):
    (d / "sub").mkdir()
    (d / "sub" / "file").write_bytes(b"through")
    os.symlink("sub/../sub/file", d / "one")
    os.symlink("one", d / "two")
    os.symlink("sub", d / "dirlink")
    os.symlink(d / "sub" / "file", d / "absolute")
    os.symlink("loop", d / "loop")
    assert (d / "two").read_bytes() == (d / "absolute").read_bytes() == b"through"
    assert (d / "dirlink" / "file").read_bytes() == b"through"
    with fails(errno.ELOOP):
        os.stat(d / "loop")
    with fails(errno.ENOTDIR):
        os.rmdir(d / "dirlink")
