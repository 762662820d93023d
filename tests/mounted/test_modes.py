# SPDX-License-Identifier: Apache-2.0
"""Modes, owners, umask, and the rules of set-uid, set-gid and the sticky bit."""

import errno
import os
import stat

import pytest
import system
from expect import fails, opened

SUID, SGID, STICKY = stat.S_ISUID, stat.S_ISGID, stat.S_ISVTX


def mode(path):
    return stat.S_IMODE(os.lstat(path).st_mode)


def test_every_permission(d):
    (d / "file").write_bytes(b"")
    (d / "dir").mkdir()
    for bits in [*range(0o1000), 0o1777, 0o2755, 0o4755, 0o7777]:
        for path in (d / "file", d / "dir"):
            os.chmod(path, bits)
            assert mode(path) == bits
    os.chmod(d / "dir", 0o700)
    os.chmod(d / "file", 0o600)


def test_umask_and_mode_at_creation(d):
    before = os.umask(0)
    try:
        for mask in (0, 0o022, 0o077, 0o777):
            os.umask(mask)
            for bits in (0o777, 0o640, 0o1755 & 0o7777, 0):
                name = f"{mask:o}-{bits:o}"
                os.close(os.open(d / ("file" + name), os.O_CREAT | os.O_WRONLY, bits))
                os.mkdir(d / ("dir" + name), bits)
                os.mkfifo(d / ("fifo" + name), bits)
                assert mode(d / ("file" + name)) == bits & ~mask
                assert mode(d / ("dir" + name)) == bits & ~mask
                assert mode(d / ("fifo" + name)) == bits & ~mask
    finally:
        os.umask(before)


def test_owner_of_new_objects(d):
    uid, gid = os.geteuid(), os.getegid()
    (d / "file").write_bytes(b"")
    (d / "dir").mkdir()
    os.symlink("x", d / "link")
    os.mkfifo(d / "fifo")
    for name in os.listdir(d):
        info = os.lstat(d / name)
        assert (info.st_uid, info.st_gid) == (uid, gid), name


@pytest.mark.no_own
def test_set_gid_directory_passes_its_group_on(d):
    with system.root_again():
        os.chown(d, -1, system.OTHER_GROUP)
        os.chmod(d, 0o2777)
    (d / "file").write_bytes(b"")
    (d / "dir").mkdir()
    os.symlink("x", d / "link")
    os.mkfifo(d / "fifo")
    for name in ("file", "dir", "link", "fifo"):
        assert os.lstat(d / name).st_gid == system.OTHER_GROUP, name
    assert mode(d / "dir") & SGID
    assert not mode(d / "file") & SGID


@pytest.mark.root_only
def test_sticky_directory(d):
    os.chmod(d, 0o1777)
    (d / "mine").write_bytes(b"")
    with system.acting_as(system.USER, system.GROUP):
        (d / "users").write_bytes(b"")
        (d / "dir").mkdir()
    with system.acting_as(system.OTHER_USER, system.OTHER_GROUP):
        for name in ("mine", "users"):
            with fails(errno.EPERM, errno.EACCES):
                os.unlink(d / name)
            with fails(errno.EPERM, errno.EACCES):
                os.rename(d / name, d / "x")
        with fails(errno.EPERM, errno.EACCES):
            os.rmdir(d / "dir")
        (d / "own").write_bytes(b"")
        with fails(errno.EPERM, errno.EACCES):
            os.rename(d / "own", d / "users")
    with system.acting_as(system.USER, system.GROUP):
        os.unlink(d / "users")
        os.rmdir(d / "dir")


