# SPDX-License-Identifier: Apache-2.0
"""
Tampering with the repository between two mounts: reading gives EIO and one line in the log that names
the damage, never wrong data; everything else still works, and damaged entries can be listed, examined,
moved, removed and overwritten.
"""

import errno
import os
import re
import stat

import harness
import pytest
import system
from expect import fails, noise, opened

RECORD = 4096
SIZE = 3906 + 3938 + 4066 * 3 + 1000  # six records
STARTS = (0, 3906, 7844, 11_910, 15_976, 20_042, SIZE)  # where each record's bytes begin, and the end


class Damaged:
    """A repository whose files are changed offline: make(), change the blobs, then mount()."""

    def __init__(self, repo, point):
        self.repo = repo
        self.point = point
        self.blobs = {}

    def make(self, files, directories=()):
        """files: {name: content}"""
        with harness.Mount(self.repo, self.point) as m:
            for name in directories:
                os.mkdir(f"{m.point}/{name}")
            inodes = {}
            for name, content in files.items():
                with open(f"{m.point}/{name}", "wb") as file:
                    file.write(content)
            for name in [*files, *directories]:
                inodes[os.lstat(f"{m.point}/{name}").st_ino] = name
        self.blobs.clear()
        for where, dirs, names in os.walk(self.repo.data):
            for entry in dirs + names:
                path = os.path.join(where, entry)
                name = inodes.get(os.lstat(path).st_ino)
                if name is not None:
                    self.blobs[name] = path
        assert set(self.blobs) == set(inodes.values())

    def mount(self):
        m = harness.Mount(self.repo, self.point)
        m.allow(r"^error: damage: ")
        return m


@pytest.fixture
def damaged(repo, tmp):
    return Damaged(repo, tmp / "mnt")


def patch(path, at, data):
    with opened(path) as fd:
        assert os.pwrite(fd, data, at) == len(data)


def flip(path, at, bit=1):
    with opened(path) as fd:
        byte = os.pread(fd, 1, at)[0]
        os.pwrite(fd, bytes([byte ^ bit]), at)


def record(path, k):
    with opened(path, os.O_RDONLY) as fd:
        return os.pread(fd, RECORD, k * RECORD).ljust(RECORD, b"\0")


def readable(path, content):
    """Which records of a file can be read; fails on any wrong byte."""
    ret = []
    try:
        os.close(os.open(path, os.O_RDONLY))
    except OSError as error:
        assert error.errno == errno.EIO  # nothing of it can be read
        return ret
    with opened(path, os.O_RDONLY) as fd:
        for k in range(len(STARTS) - 1):
            at, stop = STARTS[k], STARTS[k + 1]
            try:
                # The kernel reads pages: it may give those before the damage, and the error after them.
                while at < stop:
                    got = os.pread(fd, stop - at, at)
                    assert got and got == content[at : at + len(got)], f"wrong data in record {k}"
                    at += len(got)
            except OSError as error:
                assert error.errno == errno.EIO
                continue
            ret.append(k)
    return ret


def must_not_end_quietly(path, content):
    """Opening or reading must fail with EIO; what is read before must be right."""
    with fails(errno.EIO):
        with opened(path, os.O_RDONLY) as fd:
            at = 0
            while part := os.pread(fd, 1 << 20, at):
                assert part == content[at : at + len(part)]
                at += len(part)
        raise AssertionError(f"{path}: ended at {at} without an error")


# What of a record is flipped: (name, offset in the record). Records 0 and 1 begin with 128 bytes of clear header.
FLIPS = {
    0: [("magic", 0), ("version", 8), ("flags", 12), ("generation", 16), ("wrapped key", 25), ("header end", 127),
        ("nonce", 128), ("length", 140), ("tag", 142), ("inner header", 158), ("first byte", 190), ("last byte", 4095)],
    1: [("magic", 0), ("wrapped key", 30), ("header end", 120), ("nonce", 130), ("length", 140), ("tag", 150),
        ("content", 1000)],
    3: [("nonce", 0), ("length", 12), ("length high", 13), ("tag", 20), ("content", 30), ("last byte", 4095)],
    5: [("nonce", 5), ("length", 12), ("tag", 15), ("content", 100), ("last byte", 1029)],
}  # fmt: skip
CASES = [(k, what, at) for k, cases in FLIPS.items() for what, at in cases]


