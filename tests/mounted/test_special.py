# SPDX-License-Identifier: Apache-2.0
"""Device nodes, FIFOs and sockets."""

import errno
import os
import socket
import stat

import pytest
import system
from expect import fails


def test_fifo(d):
    path = d / "fifo"
    os.mkfifo(path, 0o640)
    assert stat.S_ISFIFO(path.stat().st_mode) and path.stat().st_mode & 0o777 == 0o640
    with fails(errno.ENXIO):
        os.open(path, os.O_WRONLY | os.O_NONBLOCK)
    reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    writer = os.open(path, os.O_WRONLY)
    os.write(writer, b"through the pipe")
    assert os.read(reader, 100) == b"through the pipe"
    os.close(reader)
    os.close(writer)
    os.rename(path, d / "moved")
    os.link(d / "moved", d / "linked")
    os.chmod(d / "moved", 0o600)
    assert (d / "linked").stat().st_nlink == 2


def test_socket(d):
    # Relative: a socket's path is limited to 108 bytes.
    here = os.open(".", os.O_RDONLY)
    os.chdir(d)
    try:
        with socket.socket(socket.AF_UNIX) as server, socket.socket(socket.AF_UNIX) as client:
            server.bind("socket")
            server.listen()
            client.connect("socket")
            peer, _ = server.accept()
            client.sendall(b"hello")
            assert peer.recv(10) == b"hello"
            peer.close()
    finally:
        os.fchdir(here)
        os.close(here)
    assert stat.S_ISSOCK((d / "socket").stat().st_mode)
    with fails(errno.ENXIO):
        os.open(d / "socket", os.O_RDONLY)


@pytest.mark.root_only
def test_devices(d):
    for name, kind, device in (
        ("null", stat.S_IFCHR, os.makedev(1, 3)),
        ("big", stat.S_IFCHR, os.makedev(300, 70_000)),
        ("block", stat.S_IFBLK, os.makedev(7, 255)),
    ):
        os.mknod(d / name, kind | 0o666, device)
        info = (d / name).stat()
        assert stat.S_IFMT(info.st_mode) == kind and info.st_rdev == device
    os.rename(d / "null", d / ("n" * 255))
    os.chown(d / "big", 5, 6)
    os.utime(d / "block", (1, 2))


@pytest.mark.root_only
def test_device_works_where_the_mount_allows_it(d):
    os.mknod(d / "zero", stat.S_IFCHR | 0o666, os.makedev(1, 5))
    with open(d / "zero", "rb") as zero:
        assert zero.read(10) == bytes(10)


@pytest.mark.user_only
def test_an_ordinary_user_cannot_make_devices(d):
    for kind in (stat.S_IFCHR, stat.S_IFBLK):
        with fails(errno.EPERM):
            os.mknod(d / "device", kind | 0o666, os.makedev(1, 3))
    assert os.listdir(d) == []


def test_regular_file_by_mknod(d):
    os.mknod(d / "file", stat.S_IFREG | 0o640)
    assert (d / "file").read_bytes() == b""
    with fails(errno.EEXIST):
        os.mknod(d / "file", stat.S_IFIFO | 0o640)


@pytest.mark.root_only
def test_attributes_of_special_files(d):
    os.mkfifo(d / "fifo")
    os.setxattr(d / "fifo", "trusted.note", b"value")
    assert os.getxattr(d / "fifo", "trusted.note") == b"value"
    with fails(errno.EPERM):
        os.setxattr(d / "fifo", "user.note", b"value")
    os.chown(d / "fifo", system.USER, system.GROUP)
    assert (d / "fifo").stat().st_uid == system.USER
