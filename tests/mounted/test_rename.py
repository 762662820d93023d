# SPDX-License-Identifier: Apache-2.0
"""rename(2) and renameat2(2)."""

import errno
import os

import pytest
from expect import fails, noise, opened, read_all
from system import RENAME_EXCHANGE, RENAME_NOREPLACE, renameat2

LONG = "l" * 255


@pytest.mark.parametrize("old", ["short", LONG], ids=["short", "long"])
@pytest.mark.parametrize("new", ["other", LONG[:-1] + "x"], ids=["short", "long"])
def test_replaces_a_file(d, old, new):
    (d / old).write_bytes(b"old")
    (d / new).write_bytes(b"replaced")
    inode = (d / old).stat().st_ino
    os.rename(d / old, d / new)
    assert os.listdir(d) == [new]
    assert (d / new).read_bytes() == b"old"
    assert (d / new).stat().st_ino == inode


def test_between_directories(d):
    for name in ("a", "b", LONG):
        (d / name).mkdir()
    (d / "a" / "file").write_bytes(noise(9000))
    os.rename(d / "a" / "file", d / "b" / LONG)
    os.rename(d / "b" / LONG, d / LONG / LONG)
    os.rename(d / LONG / LONG, d / LONG / "file")
    assert (d / LONG / "file").read_bytes() == noise(9000)
    assert os.listdir(d / "a") == os.listdir(d / "b") == []


def test_hard_links_to_one_file_are_left_alone(d):
    (d / "a").write_bytes(b"x")
    os.link(d / "a", d / "b")
    os.rename(d / "a", d / "b")
    assert sorted(os.listdir(d)) == ["a", "b"]
    os.rename(d / "a", d / "a")
    assert (d / "a").stat().st_nlink == 2


def test_directories(d):
    for name in ("dir", "empty", "full", "full/sub"):
        (d / name).mkdir()
    (d / "dir" / "file").write_bytes(b"in dir")
    (d / "file").write_bytes(b"")
    with fails(errno.ENOTEMPTY, errno.EEXIST):
        os.rename(d / "dir", d / "full")
    with fails(errno.ENOTDIR):
        os.rename(d / "dir", d / "file")
    with fails(errno.EISDIR):
        os.rename(d / "file", d / "empty")
    with fails(errno.EINVAL):
        os.rename(d / "full", d / "full" / "sub" / "below")
    with fails(errno.ENOTEMPTY, errno.EEXIST):
        os.rename(d / "full" / "sub", d / "full")
    links = d.stat().st_nlink
    os.rename(d / "dir", d / "empty")
    assert d.stat().st_nlink == links - 1
    assert (d / "empty" / "file").read_bytes() == b"in dir"
    os.rename(d / "empty", d / "full" / "moved")
    assert (d / "full" / "moved" / "file").read_bytes() == b"in dir"
    assert d.stat().st_nlink == links - 2
    # The moved directory's ".." is its new parent.
    assert os.stat(d / "full" / "moved" / "..").st_ino == (d / "full").stat().st_ino


def test_errors(d):
    (d / "dir").mkdir()
    (d / "file").write_bytes(b"")
    with fails(errno.ENOENT):
        os.rename(d / "missing", d / "x")
    with fails(errno.ENOENT):
        os.rename(d / "file", d / "missing" / "x")
    with fails(errno.ENOTDIR):
        os.rename(d / "file" / "x", d / "y")
    with fails(errno.ENAMETOOLONG):
        os.rename(d / "file", d / ("n" * 256))
    with fails(errno.EBUSY, errno.EINVAL, errno.ENOTEMPTY):
        os.rename(str(d / "dir") + "/.", d / "y")
    assert sorted(os.listdir(d)) == ["dir", "file"]


def test_no_replace(d):
    for name in ("a", "b", LONG):
        (d / name).write_bytes(name.encode())
    (d / "dir").mkdir()
    for target in ("b", LONG, "dir", "a"):
        with fails(errno.EEXIST):
            renameat2(d / "a", d / target, RENAME_NOREPLACE)
    renameat2(d / "a", d / "new", RENAME_NOREPLACE)
    assert (d / "new").read_bytes() == b"a"
    assert not (d / "a").exists()


def test_exchange(d):
    (d / "a").write_bytes(b"a")
    (d / LONG).write_bytes(b"long")
    for name in ("dir", "sub"):
        (d / name).mkdir()
    (d / "dir" / "in").write_bytes(b"in")
    renameat2(d / "a", d / LONG, RENAME_EXCHANGE)
    assert (d / "a").read_bytes() == b"long" and (d / LONG).read_bytes() == b"a"
    renameat2(d / "a", d / "dir", RENAME_EXCHANGE)
    assert (d / "dir").read_bytes() == b"long" and (d / "a" / "in").read_bytes() == b"in"
    renameat2(d / LONG, d / "a" / "in", RENAME_EXCHANGE)
    assert (d / LONG).read_bytes() == b"in" and (d / "a" / "in").read_bytes() == b"a"
    renameat2(d / "a", d / "sub", RENAME_EXCHANGE)
    assert os.listdir(d / "a") == [] and (d / "sub" / "in").read_bytes() == b"a"
    with fails(errno.ENOENT):
        renameat2(d / "a", d / "missing", RENAME_EXCHANGE)
    with fails(errno.EINVAL):
        renameat2(d / "sub", d / "sub" / "in", RENAME_EXCHANGE)


def test_unknown_flags(d):
    (d / "a").write_bytes(b"")
    with fails(errno.EINVAL):
        renameat2(d / "a", d / "b", RENAME_NOREPLACE | RENAME_EXCHANGE)
    with fails(errno.EINVAL):
        renameat2(d / "a", d / "b", 1 << 10)


def test_open_files_follow(d):
    (d / "a").write_bytes(noise(6000))
    (d / "b").write_bytes(b"victim")
    with opened(d / "a") as moved, opened(d / "b") as victim:
        os.rename(d / "a", d / "b")
        os.pwrite(moved, b"tail", 6000)
        assert read_all(victim) == b"victim"
        os.pwrite(victim, b"!", 6)
        assert read_all(victim) == b"victim!"
        assert os.fstat(victim).st_nlink == 0
        assert os.fstat(moved).st_nlink == 1
    assert (d / "b").read_bytes() == noise(6000) + b"tail"


def test_symlinks_are_moved_not_followed(d):
    (d / "file").write_bytes(b"x")
    os.symlink("file", d / "link")
    os.rename(d / "link", d / "moved")
    assert os.readlink(d / "moved") == "file"
    (d / "other").write_bytes(b"y")
    os.rename(d / "other", d / "moved")
    assert not (d / "moved").is_symlink() and (d / "file").read_bytes() == b"x"


def test_deep_tree_moves_in_one_step(d):
    deep = d / "top"
    for i in range(40):
        deep = deep / f"level{i}"
    deep.mkdir(parents=True)
    (deep / "file").write_bytes(b"deep")
    os.rename(d / "top", d / "new")
    found = [os.path.join(w, f) for w, _, fs in os.walk(d / "new") for f in fs]
    assert len(found) == 1 and open(found[0], "rb").read() == b"deep"