def test_flipped_bits(damaged):
    """One bit of each part of each kind of record: that record is lost, and no other one."""
    files = {f"r{k}-{what}": noise(SIZE, k * 100 + at) for k, what, at in CASES}
    damaged.make(files)
    for k, what, at in CASES:
        flip(damaged.blobs[f"r{k}-{what}"], k * RECORD + at)
    with damaged.mount() as m:
        for k, what, at in CASES:
            name = f"r{k}-{what}"
            # Pages are bigger than a record's share: neighbours that share a page may fail with it.
            got = readable(f"{m.point}/{name}", files[name])
            assert k not in got, f"{name}: a changed record was accepted"
            far = {i for i in range(6) if abs(i - k) > 1}
            if k != 0:
                assert far <= set(got), (name, got)
            lines = m.log_lines(rf"^error: damage: .*{re.escape(name)} ")
            assert len(lines) == 1, (name, lines)
            if k != 0:
                assert f"record {k}" in lines[0]
            # Told once, however often it is read.
            readable(f"{m.point}/{name}", files[name])
            assert len(m.log_lines(rf"^error: damage: .*{re.escape(name)} ")) == 1


def test_zeroed_records(damaged):
    """A disk that lost a block; none of these files is sparse."""
    files = {f"zero{k}": noise(SIZE, k) for k in range(6)}
    files["all"] = noise(SIZE, 99)
    damaged.make(files)
    for k in range(6):
        patch(damaged.blobs[f"zero{k}"], k * RECORD, bytes(RECORD if k < 5 else 1030))
    length = os.path.getsize(damaged.blobs["all"])
    patch(damaged.blobs["all"], 0, bytes(length))
    with damaged.mount() as m:
        for k in range(6):
            assert k not in readable(f"{m.point}/zero{k}", files[f"zero{k}"])
        assert readable(f"{m.point}/all", files["all"]) == []
        assert len(m.log_lines("^error: damage: ")) >= 7


def test_punched_record_of_a_file_without_holes(damaged):
    damaged.make({"file": noise(SIZE)})
    with opened(damaged.blobs["file"]) as fd:
        mode = system.FALLOC_PUNCH_HOLE | system.FALLOC_KEEP_SIZE
        system.fallocate(fd, mode, 3 * RECORD, RECORD)
    with damaged.mount() as m:
        assert 3 not in readable(f"{m.point}/file", noise(SIZE))


def test_moved_records(damaged):
    """Within a file, and between files."""
    files = {name: noise(SIZE, i) for i, name in enumerate(("swap", "copy", "a", "b", "first"))}
    damaged.make(files)
    blobs = damaged.blobs
    two, three = record(blobs["swap"], 2), record(blobs["swap"], 3)
    patch(blobs["swap"], 2 * RECORD, three)
    patch(blobs["swap"], 3 * RECORD, two)
    patch(blobs["copy"], 4 * RECORD, record(blobs["copy"], 3))
    foreign = record(blobs["b"], 3)
    patch(blobs["a"], 3 * RECORD, foreign)
    # Record 0 brings its own key along, but the rest of the file does not fit it.
    patch(blobs["first"], 0, record(blobs["b"], 0))
    with damaged.mount() as m:
        assert not {2, 3} & set(readable(f"{m.point}/swap", files["swap"]))
        assert 4 not in readable(f"{m.point}/copy", files["copy"])
        assert 3 not in readable(f"{m.point}/a", files["a"])
        assert readable(f"{m.point}/first", files["first"]) == []
        assert readable(f"{m.point}/b", files["b"]) == list(range(6))


CUTS = [1, 100, 127, 128, 4095, 4096, 4097, 8191, 8192, 8193, 12_288, 12_289, 5 * 4096, 5 * 4096 + 999]


def test_cut_files(damaged):
    """Cut below a complete size, at record boundaries and elsewhere (emptied whole files are the seal's)."""
    files = {f"cut{n}": noise(SIZE, n) for n in CUTS}
    damaged.make(files)
    for n in CUTS:
        os.truncate(damaged.blobs[f"cut{n}"], n)
    with damaged.mount() as m:
        for n in CUTS:
            path = f"{m.point}/cut{n}"
            os.stat(path)
            must_not_end_quietly(path, files[f"cut{n}"])
            assert m.log_lines(rf"^error: damage: .*cut{n} "), n


