# SPDX-License-Identifier: Apache-2.0
"""
The workloads. A group shares one fresh mount: what an earlier workload left is what the next
one reads, and is prepared without being measured if that one is not asked for.
"""

import dataclasses
import json
import os
import random
import time

from machine import Failure, run, timed

MIB = 1 << 20
GIB = 1 << 30


@dataclasses.dataclass(frozen=True)
class Sizes:
    """How much; bytes and counts."""

    big: int  # the file that is written and read with 1 MiB blocks and at random
    small_blocks: int  # the file that is written with 4 KiB blocks
    random_reads: int  # each 4 KiB
    random_writes: int
    appends: int
    writer: int  # of four
    files: int  # in the tree, 20 in a directory
    tree: int
    mapped: int
    sparse: int
    many: int


SIZES = {
    "full": Sizes(GIB, 512 * MIB, 32768, 32768, 5000, 256 * MIB, 15000, 320 * MIB, 256 * MIB,
                  64 * GIB, 1000000),
    "quick": Sizes(256 * MIB, 128 * MIB, 8192, 8192, 1000, 64 * MIB, 3000, 64 * MIB, 64 * MIB,
                   64 * GIB, 50000),
    "smoke": Sizes(8 * MIB, 4 * MIB, 64, 64, 20, 2 * MIB, 60, 2 * MIB, 2 * MIB, GIB, 500),
}  # fmt: skip


def room_needed(sizes, extras):
    """Sizes of the two tmpfs: a blob, its plaintext twice, and what block sizes waste."""
    largest = max(sizes.big, sizes.small_blocks, 4 * sizes.writer, 3 * sizes.tree)
    if extras:
        largest = max(largest, sizes.many * 12288)
    return {"store": 2 * largest + 256 * MIB, "sources": 3 * sizes.tree + 64 * MIB}


class Sources:
    """A tree of small files, the same in each run: its directory and its tar archive."""

    SEED = 20260501

    def __init__(self, directory, sizes):
        self.directory, self.sizes = directory, sizes
        self.tree, self.tar = directory / "tree", directory / "tree.tar"
        self.bytes = 0

    def make(self):
        if self.tar.exists():
            return
        rng = random.Random(self.SEED)
        # Most files of a real tree are small and a few are not.
        sizes = [rng.lognormvariate(0, 1.3) for _ in range(self.sizes.files)]
        scale = self.sizes.tree / sum(sizes)
        for i, size in enumerate(sizes):
            directory = self.tree / f"directory {i // 200:03}" / f"part-{i // 20 % 10}"
            if i % 20 == 0:
                directory.mkdir(parents=True)
            content = rng.randbytes(int(size * scale))
            self.bytes += len(content)
            (directory / f"file-{i:05}.dat").write_bytes(content)
        run(["tar", "-C", self.directory, "-cf", self.tar, "tree"])


def fio(place, *options):
    """One fio job; returns what fio says of reads and writes."""
    out = run([
        "fio", "--name=job", f"--directory={place.root}", "--thread", "--ioengine=psync",
        "--fallocate=none", "--create_on_open=1", "--invalidate=0", "--fadvise_hint=0",
        "--randrepeat=1", "--group_reporting", "--output-format=json", *options,
    ])  # fmt: skip
    job = json.loads(out[out.index("{") :])["jobs"][0]
    if job["error"]:
        raise Failure(f"fio: {os.strerror(job['error'])}")
    return job


def mib_per_second(part):
    return part["io_bytes"] / MIB / (max(part["runtime"], 1) / 1000)


def kiops(part):
    return part["total_ios"] / max(part["runtime"], 1)


