# SPDX-License-Identifier: Apache-2.0
"""POSIX ACLs: stored, enforced, inherited."""

import errno
import os
import shutil
import subprocess

import pytest
import system
from expect import fails

pytestmark = pytest.mark.skipif(not shutil.which("setfacl"), reason="setfacl is not installed")


def as_caller(command):
    """Runs a program with the effective identity of the test as its only one."""
    uid, gid = os.geteuid(), os.getegid()
    with system.root_again():
        return subprocess.run(
            command, user=uid, group=gid, extra_groups=[], check=True, capture_output=True, text=True
        ).stdout


def setfacl(path, *args):
    as_caller(["setfacl", *args, "--", os.fspath(path)])


def getfacl(path):
    """The lines of an ACL, numeric, without comments."""
    lines = as_caller(["getfacl", "-n", "-c", "-p", "--", os.fspath(path)]).split("\n")
    return [line.split("\t")[0] for line in lines if line]


def test_set_get_remove(d):
    path = d / "file"
    path.write_bytes(b"")
    os.chmod(path, 0o640)
    setfacl(path, "-m", f"u:{system.OTHER_USER}:rw,g:{system.OTHER_GROUP}:r")
    assert getfacl(path) == [
        "user::rw-",
        f"user:{system.OTHER_USER}:rw-",
        "group::r--",
        f"group:{system.OTHER_GROUP}:r--",
        "mask::rw-",
        "other::---",
    ]
    # The group bits show the mask.
    assert path.stat().st_mode & 0o777 == 0o660
    os.chmod(path, 0o600)
    assert "mask::---" in getfacl(path)
    setfacl(path, "-b")
    assert getfacl(path) == ["user::rw-", "group::---", "other::---"]


def test_inheritance(d):
    setfacl(d, "-d", "-m", f"u::rwx,g::r-x,o::---,u:{system.OTHER_USER}:rwx")
    before = os.umask(0o077)  # must not matter below a default ACL
    try:
        (d / "sub").mkdir(mode=0o777)
        os.close(os.open(d / "file", os.O_CREAT | os.O_WRONLY, 0o666))
        os.mkfifo(d / "fifo", 0o666)
        os.symlink("x", d / "link")
    finally:
        os.umask(before)
    entry = f"user:{system.OTHER_USER}:rwx"
    assert {entry, "mask::rw-", "other::---"} <= set(getfacl(d / "file"))
    assert (d / "file").stat().st_mode & 0o777 == 0o660
    assert (d / "fifo").stat().st_mode & 0o777 == 0o660
    assert {entry, "default:" + entry, "mask::rwx"} <= set(getfacl(d / "sub"))
    assert (d / "sub").stat().st_mode & 0o777 == 0o770
    (d / "sub" / "below").mkdir()
    assert "default:" + entry in getfacl(d / "sub" / "below")


def test_default_acl_belongs_to_directories(d):
    (d / "file").write_bytes(b"")
    with pytest.raises(subprocess.CalledProcessError):
        setfacl(d / "file", "-d", "-m", "u::rwx,g::rwx,o::rwx")


def test_removing_the_default(d):
    setfacl(d, "-d", "-m", f"u:{system.OTHER_USER}:rwx")
    setfacl(d, "-k")
    (d / "file").write_bytes(b"")
    assert len(getfacl(d / "file")) == 3


@pytest.mark.no_own  # nobody else can reach an ordinary user's own mount
def test_enforced_for_others(d, who):
    path = d / "file"
    path.write_bytes(b"secret")
    os.chmod(path, 0o600)
    os.chmod(d, 0o755)

    def access(flags):
        def attempt():
            try:
                os.close(os.open(path, flags))
                return 0
            except PermissionError:
                return 13

        with system.root_again():
            return system.in_child(attempt, system.OTHER_USER, system.OTHER_GROUP)

    assert access(os.O_RDONLY) == 13
    setfacl(path, "-m", f"u:{system.OTHER_USER}:r")
    assert (access(os.O_RDONLY), access(os.O_WRONLY)) == (0, 13)
    setfacl(path, "-m", f"u:{system.OTHER_USER}:rw")
    assert access(os.O_WRONLY) == 0
    setfacl(path, "-m", "m::r")
    assert (access(os.O_RDONLY), access(os.O_WRONLY)) == (0, 13)
    setfacl(path, "-x", f"u:{system.OTHER_USER}", "-m", f"g:{system.OTHER_GROUP}:rw,m::rw")
    assert access(os.O_RDWR) == 0
    setfacl(path, "-b")
    assert access(os.O_RDONLY) == 13


def test_raw_attributes(d):
    path = d / "file"
    path.write_bytes(b"")
    setfacl(path, "-m", f"u:{system.OTHER_USER}:rw")
    raw = os.getxattr(path, "system.posix_acl_access")
    assert "system.posix_acl_access" in os.listxattr(path)
    (d / "copy").write_bytes(b"")
    os.setxattr(d / "copy", "system.posix_acl_access", raw)
    assert getfacl(d / "copy") == getfacl(path)
    with fails(errno.EINVAL):
        os.setxattr(path, "system.posix_acl_access", b"\x02\0\0\0nonsense")
    with fails(errno.ENODATA):
        os.getxattr(d / "copy", "system.posix_acl_default")


@pytest.mark.user_only
def test_only_the_owner_may_set_it(d, who):
    if who == "own":
        return
    path = d / "file"
    path.write_bytes(b"")
    os.chmod(path, 0o666)
    with system.root_again():
        os.chown(path, system.OTHER_USER, system.OTHER_GROUP)
    with pytest.raises(subprocess.CalledProcessError):
        setfacl(path, "-m", f"u:{system.USER}:rwx")
