# SPDX-License-Identifier: Apache-2.0
"""
Random operation sequences, compared with a model: the content of one file with a byte array (in the
manner of fsx, with mappings), and a tree with the same operations on the backing file system. A failure
prints the seed and the last operations; --seed repeats the sequence, --seconds says how long.
"""

import collections
import errno
import mmap
import os
import pathlib
import random
import tempfile
import time

import harness
import system
import tree
from expect import opened, read_all

PAGE = 4096
MAX_SIZE = 600_000


def plan(request, default):
    """(random generator, time to stop)"""
    seed = request.config.getoption("seed")
    if seed is None:
        seed = random.randrange(1 << 32)
    seconds = request.config.getoption("seconds")
    if seconds is None:
        seconds = 600 if request.config.getoption("long") else default
    print("seed", seed)
    return random.Random(seed), time.monotonic() + seconds


class FileModel:
    """One file and the bytes that it must hold; every method is one random operation."""

    def __init__(self, path, rng):
        self.path, self.rng = path, rng
        self.data = bytearray()
        self.fd = os.open(path, os.O_RDWR | os.O_CREAT)
        self.other = os.open(path, os.O_RDWR)
        self.log = collections.deque(maxlen=40)

    def close(self):
        os.close(self.fd)
        os.close(self.other)

    def offset(self):
        """Mostly near a boundary of records, pages, or the end."""
        r = self.rng
        base = r.choice((
            0, 3906, 3906 + 3938, 3906 + 3938 + 4066 * r.randrange(120), PAGE * r.randrange(120), len(self.data),
            r.randrange(MAX_SIZE),
        ))  # fmt: skip
        return min(max(0, base + r.choice((-1, 0, 0, 1, r.randrange(-50, 50)))), MAX_SIZE)

    def length(self, at):
        r = self.rng
        n = r.choice((1, r.randrange(1, 100), r.randrange(1, 9000), PAGE, 4066, r.randrange(1, 200_000)))
        return max(1, min(n, MAX_SIZE - at + 1))

    def grow(self, end):
        if end > len(self.data):
            self.data.extend(bytes(end - len(self.data)))

    def write(self):
        at = self.offset()
        n = self.length(at)
        data = self.rng.randbytes(n)
        self.log.append(f"write {at} {n}")
        fd = self.rng.choice((self.fd, self.other))
        assert os.pwrite(fd, data, at) == n
        self.grow(at + n)
        self.data[at : at + n] = data

    def read(self):
        at = self.offset()
        n = self.length(at)
        self.log.append(f"read {at} {n}")
        fd = self.rng.choice((self.fd, self.other))
        self.compare(os.pread(fd, n, at), self.data[at : at + n], at)

    def compare(self, got, expected, at=0):
        if got != expected:
            n = min(len(got), len(expected))
            first = next((i for i in range(n) if got[i] != expected[i]), n)
            raise AssertionError(f"differs from {at + first} (got {len(got)} bytes, expected {len(expected)})")

    def truncate(self):
        size = self.offset()
        self.log.append(f"truncate {size}")
        if self.rng.random() < 0.5:
            os.ftruncate(self.fd, size)
        else:
            os.truncate(self.path, size)
        del self.data[size:]
        self.grow(size)

    def map_write(self):
        if not self.data:
            return
        at = min(self.offset(), len(self.data) - 1)
        n = min(self.length(at), len(self.data) - at)
        data = self.rng.randbytes(n)
        self.log.append(f"mmap write {at} {n}")
        with mmap.mmap(self.fd, len(self.data)) as m:
            m[at : at + n] = data
            if self.rng.random() < 0.3:
                m.flush()
        self.data[at : at + n] = data

    def map_read(self):
        if not self.data:
            return
        at = min(self.offset(), len(self.data) - 1)
        n = min(self.length(at), len(self.data) - at)
        self.log.append(f"mmap read {at} {n}")
        with mmap.mmap(self.other, len(self.data), prot=mmap.PROT_READ) as m:
            self.compare(m[at : at + n], self.data[at : at + n], at)

    def punch(self):
        at = self.offset()
        n = self.length(at)
        self.log.append(f"punch {at} {n}")
        system.fallocate(self.fd, system.FALLOC_PUNCH_HOLE | system.FALLOC_KEEP_SIZE, at, n)
        end = min(at + n, len(self.data))
        if at < end:
            self.data[at:end] = bytes(end - at)

    def zero(self):
        at = self.offset()
        n = self.length(at)
        keep = self.rng.random() < 0.5
        self.log.append(f"zero range {at} {n} keep {keep}")
        mode = system.FALLOC_ZERO_RANGE | (system.FALLOC_KEEP_SIZE if keep else 0)
        system.fallocate(self.fd, mode, at, n)
        if not keep:
            self.grow(at + n)
        end = min(at + n, len(self.data))
        if at < end:
            self.data[at:end] = bytes(end - at)

    def allocate(self):
        at = self.offset()
        n = self.length(at)
        keep = self.rng.random() < 0.5
        self.log.append(f"allocate {at} {n} keep {keep}")
        system.fallocate(self.fd, system.FALLOC_KEEP_SIZE if keep else 0, at, n)
        if not keep:
            self.grow(at + n)

    def copy(self):
        if not self.data:
            return
        at = min(self.offset(), len(self.data) - 1)
        n = min(self.length(at), len(self.data) - at)
        to = self.offset()
        if to < at + n and at < to + n or to + n > MAX_SIZE:
            return
        self.log.append(f"copy {at} {n} to {to}")
        part = self.data[at : at + n]
        done = 0
        while done < n:
            step = os.copy_file_range(self.fd, self.other, n - done, at + done, to + done)
            assert step > 0
            done += step
        self.grow(to + n)
        self.data[to : to + n] = part

    def append(self):
        n = min(self.length(0), max(1, MAX_SIZE - len(self.data)))
        data = self.rng.randbytes(n)
        self.log.append(f"append {n}")
        with opened(self.path, os.O_WRONLY | os.O_APPEND) as fd:
            os.write(fd, data)
        self.data += data

    def sync(self):
        self.log.append("sync")
        self.rng.choice((os.fsync, os.fdatasync))(self.fd)

    def reopen(self):
        self.log.append("reopen")
        empty = self.rng.random() < 0.1
        self.close()
        self.fd = os.open(self.path, os.O_RDWR | (os.O_TRUNC if empty else 0))
        self.other = os.open(self.path, os.O_RDWR)
        if empty:
            self.data.clear()

    def drop_cache(self):
        """What is read next comes from the daemon."""
        self.log.append("drop cache")
        os.fsync(self.fd)
        os.posix_fadvise(self.fd, 0, 0, os.POSIX_FADV_DONTNEED)

    def seek(self):
        self.log.append("seek")
        at = 0
        while at < len(self.data):
            try:
                start = os.lseek(self.fd, at, os.SEEK_DATA)
            except OSError as error:
                assert error.errno == errno.ENXIO
                start = len(self.data)
            assert not any(self.data[at:start]), f"data at {at} to {start} called a hole"
            at = start if start == len(self.data) else os.lseek(self.fd, start, os.SEEK_HOLE)

    def check(self):
        self.log.append("check")
        assert os.fstat(self.fd).st_size == len(self.data) == os.stat(self.path).st_size
        self.compare(read_all(self.fd), self.data)