def test_extended_files(damaged):
    files = {name: noise(SIZE, i) for i, name in enumerate(("zeros", "hole", "copy", "byte", "append"))}
    damaged.make(files)
    blobs = damaged.blobs
    length = os.path.getsize(blobs["zeros"])
    with open(blobs["zeros"], "ab") as file:
        file.write(bytes(RECORD))
    os.truncate(blobs["hole"], length + 10 * RECORD)
    last = record(blobs["copy"], 5)
    patch(blobs["copy"], 6 * RECORD, last)
    os.truncate(blobs["byte"], length + 1)
    with open(blobs["append"], "ab") as file:
        file.write(record(blobs["append"], 2))
    with damaged.mount() as m:
        for name, content in files.items():
            must_not_end_quietly(f"{m.point}/{name}", content)
            assert m.log_lines(rf"^error: damage: .*{name} "), name


def test_names_moved_between_directories(damaged):
    """A blob that is moved to another directory on the disk must not show up there under any name."""
    files = {"one/file": noise(SIZE, 1), "two/file": noise(SIZE, 2), "two/only": noise(100), "long/" + "n" * 255: b"x"}
    damaged.make(files, ["one", "two", "long"])
    blobs = damaged.blobs
    one, two = blobs["one/file"], blobs["two/file"]
    assert os.path.basename(one) != os.path.basename(two), "equal names must not look equal"
    os.rename(blobs["two/only"], os.path.join(os.path.dirname(one), os.path.basename(blobs["two/only"])))
    moved = blobs["long/" + "n" * 255]
    side = os.path.join(os.path.dirname(moved), ".n" + os.path.basename(moved)[2:])
    for path in (side, moved):
        os.rename(path, os.path.join(os.path.dirname(one), os.path.basename(path)))
    with damaged.mount() as m:
        assert os.listdir(f"{m.point}/one") == ["file"]
        assert os.listdir(f"{m.point}/two") == ["file"]
        for path in ("one/only", "two/only", "one/" + "n" * 255, "long/" + "n" * 255):
            with fails(errno.ENOENT, errno.EIO):
                os.open(f"{m.point}/{path}", os.O_RDONLY)
        assert readable(f"{m.point}/one/file", files["one/file"]) == list(range(6))
        assert len(m.log_lines("^error: damage: .*one")) == 2
        m.repo.assert_tidy = lambda: None  # what the tampering left is not the daemon's


def test_directory_identity(damaged):
    """.id removed, or exchanged with another directory's: the names cannot be read, contents are not shown."""
    files = {f"{name}/file": noise(100) for name in ("gone", "a", "b", "flipped")}
    damaged.make(files, ["gone", "a", "b", "flipped", "empty"])
    blobs = damaged.blobs
    os.unlink(blobs["gone"] + "/.id")
    os.unlink(blobs["empty"] + "/.id")
    a, b = os.readlink(blobs["a"] + "/.id"), os.readlink(blobs["b"] + "/.id")
    for name, target in (("a", b), ("b", a)):
        os.unlink(blobs[name] + "/.id")
        os.symlink(target, blobs[name] + "/.id")
    broken = os.readlink(blobs["flipped"] + "/.id")
    os.unlink(blobs["flipped"] + "/.id")
    os.symlink(broken[:-1] + ("A" if broken[-1] != "A" else "Q"), blobs["flipped"] + "/.id")
    with damaged.mount() as m:
        for name in ("gone", "a", "b", "flipped"):
            try:
                assert os.listdir(f"{m.point}/{name}") == [], name
            except OSError as error:
                assert error.errno == errno.EIO
            with fails(errno.EIO, errno.ENOENT):
                os.open(f"{m.point}/{name}/file", os.O_RDONLY)
            assert stat.S_ISDIR(os.stat(f"{m.point}/{name}").st_mode)
            assert m.log_lines(f"^error: damage: .*{name}")
        # An empty directory without identity is empty.
        assert os.listdir(f"{m.point}/empty") == []
        with open(f"{m.point}/empty/new", "wb") as file:
            file.write(b"new")
        m.repo.assert_tidy = lambda: None