@pytest.mark.root_only
@pytest.mark.parametrize("how", ["write", "truncate", "ftruncate", "append", "fallocate", "copy"])
def test_change_by_another_user_clears_set_uid(d, how):
    os.chmod(d, 0o777)
    path = d / "program"
    path.write_bytes(b"x" * 100)
    os.chown(path, system.USER, system.GROUP)
    for bits in (0o6777, 0o4777, 0o2777):
        os.chmod(path, bits)
        with system.acting_as(system.OTHER_USER, system.OTHER_GROUP):
            if how == "truncate":
                os.truncate(path, 50)
            else:
                with opened(path, os.O_RDWR | (os.O_APPEND if how == "append" else 0)) as fd:
                    if how == "ftruncate":
                        os.ftruncate(fd, 40)
                    elif how == "fallocate":
                        system.fallocate(fd, 0, 0, 5000)
                    elif how == "copy":
                        (d / "from").write_bytes(b"from")
                        with opened(d / "from") as source:
                            os.copy_file_range(source, fd, 4)
                        os.unlink(d / "from")
                    else:
                        os.write(fd, b"evil")
        assert mode(path) == 0o777, oct(bits)


@pytest.mark.root_only
def test_write_without_privilege_clears_set_uid_of_the_own_file(d):
    os.chmod(d, 0o777)
    with system.acting_as(system.USER, system.GROUP):
        path = d / "program"
        path.write_bytes(b"x")
        os.chmod(path, 0o6755)
        with opened(path) as fd:
            os.write(fd, b"y")
        assert mode(path) == 0o755
        # Without group execution set-gid means mandatory locking, and stays.
        os.chmod(path, 0o2644)
        with opened(path) as fd:
            os.write(fd, b"z")
        assert mode(path) & 0o777 == 0o644


@pytest.mark.root_only
def test_chown_clears_set_uid(d):
    path = d / "program"
    path.write_bytes(b"")
    os.chmod(path, 0o6755)
    os.chown(path, system.USER, system.GROUP)
    assert mode(path) == 0o755
    (d / "dir").mkdir()
    os.chmod(d / "dir", 0o6755)
    os.chown(d / "dir", system.USER, system.GROUP)
    assert mode(d / "dir") == 0o6755


@pytest.mark.root_only
def test_chown(d):
    (d / "file").write_bytes(b"")
    os.symlink("file", d / "link")
    os.chown(d / "file", 1, 2)
    os.chown(d / "file", -1, 3)
    os.chown(d / "file", 4, -1)
    assert ((d / "file").stat().st_uid, (d / "file").stat().st_gid) == (4, 3)
    os.lchown(d / "link", 7, 8)
    assert (os.lstat(d / "link").st_uid, (d / "file").stat().st_uid) == (7, 4)
    os.chown(d / "link", 9, 9)
    assert (os.lstat(d / "link").st_uid, (d / "file").stat().st_uid) == (7, 9)
    os.chown(d / "file", 4_000_000_000, 4_000_000_001)
    assert (d / "file").stat().st_gid == 4_000_000_001


@pytest.mark.root_only
def test_chown_to_a_group_of_ones_own(d):
    path = d / "file"
    path.write_bytes(b"")
    os.chown(path, system.USER, system.GROUP)
    os.chmod(path, 0o2755)
    with system.acting_as(system.USER, system.GROUP, [system.OTHER_GROUP]):
        os.chown(path, -1, system.OTHER_GROUP)
        assert path.stat().st_gid == system.OTHER_GROUP
        assert mode(path) == 0o755
        os.chmod(path, 0o2755)
        assert mode(path) == 0o2755
        with fails(errno.EPERM):
            os.chown(path, -1, system.GROUP + 77)
        with fails(errno.EPERM):
            os.chown(path, system.OTHER_USER, -1)
    # Set-gid for a group that the owner is not in is dropped.
    os.chown(path, -1, 99)
    with system.acting_as(system.USER, system.GROUP):
        os.chmod(path, 0o2755)
        assert mode(path) == 0o755