def test_file_content(d, request):
    rng, end = plan(request, 5)
    model = FileModel(d / "file", rng)
    operations = (
        [model.write] * 6 + [model.read] * 6 + [model.truncate] * 2 + [model.map_write] * 3 + [model.map_read] * 2
        + [model.punch, model.zero, model.allocate, model.copy, model.append, model.sync, model.reopen]
        + [model.drop_cache, model.seek, model.check]
    )  # fmt: skip
    count = 0
    try:
        while time.monotonic() < end:
            rng.choice(operations)()
            count += 1
        model.check()
    except BaseException:
        print("after", count, "operations; the last ones:", *model.log, sep="\n  ")
        raise
    finally:
        model.close()
    (d / "expected").write_bytes(model.data)
    assert (d / "file").read_bytes() == model.data
    print(count, "operations")


NAMES = ["a", "b", "c", "d", "e" * 255, "f" * 200, ".g", "ü"]


class TreeModel:
    """The same random operation on two directories must have the same result."""

    def __init__(self, ours, reference, rng):
        self.tops, self.rng = (ours, reference), rng
        self.log = collections.deque(maxlen=40)

    def path(self):
        depth = self.rng.choice((1, 1, 2, 2, 3))
        return "/".join(self.rng.choice(NAMES) for _ in range(depth))

    def step(self):
        r = self.rng
        one, two, number = self.path(), self.path(), r.randrange(1 << 30)
        size = r.choice((0, 1, 3906, 5000, 40_000))
        # Directories never move to a deeper level, so that the tree stays below three of them.
        level = min(one.count("/"), two.count("/")) + 1
        same = ["/".join(path.split("/")[:level]) for path in (one, two)]
        name, action = r.choice((
            ("create", lambda t: create(t / one, os.O_CREAT, number, size)),
            ("create", lambda t: create(t / one, os.O_CREAT | os.O_EXCL, number, size)),
            ("overwrite", lambda t: create(t / one, os.O_TRUNC, number, size)),
            ("mkdir", lambda t: os.mkdir(t / one)),
            ("mkdir", lambda t: os.mkdir(t / one)),
            ("rmdir", lambda t: os.rmdir(t / one)),
            ("unlink", lambda t: os.unlink(t / one)),
            ("rename", lambda t: os.rename(t / same[0], t / same[1])),
            ("rename", lambda t: os.rename(t / same[0], t / same[1])),
            ("noreplace", lambda t: system.renameat2(t / same[0], t / same[1], system.RENAME_NOREPLACE)),
            ("exchange", lambda t: system.renameat2(t / same[0], t / same[1], system.RENAME_EXCHANGE)),
            ("link", lambda t: os.link(t / one, t / two, follow_symlinks=False)),
            ("symlink", lambda t: os.symlink("s" * (number % 3000 + 1), t / one)),
            ("readlink", lambda t: os.readlink(t / one)),
            ("chmod", lambda t: os.chmod(t / one, 0o700 | number & 0o77)),
            ("utime", lambda t: os.utime(t / one, ns=(number, number), follow_symlinks=False)),
            ("truncate", lambda t: os.truncate(t / one, size)),
            ("setxattr", lambda t: os.setxattr(t / one, f"user.{number % 3}", b"%d" % number)),
            ("getxattr", lambda t: os.getxattr(t / one, f"user.{number % 3}")),
            ("list", lambda t: sorted(os.listdir(t / one))),
            ("stat", lambda t: describe(t / one)),
            ("read", lambda t: (t / one).read_bytes()),
        ))  # fmt: skip
        self.log.append(f"{name} {one[:30]} {two[:30]} {number} {size}")
        results = [outcome(action, top) for top in self.tops]
        assert results[0] == results[1], f"{name}: {results[0]!r}, but the backing file system: {results[1]!r}"

    def compare(self):
        # Directories get their times from when they were changed, here and there at different moments.
        tree.assert_same(*(tree.snapshot(top) for top in reversed(self.tops)), ignore={"mtime"})


