# SPDX-License-Identifier: Apache-2.0
"""Listing directories: complete, without doubles, from any position, while they change."""

import os
import stat

import pytest
import system
from expect import opened

COUNT = 10_000


def make(d, count):
    fd = os.open(d, os.O_RDONLY)
    for i in range(count):
        os.close(os.open(f"entry-{i:07}", os.O_CREAT | os.O_WRONLY, 0o644, dir_fd=fd))
    os.close(fd)
    return {f"entry-{i:07}" for i in range(count)}


def listing(fd, size=32768):
    """All entries from the descriptor's position on."""
    ret = []
    while part := system.getdents(fd, size):
        ret += part
    return ret


def test_large_directory(d):
    names = make(d, COUNT)
    found = os.listdir(d)
    assert len(found) == COUNT and set(found) == names
    with os.scandir(d) as entries:
        for entry in entries:
            assert entry.is_file() and entry.inode() == os.lstat(entry.path).st_ino
    for name in sorted(names)[::2]:
        os.unlink(d / name)
    assert set(os.listdir(d)) == set(sorted(names)[1::2])


@pytest.mark.long
@pytest.mark.root_only
def test_a_million_entries(d):
    names = make(d, 1_000_000)
    found = os.listdir(d)
    assert len(found) == len(names) and set(found) == names
    for name in found:
        os.unlink(d / name)
    assert os.listdir(d) == []


def test_types_and_dots(d):
    (d / "file").write_bytes(b"")
    (d / "dir").mkdir()
    (d / "link").symlink_to("x")
    os.mkfifo(d / "fifo")
    with opened(d, os.O_RDONLY) as fd:
        found = {name.decode(): (inode, kind) for inode, _, kind, name in listing(fd)}
    assert set(found) == {".", "..", "file", "dir", "link", "fifo"}
    for name, (inode, kind) in found.items():
        info = os.lstat(d / name)
        assert kind == stat.S_IFMT(info.st_mode) >> 12, name
        assert inode == info.st_ino, name


@pytest.mark.parametrize("size", [300, 1000, 32768, 1 << 20])
def test_any_buffer_size(d, size):
    names = make(d, 500) | {".", ".."}
    (d / ("l" * 255)).write_bytes(b"")
    with opened(d, os.O_RDONLY) as fd:
        found = [name.decode() for *_, name in listing(fd, size)]
    assert sorted(found) == sorted(names | {"l" * 255})


def test_seek_to_any_entry(d):
    make(d, 1000)
    with opened(d, os.O_RDONLY) as fd:
        whole = listing(fd)
        for at in [*range(0, len(whole) - 1, 37), 0, len(whole) - 2]:
            os.lseek(fd, whole[at][1], os.SEEK_SET)
            rest = [entry[3] for entry in listing(fd)]
            assert rest == [entry[3] for entry in whole[at + 1 :]]
        os.lseek(fd, whole[-1][1], os.SEEK_SET)
        assert listing(fd) == []


def test_rewind_shows_changes(d):
    names = make(d, 100)
    with opened(d, os.O_RDONLY) as fd:
        assert len(listing(fd)) == 102
        os.unlink(d / "entry-0000050")
        (d / "new").write_bytes(b"")
        os.lseek(fd, 0, os.SEEK_SET)
        now = {entry[3].decode() for entry in listing(fd)} - {".", ".."}
    assert now == names - {"entry-0000050"} | {"new"}


def test_removal_while_listing_skips_nothing(d):
    """What rm -r does."""
    names = make(d, 3000)
    seen = []
    with opened(d, os.O_RDONLY) as fd:
        while part := system.getdents(fd, 2000):
            for *_, name in part:
                if name not in (b".", b".."):
                    seen.append(name.decode())
                    os.unlink(d / name.decode())
    assert sorted(seen) == sorted(names)
    assert os.listdir(d) == []


def test_what_stays_is_listed_once_while_others_come_and_go(d):
    stay = make(d, 2000)
    with opened(d, os.O_RDONLY) as fd:
        seen, i = [], 0
        while part := system.getdents(fd, 1500):
            seen += [name.decode() for *_, name in part]
            for _ in range(5):
                i += 1
                (d / f"come-{i}").write_bytes(b"")
                if i > 20:
                    os.unlink(d / f"come-{i - 20}")
    old = [name for name in seen if name in stay]
    assert sorted(old) == sorted(stay)


def test_listing_through_two_descriptors(d):
    names = make(d, 700)
    with opened(d, os.O_RDONLY) as one, opened(d, os.O_RDONLY) as two:
        a, b = [], []
        for _ in range(1000):
            a += system.getdents(one, 700)
            b += system.getdents(two, 1300)
    assert {e[3].decode() for e in a} == {e[3].decode() for e in b} == names | {".", ".."}
    assert len(a) == len(b) == 702


def test_nested_tree(d):
    expected = set()
    for i in range(6):
        for j in range(6):
            path = d / f"a{i}" / f"b{j}"
            path.mkdir(parents=True)
            for k in range(4):
                (path / f"c{k}").write_bytes(b"%d" % k)
                expected.add(f"a{i}/b{j}/c{k}")
    found = {
        os.path.relpath(os.path.join(where, name), d) for where, _, names in os.walk(d) for name in names
    }
    assert found == expected