class Data:
    """One large file."""

    def __init__(self, place, sizes, sources):
        self.place, self.sizes = place, sizes

    def write_1m(self):
        self.place.settle()
        return mib_per_second(fio(
            self.place, "--filename=big", "--rw=write", "--bs=1M", f"--size={self.sizes.big}",
            "--end_fsync=1",
        )["write"])  # fmt: skip

    def _need_big(self):
        if not (self.place.root / "big").exists():
            self.write_1m()

    def read_1m(self):
        self._need_big()
        self.place.make_cold()
        return mib_per_second(fio(
            self.place, "--filename=big", "--rw=read", "--bs=1M", f"--size={self.sizes.big}",
        )["read"])  # fmt: skip

    def randread_4k(self):
        self._need_big()
        self.place.make_cold()
        return kiops(fio(
            self.place, "--filename=big", "--rw=randread", "--bs=4k", f"--size={self.sizes.big}",
            f"--io_size={self.sizes.random_reads * 4096}",
        )["read"])  # fmt: skip

    def randwrite_4k(self):
        self._need_big()
        self.place.settle()
        return kiops(fio(
            self.place, "--filename=big", "--rw=randwrite", "--bs=4k", "--end_fsync=1",
            f"--size={self.sizes.big}", f"--io_size={self.sizes.random_writes * 4096}",
        )["write"])  # fmt: skip


class SmallBlocks(Data):
    def write_4k(self):
        self.place.settle()
        return mib_per_second(fio(
            self.place, "--filename=small-blocks", "--rw=write", "--bs=4k", "--end_fsync=1",
            f"--size={self.sizes.small_blocks}",
        )["write"])  # fmt: skip

    def append_fsync(self):
        self.place.settle()
        return kiops(fio(
            self.place, "--filename=log", "--rw=write", "--bs=4k", "--fsync=1",
            f"--size={self.sizes.appends * 4096}",
        )["write"])  # fmt: skip

    def mmap(self):
        fio(self.place, "--filename=mapped", "--rw=write", "--bs=1M", f"--size={self.sizes.mapped}")
        self.place.settle()
        return kiops(fio(
            self.place, "--filename=mapped", "--rw=randwrite", "--bs=4k", "--ioengine=mmap",
            "--end_fsync=1", f"--size={self.sizes.mapped}",
        )["write"])  # fmt: skip


class Writers(Data):
    def writers_4(self):
        self.place.settle()
        return mib_per_second(fio(
            self.place, "--numjobs=4", "--rw=write", "--bs=1M", f"--size={self.sizes.writer}",
            "--end_fsync=1",
        )["write"])  # fmt: skip


class Tree:
    """Many small files."""

    def __init__(self, place, sizes, sources):
        self.place, self.sizes, self.sources = place, sizes, sources
        self.tree = place.root / "tree"
        sources.make()

    def untar(self):
        self.place.settle()
        return timed(["tar", "-C", self.place.root, "-xf", self.sources.tar])

    def _need_tree(self):
        if not self.tree.exists():
            self.untar()

    def find(self):
        self._need_tree()
        self.place.make_cold()
        listing = self.sources.directory / "listing"
        with open(listing, "wb") as out:
            seconds = timed(["find", self.tree, "-type", "f", "-printf", "%s %m %P\n"], stdout=out)
        lines = listing.read_text().splitlines()
        total = sum(int(line.split(" ", 1)[0]) for line in lines)
        if len(lines) != self.sizes.files or total != self.sources.bytes:
            raise Failure(f"wrong tree: {len(lines)} files, {total} bytes")
        return seconds

    def read_tree(self):
        self._need_tree()
        self.place.make_cold()
        return timed(["find", self.tree, "-type", "f", "-exec", "cat", "{}", "+"],
                     stdout=open(os.devnull, "wb"))  # fmt: skip

    def rm_tree(self):
        self._need_tree()
        self.place.settle()
        return timed(["rm", "-rf", self.tree])


class Programs:
    """Backup programs that keep their repositories in the mount."""

    def __init__(self, place, sizes, sources):
        self.place, self.sources = place, sources
        self.home = sources.directory / "home"
        sources.make()

    def _timed(self, *commands, **environment):
        """The programs' own caches start empty."""
        run(["rm", "-rf", self.home])
        self.home.mkdir()
        self.place.settle()
        env = dict(os.environ, HOME=str(self.home), **environment)
        return sum(timed(c, env=env) for c in commands)

    def borg(self):
        repo = self.place.root / "borg"
        return self._timed(
            ["borg", "init", "--encryption=none", repo],
            ["borg", "create", f"{repo}::first", self.sources.tree],
            BORG_BASE_DIR=str(self.home),
            BORG_UNKNOWN_UNENCRYPTED_REPO_ACCESS_IS_OK="yes",
        )

    def rsync(self):
        return self._timed(["rsync", "-a", self.sources.tree, self.place.root / "rsync"])

    def restic(self):
        repo = self.place.root / "restic"
        return self._timed(
            ["restic", "-q", "-r", repo, "init"],
            ["restic", "-q", "-r", repo, "backup", self.sources.tree],
            RESTIC_PASSWORD="benchmark",
            RESTIC_CACHE_DIR=str(self.home / "cache"),
        )