@pytest.mark.root_only
def test_permissions_are_enforced(d):
    os.chmod(d, 0o755)
    (d / "private").mkdir(mode=0o700)
    (d / "private" / "in").write_bytes(b"")
    (d / "search").mkdir(mode=0o711)
    (d / "search" / "known").write_bytes(b"known")
    (d / "list").mkdir(mode=0o744)
    (d / "list" / "entry").write_bytes(b"")
    (d / "file").write_bytes(b"")
    os.chmod(d / "file", 0o640)
    with system.acting_as(system.USER, system.GROUP):
        with fails(errno.EACCES):
            os.listdir(d / "private")
        with fails(errno.EACCES):
            os.stat(d / "private" / "in")
        with fails(errno.EACCES):
            os.listdir(d / "search")
        assert (d / "search" / "known").read_bytes() == b"known"
        assert os.listdir(d / "list") == ["entry"]
        with fails(errno.EACCES):
            os.stat(d / "list" / "entry")
        with fails(errno.EACCES):
            os.open(d / "file", os.O_RDONLY)
        assert not os.access(d / "file", os.R_OK, effective_ids=True)
        for attempt in (
            lambda: os.unlink(d / "file"),
            lambda: os.mkdir(d / "new"),
            lambda: os.symlink("x", d / "new"),
            lambda: os.rename(d / "file", d / "new"),
            lambda: os.open(d / "new", os.O_CREAT | os.O_WRONLY),
        ):
            with fails(errno.EACCES):
                attempt()
        for attempt in (
            lambda: os.chmod(d / "file", 0o777),
            lambda: os.chown(d / "file", system.USER, -1),
            lambda: os.utime(d / "file", (1, 1)),
        ):
            with fails(errno.EPERM):
                attempt()
    # A supplementary group counts.
    os.chown(d / "file", 0, system.OTHER_GROUP)
    with system.acting_as(system.USER, system.GROUP, [system.OTHER_GROUP]):
        os.close(os.open(d / "file", os.O_RDONLY))


@pytest.mark.root_only
def test_protected_hard_links_and_directories_of_others(d):
    os.chmod(d, 0o777)
    (d / "dir").mkdir(mode=0o555)
    with system.acting_as(system.USER, system.GROUP):
        with fails(errno.EACCES):
            os.mkdir(d / "dir" / "sub")
    with system.acting_as(system.USER, system.GROUP):
        (d / "theirs").mkdir(mode=0o555)
        with fails(errno.EACCES):
            (d / "theirs" / "file").write_bytes(b"")
    # Root is not bound by modes.
    (d / "theirs" / "file").write_bytes(b"root")
    os.chmod(d / "theirs" / "file", 0)
    assert (d / "theirs" / "file").read_bytes() == b"root"


@pytest.mark.user_only
def test_own_directory_without_permissions(d):
    (d / "dir").mkdir()
    (d / "dir" / "file").write_bytes(b"x")
    os.chmod(d / "dir", 0o500)
    with fails(errno.EACCES):
        (d / "dir" / "new").write_bytes(b"")
    with fails(errno.EACCES):
        os.unlink(d / "dir" / "file")
    assert os.listdir(d / "dir") == ["file"]
    os.chmod(d / "dir", 0)
    with fails(errno.EACCES):
        os.listdir(d / "dir")
    with fails(errno.EACCES):
        os.stat(d / "dir" / "file")
    os.chmod(d / "dir", 0o700)
    assert (d / "dir" / "file").read_bytes() == b"x"


@pytest.mark.parametrize("bits", [0o000, 0o111, 0o333, 0o444, 0o555])
def test_objects_without_permission_for_their_owner(d, bits):
    """An unprivileged daemon must still read their names and attributes, move and remove them."""
    (d / "file").write_bytes(b"content")
    (d / "dir").mkdir()
    (d / "dir" / "in").write_bytes(b"")
    (d / "empty").mkdir()
    for name in ("file", "dir", "empty"):
        os.chmod(d / name, bits)
        assert mode(d / name) == bits
    os.rename(d / "file", d / "moved")
    os.utime(d / "moved", (1, 1))
    assert mode(d / "moved") == bits and (d / "moved").stat().st_size == 7
    os.rmdir(d / "empty")
    os.unlink(d / "moved")
    os.chmod(d / "dir", 0o700)
    assert os.listdir(d / "dir") == ["in"]
