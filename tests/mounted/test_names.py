# SPDX-License-Identifier: Apache-2.0
"""Names: every byte, every length, and those that look like coffer's own."""

import errno
import os

import pytest
from expect import fails


def test_every_byte(d):
    top = os.fsencode(d)
    names = [bytes([b]) for b in range(1, 256) if b not in b"/."] + [b"x" + bytes(
        b for b in range(1, 256) if b != ord("/")
    )[:254]]  # fmt: skip
    for name in names:
        with open(os.path.join(top, name), "wb") as file:
            file.write(name)
    assert sorted(os.listdir(top)) == sorted(names)
    for name in names:
        with open(os.path.join(top, name), "rb") as file:
            assert file.read() == name


@pytest.mark.parametrize("kind", ["file", "dir", "symlink"])
def test_every_length(d, kind):
    make = {
        "file": lambda p: p.write_bytes(b""),
        "dir": lambda p: p.mkdir(),
        "symlink": lambda p: p.symlink_to("t"),
    }[kind]
    for length in range(1, 256):
        make(d / ("n" * length))
    with fails(errno.ENAMETOOLONG):
        make(d / ("n" * 256))
    assert sorted(os.listdir(d), key=len) == ["n" * n for n in range(1, 256)]
    for length in range(1, 256, 2):
        path = d / ("n" * length)
        path.rmdir() if kind == "dir" else path.unlink()
    assert sorted(os.listdir(d), key=len) == ["n" * n for n in range(2, 256, 2)]


def test_names_of_256_bytes_are_refused_everywhere(d):
    long = d / ("n" * 256)
    for call in (
        os.stat, os.unlink, os.mkdir, os.rmdir, os.readlink, os.mkfifo,
        lambda p: os.chmod(p, 0), lambda p: os.open(p, os.O_RDONLY), lambda p: os.symlink("x", p),
        lambda p: os.listxattr(p),
    ):  # fmt: skip
        with fails(errno.ENAMETOOLONG):
            call(long)


# Names that mean something in the repository mean nothing in the mount.
LOOKALIKES = [
    ".id", ".id2", ".targets", ".l", ".n", ".l" + "A" * 43, ".n" + "A" * 43, ".tmp", ".hidden", "...", ".. ",
    "coffer.ini", "state", "trash", "data", "@", "A" * 22, "-", "_", "~", " ", "\n", "ü", "\u202e", ".fuse_hidden1",
]  # fmt: skip


def test_names_that_look_like_our_own(d):
    for name in LOOKALIKES:
        (d / name).write_bytes(name.encode())
    assert sorted(os.listdir(d)) == sorted(LOOKALIKES)
    for name in LOOKALIKES:
        assert (d / name).read_bytes() == name.encode()
        os.rename(d / name, d / ("moved" + name))
        os.unlink(d / ("moved" + name))
    for name in LOOKALIKES:
        (d / name).mkdir()
        (d / name / name).mkdir()


def test_nothing_of_the_repository_shows(d):
    for name in (".id", ".targets", ".id2"):
        with fails(errno.ENOENT):
            os.lstat(d / name)
    assert os.listdir(d) == []
    d.joinpath("empty").mkdir()
    assert os.listdir(d / "empty") == []
    os.rmdir(d / "empty")


def test_case_and_normalisation_are_kept(d):
    names = ["name", "Name", "NAME", "é", "e\u0301"]
    for name in names:
        (d / name).write_bytes(name.encode())
    assert sorted(os.listdir(d)) == sorted(names)


def test_paths_deeper_than_path_max(d):
    """Reached step by step through directory descriptors."""
    fds = [os.open(d, os.O_RDONLY)]
    name = "d" * 200
    for _ in range(40):
        os.mkdir(name, dir_fd=fds[-1])
        fds.append(os.open(name, os.O_RDONLY, dir_fd=fds[-1]))
    fd = os.open("file", os.O_CREAT | os.O_RDWR, 0o600, dir_fd=fds[-1])
    os.write(fd, b"deep")
    os.close(fd)
    assert os.stat("file", dir_fd=fds[-1]).st_size == 4
    os.unlink("file", dir_fd=fds[-1])
    while len(fds) > 1:
        os.close(fds.pop())
        os.rmdir(name, dir_fd=fds[-1])
    os.close(fds.pop())


def test_rmdir(d):
    (d / "dir").mkdir()
    (d / "dir" / "x").write_bytes(b"")
    (d / "file").write_bytes(b"")
    with fails(errno.ENOTEMPTY, errno.EEXIST):
        os.rmdir(d / "dir")
    with fails(errno.ENOTDIR):
        os.rmdir(d / "file")
    with fails(errno.EISDIR):
        os.unlink(d / "dir")
    with fails(errno.EINVAL):
        os.rmdir(str(d / "dir") + "/.")
    with fails(errno.ENOTEMPTY):
        os.rmdir(str(d / "dir") + "/..")
    os.unlink(d / "dir" / "x")
    os.rmdir(d / "dir")
    with fails(errno.ENOENT):
        os.rmdir(d / "dir")


def test_a_name_can_come_back_as_another_type(d):
    for _ in range(3):
        (d / "name").write_bytes(b"file")
        (d / "name").unlink()
        (d / "name").mkdir()
        assert os.listdir(d / "name") == []
        (d / "name").rmdir()
        (d / "name").symlink_to("x")
        (d / "name").unlink()
    with fails(errno.ENOENT):
        os.lstat(d / "name")