class Sparse:
    def __init__(self, place, sizes, sources):
        self.place, self.size = place, sizes.sparse

    def sparse(self):
        path = self.place.root / "sparse"
        block = random.Random(1).randbytes(4096)
        offsets = range(0, self.size, 64 * MIB)
        self.place.settle()
        start = time.monotonic()
        with open(path, "xb", buffering=0) as f:
            f.truncate(self.size)
            for offset in offsets:
                os.pwrite(f.fileno(), block, offset)
            os.fsync(f.fileno())
        seconds = time.monotonic() - start
        self.place.make_cold()
        start = time.monotonic()
        with open(path, "rb", buffering=0) as f:
            if os.fstat(f.fileno()).st_size != self.size:
                raise Failure("wrong size of the sparse file")
            for offset in offsets:
                if os.pread(f.fileno(), 4096, offset) != block:
                    raise Failure(f"wrong content at {offset}")
        return seconds + time.monotonic() - start


class Many:
    def __init__(self, place, sizes, sources):
        self.place, self.count = place, sizes.many
        self.tree = place.root / "many"

    def many_create(self):
        self.place.settle()
        start = time.monotonic()
        content = b"x" * 100
        for i in range(self.count):
            directory = f"{self.tree}/{i // 1000}"
            if i % 1000 == 0:
                os.makedirs(directory)
            fd = os.open(f"{directory}/{i}", os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
            os.write(fd, content)
            os.close(fd)
        return time.monotonic() - start

    def _need_files(self):
        if not self.tree.exists():
            self.many_create()

    def many_find(self):
        self._need_files()
        self.place.make_cold()
        return timed(["find", self.tree, "-printf", "%s %m\n"], stdout=open(os.devnull, "wb"))

    def many_rm(self):
        self._need_files()
        self.place.settle()
        return timed(["rm", "-rf", self.tree])


@dataclasses.dataclass(frozen=True)
class Workload:
    name: str
    title: str
    unit: str  # "s": less is better; everything else: more is
    group: type
    package: str = None  # Debian's, beside fio
    extra: bool = False

    @property
    def less_is_better(self):
        return self.unit == "s"

    def measure(self, group):
        return getattr(group, self.name.replace("-", "_"))()


WORKLOADS = [
    Workload("write-1m", "sequential write, 1 MiB blocks", "MiB/s", Data),
    Workload("write-4k", "sequential write, 4 KiB blocks", "MiB/s", SmallBlocks),
    Workload("read-1m", "cold sequential read, 1 MiB", "MiB/s", Data),
    Workload("randread-4k", "cold random read, 4 KiB", "kIOPS", Data),
    Workload("randwrite-4k", "random write, 4 KiB", "kIOPS", Data),
    Workload("append-fsync", "append 4 KiB + fsync", "kIOPS", SmallBlocks),
    Workload("writers-4", "four writers, 1 MiB blocks", "MiB/s", Writers),
    Workload("untar", "untar small files", "s", Tree),
    Workload("find", "cold find over them", "s", Tree),
    Workload("read-tree", "cold read of them", "s", Tree),
    Workload("rm-tree", "rm -rf of them", "s", Tree),
    Workload("borg", "borg init + create", "s", Programs, "borgbackup"),
    Workload("mmap", "random write by mmap, 4 KiB", "kIOPS", SmallBlocks, extra=True),
    Workload("rsync", "rsync of small files", "s", Programs, "rsync", True),
    Workload("restic", "restic init + backup", "s", Programs, "restic", True),
    Workload("sparse", "sparse file, write and read", "s", Sparse, extra=True),
    Workload("many-create", "create many files", "s", Many, extra=True),
    Workload("many-find", "cold find over many files", "s", Many, extra=True),
    Workload("many-rm", "rm -rf of many files", "s", Many, extra=True),
]


def grouped(chosen):
    """The workloads of each group, in the order of the table."""
    groups = {}
    for workload in chosen:
        groups.setdefault(workload.group, []).append(workload)
    return groups