def test_symlinks_and_attributes(damaged):
    repo, point = damaged.repo, damaged.point
    with harness.Mount(repo, point) as m:
        names = {}
        for name, target in (("short", "target"), ("long", "t" * 3000)):
            os.symlink(target, f"{m.point}/{name}")
            names[os.lstat(f"{m.point}/{name}").st_ino] = name
        for name in ("value", "name", "intact"):
            with open(f"{m.point}/{name}", "wb"):
                pass
            os.setxattr(f"{m.point}/{name}", "user.note", b"secret value")
            names[os.lstat(f"{m.point}/{name}").st_ino] = name
    blobs = {}
    for entry in os.listdir(repo.data):
        path = os.path.join(repo.data, entry)
        blobs[names.get(os.lstat(path).st_ino)] = path
    old = os.readlink(blobs["short"])
    os.unlink(blobs["short"])
    at = len(old) // 2
    os.symlink(old[:at] + ("A" if old[at] != "A" else "B") + old[at + 1 :], blobs["short"])
    target = os.path.join(repo.data, ".targets", os.readlink(blobs["long"])[1:23])
    flip(target, os.path.getsize(target) // 2)
    key = os.listxattr(blobs["value"])[0]
    value = bytearray(os.getxattr(blobs["value"], key))
    value[-1] ^= 1
    os.setxattr(blobs["value"], key, bytes(value))
    raw = os.getxattr(blobs["name"], os.listxattr(blobs["name"])[0])
    os.removexattr(blobs["name"], os.listxattr(blobs["name"])[0])
    os.setxattr(blobs["name"], key[:-2] + "AA", raw)
    with damaged.mount() as m:
        for name in ("short", "long"):
            with fails(errno.EIO):
                os.readlink(f"{m.point}/{name}")
            assert stat.S_ISLNK(os.lstat(f"{m.point}/{name}").st_mode)
            assert m.log_lines(f"^error: damage: .*{name}")
            os.rename(f"{m.point}/{name}", f"{m.point}/{name}-moved")
            os.unlink(f"{m.point}/{name}-moved")
        with fails(errno.EIO):
            os.getxattr(f"{m.point}/value", "user.note")
        with fails(errno.ENODATA, errno.EIO):
            os.getxattr(f"{m.point}/name", "user.note")
        os.setxattr(f"{m.point}/value", "user.note", b"new")
        assert os.getxattr(f"{m.point}/value", "user.note") == b"new"
        assert os.getxattr(f"{m.point}/intact", "user.note") == b"secret value"


def test_damaged_files_can_be_handled(damaged):
    names = ("move", "remove", "overwrite", "replace", "truncate", "chmod", "link")
    damaged.make({name: noise(SIZE, i) for i, name in enumerate(names)})
    for blob in damaged.blobs.values():
        flip(blob, 20)  # the header: nothing of the file can be read
    with damaged.mount() as m:
        top = m.point
        assert sorted(os.listdir(top)) == sorted(names)
        for name in names:
            assert stat.S_ISREG(os.stat(f"{top}/{name}").st_mode)
        os.rename(f"{top}/move", f"{top}/moved")
        os.unlink(f"{top}/remove")
        os.chmod(f"{top}/chmod", 0o600)
        os.utime(f"{top}/chmod", (1, 1))
        os.link(f"{top}/link", f"{top}/second")
        with open(f"{top}/new", "wb") as file:
            file.write(b"new")
        os.rename(f"{top}/new", f"{top}/replace")
        with open(f"{top}/overwrite", "wb") as file:  # O_TRUNC
            file.write(noise(5000))
        os.truncate(f"{top}/truncate", 0)
        with opened(f"{top}/truncate") as fd:
            os.write(fd, b"again")
        m.remount()
        m.allow("^error: damage: ")
        for name, content in (("replace", b"new"), ("overwrite", noise(5000)), ("truncate", b"again")):
            with open(f"{top}/{name}", "rb") as file:
                assert file.read() == content
        for name in ("moved", "chmod", "second"):
            with fails(errno.EIO):
                with open(f"{top}/{name}", "rb") as file:
                    file.read()


def test_one_bad_sector_costs_little(damaged):
    """A megabyte with one damaged record: all but the pages that it touches can be copied."""
    content = noise(1 << 20)
    damaged.make({"file": content})
    flip(damaged.blobs["file"], 100 * RECORD + 50)
    with damaged.mount() as m, opened(f"{m.point}/file", os.O_RDONLY) as fd:
        lost = 0
        for at in range(0, 1 << 20, 4096):
            try:
                assert os.pread(fd, 4096, at) == content[at : at + 4096]
            except OSError as error:
                assert error.errno == errno.EIO
                lost += 1
        assert 1 <= lost <= 2


SMALL = 5000  # two records


@pytest.mark.parametrize("step", [41, pytest.param(1, marks=pytest.mark.long)])
def test_every_byte(damaged, step):
    """One file for each byte of a blob, with that byte changed: its content, or EIO."""
    length = 2 * RECORD + SMALL - 3906
    files = {f"at{at}": noise(SMALL, at) for at in range(0, length, step)}
    damaged.make(files)
    for at in range(0, length, step):
        flip(damaged.blobs[f"at{at}"], at, bit=1 << at % 8)
    lost = 0
    with damaged.mount() as m:
        for name, content in files.items():
            try:
                with open(f"{m.point}/{name}", "rb") as file:
                    assert file.read() == content, name
            except OSError as error:
                assert error.errno == errno.EIO
                lost += 1
    # Only the zeros after a short last record, and that hole's bytes, do not matter.
    assert lost >= len(files) * 0.7


@pytest.mark.parametrize("step", [43, pytest.param(1, marks=pytest.mark.long)])
def test_every_length(damaged, step):
    """One file for each length of a blob, cut there: EIO, unless it was emptied."""
    length = 2 * RECORD + SMALL - 3906
    files = {f"cut{at}": noise(SMALL, at) for at in range(1, length, step)}
    damaged.make(files)
    for at in range(1, length, step):
        os.truncate(damaged.blobs[f"cut{at}"], at)
    with damaged.mount() as m:
        for name, content in files.items():
            must_not_end_quietly(f"{m.point}/{name}", content)


@pytest.mark.parametrize("what", ["epoch removed", "epoch changed", "state removed"])
def test_lost_state_loses_no_file(damaged, what):
    """state/ may be lost: files are read by the rules for a crash, with a warning."""
    files = {f"{size}": noise(size) for size in (0, 1, 3906, 3907, 100_000)}
    damaged.make(files)
    state = os.path.join(damaged.repo.path, "state")
    if what == "epoch removed":
        os.unlink(f"{state}/epoch")
    elif what == "epoch changed":
        flip(f"{state}/epoch", os.path.getsize(f"{state}/epoch") // 2)
    else:
        for name in os.listdir(state):
            os.unlink(f"{state}/{name}")
        os.rmdir(state)
    with damaged.mount() as m:
        m.allow("^warning: .*state", "^info: ")
        for name, content in files.items():
            with open(f"{m.point}/{name}", "rb") as file:
                assert file.read() == content
        assert m.log_lines("^warning: .*state")


def test_intact_repository_gives_no_alarm(damaged):
    files = {f"{size}": noise(size) for size in (0, 1, 3906, 3907, 7844, 7845, 100_000)}
    damaged.make(files)
    with harness.Mount(damaged.repo, damaged.point) as m:
        for name, content in files.items():
            with open(f"{m.point}/{name}", "rb") as file:
                assert file.read() == content


def test_older_state_hides_no_cut(damaged, repo):
    """After a clean end no crash explains a file of a later epoch that is short."""
    damaged.make({"first": noise(100, 1)})
    with open(os.path.join(repo.path, "state", "epoch"), "rb") as file:
        older = file.read()
    with harness.Mount(repo, damaged.point):
        pass
    content = noise(SIZE, 2)
    damaged.make({"second": content})
    with open(os.path.join(repo.path, "state", "epoch"), "wb") as file:
        file.write(older)
    os.truncate(damaged.blobs["second"], 2 * RECORD + 1)
    with damaged.mount() as m:
        with pytest.raises(OSError) as error:
            with open(f"{m.point}/second", "rb") as file:
                file.read()
        assert error.value.errno == errno.EIO
        assert m.log_lines(r"^error: damage: .*second .*cut")
