# SPDX-License-Identifier: Apache-2.0
"""Extended attributes."""

import errno
import os

import pytest
from expect import fails, noise, opened


def test_set_get_list_remove(d):
    path = d / "file"
    path.write_bytes(b"")
    (d / "dir").mkdir()
    for target in (path, d / "dir"):
        values = {f"user.name{i}": noise(i * 11, i) for i in range(12)}
        for name, value in values.items():
            os.setxattr(target, name, value)
        assert set(os.listxattr(target)) == set(values)
        for name, value in values.items():
            assert os.getxattr(target, name) == value
        os.setxattr(target, "user.name3", b"replaced")
        assert os.getxattr(target, "user.name3") == b"replaced"
        for name in list(values)[::2]:
            os.removexattr(target, name)
        assert set(os.listxattr(target)) == set(list(values)[1::2])


def test_create_and_replace(d):
    path = d / "file"
    path.write_bytes(b"")
    with fails(errno.ENODATA):
        os.setxattr(path, "user.a", b"1", os.XATTR_REPLACE)
    os.setxattr(path, "user.a", b"1", os.XATTR_CREATE)
    with fails(errno.EEXIST):
        os.setxattr(path, "user.a", b"2", os.XATTR_CREATE)
    os.setxattr(path, "user.a", b"3", os.XATTR_REPLACE)
    assert os.getxattr(path, "user.a") == b"3"


def test_missing(d):
    path = d / "file"
    path.write_bytes(b"")
    with fails(errno.ENODATA):
        os.getxattr(path, "user.none")
    with fails(errno.ENODATA):
        os.removexattr(path, "user.none")
    assert os.listxattr(path) == []


def test_values_of_any_size(d):
    path = d / "file"
    path.write_bytes(b"")
    for size in (0, 1, 15, 16, 17, 255, 256, 1000, 2000):
        os.setxattr(path, "user.value", noise(size))
        assert os.getxattr(path, "user.value") == noise(size)
    with fails(errno.E2BIG, errno.ENOSPC):
        os.setxattr(path, "user.value", bytes(65537))
    assert os.getxattr(path, "user.value") == noise(2000)


@pytest.mark.no_control  # ext4 itself has names of 255 bytes; ours carry the whole one
def test_names_of_any_length_and_byte(d):
    for length in (1, 100, 170, 175, 180, 185, 190, 200, 249, 250):
        path = d / str(length)
        path.write_bytes(b"")
        name = b"user." + (b"%d" % length).ljust(length, b"n")[:length]
        os.setxattr(path, name, b"value")
        assert os.listxattr(path) == [os.fsdecode(name)]
        assert os.getxattr(path, name) == b"value"
        os.setxattr(path, name, b"other")
        assert os.getxattr(path, name) == b"other"
    path = d / "bytes"
    path.write_bytes(b"")
    name = b"user." + bytes(range(1, 256))[:200]
    os.setxattr(path, name, b"v")
    assert os.listxattr(os.fsencode(path)) == [os.fsdecode(name)]
    with fails(errno.ERANGE):
        os.setxattr(path, "user." + "n" * 251, b"v")


def test_bad_names(d):
    path = d / "file"
    path.write_bytes(b"")
    for name in ("noprefix", "unknown.name"):
        with fails(errno.EOPNOTSUPP):
            os.setxattr(path, name, b"v")
    with fails(errno.EINVAL, errno.ERANGE, errno.EOPNOTSUPP):
        os.setxattr(path, "user.", b"v")


def test_by_descriptor(d):
    with opened(d / "file", os.O_RDWR | os.O_CREAT) as fd:
        os.setxattr(fd, "user.a", b"1")
        os.rename(d / "file", d / "moved")
        os.setxattr(fd, "user.b", b"2")
        assert set(os.listxattr(fd)) == {"user.a", "user.b"}
    assert os.getxattr(d / "moved", "user.b") == b"2"


def test_symlinks_have_no_user_attributes(d):
    os.symlink("nowhere", d / "link")
    with fails(errno.EPERM):
        os.setxattr(d / "link", "user.a", b"v", follow_symlinks=False)
    assert "user.a" not in os.listxattr(d / "link", follow_symlinks=False)


@pytest.mark.root_only
def test_trusted_and_security(d):
    (d / "file").write_bytes(b"")
    os.symlink("nowhere", d / "link")
    for path in (d / "file", d / "link", d):
        os.setxattr(path, "trusted.t", b"1", follow_symlinks=False)
        os.setxattr(path, "security.s", b"2", follow_symlinks=False)
        assert os.getxattr(path, "trusted.t", follow_symlinks=False) == b"1"
        assert {"trusted.t", "security.s"} <= set(os.listxattr(path, follow_symlinks=False))
        os.removexattr(path, "trusted.t", follow_symlinks=False)
        with fails(errno.ENODATA):
            os.getxattr(path, "trusted.t", follow_symlinks=False)


@pytest.mark.user_only
def test_trusted_needs_root(d):
    (d / "file").write_bytes(b"")
    with fails(errno.EPERM):
        os.setxattr(d / "file", "trusted.t", b"1")


@pytest.mark.user_only
def test_permissions(d):
    path = d / "file"
    path.write_bytes(b"")
    os.setxattr(path, "user.a", b"v")
    os.chmod(path, 0o400)
    with fails(errno.EACCES):
        os.setxattr(path, "user.a", b"w")
    with fails(errno.EACCES):
        os.removexattr(path, "user.a")
    assert os.getxattr(path, "user.a") == b"v"
    os.chmod(path, 0o200)
    with fails(errno.EACCES):
        os.getxattr(path, "user.a")
    os.chmod(path, 0o600)


def test_attributes_change_ctime_only(d):
    path = d / "file"
    path.write_bytes(b"x")
    os.utime(path, (1, 2))
    before = path.stat()
    os.setxattr(path, "user.a", b"v")
    after = path.stat()
    assert after.st_mtime_ns == before.st_mtime_ns
    assert after.st_ctime_ns >= before.st_ctime_ns


@pytest.mark.no_control
@pytest.mark.root_only  # nobody else may look into the repository
def test_repository_shows_neither_names_nor_values(d, area):
    path = d / "file"
    path.write_bytes(b"")
    os.setxattr(path, "user.secretname", b"secretvalue")
    repo = area.mounts["shared"].repo
    found = 0
    for where, _, names in os.walk(repo.data):
        for name in names:
            blob = os.path.join(where, name)
            for key in os.listxattr(blob, follow_symlinks=False):
                value = os.getxattr(blob, key, follow_symlinks=False)
                assert "secretname" not in key and b"secretvalue" not in value
                found += key.startswith("user.")
    assert found > 0