def create(path, flags, seed, size):
    with opened(path, os.O_WRONLY | flags, 0o644) as fd:
        os.write(fd, random.Random(seed).randbytes(size))


def describe(path):
    ret = tree.describe(path)
    del ret["mtime"]
    return ret


def outcome(action, top):
    try:
        return action(top)
    except OSError as error:
        return errno.errorcode[error.errno]


def test_tree(d, work, request):
    rng, end = plan(request, 5)
    ours = d / "tree"
    ours.mkdir()
    with system.root_again():
        home = pathlib.Path(tempfile.mkdtemp(prefix="reference-", dir=work))
        os.chmod(home, 0o777)
    reference = home / "tree"
    reference.mkdir()
    model = TreeModel(ours, reference, rng)
    count = 0
    try:
        while time.monotonic() < end:
            model.step()
            count += 1
            if count % 3000 == 0:
                model.compare()
        model.compare()
    except BaseException:
        print("after", count, "operations; the last ones:", *model.log, sep="\n  ")
        raise
    print(count, "operations")


def test_file_content_across_remounts(request, repo, tmp):
    """Everything must come back from the disk, not from a cache."""
    rng, end = plan(request, 5)
    m = harness.Mount(repo, tmp / "mnt").start()
    data = bytearray()
    try:
        while time.monotonic() < end:
            model = FileModel(os.path.join(m.point, "file"), rng)
            model.data = data
            operations = [
                model.write, model.truncate, model.map_write, model.punch, model.zero, model.allocate, model.sync,
                model.append, model.copy, model.check,
            ]  # fmt: skip
            try:
                model.check()
                for _ in range(rng.randrange(1, 15)):
                    rng.choice(operations)()
            except BaseException:
                print("last operations:", *model.log, sep="\n  ")
                raise
            finally:
                model.close()
            m.remount()
        m.finish()
    finally:
        m.abandon()
