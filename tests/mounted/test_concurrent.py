# SPDX-License-Identifier: Apache-2.0
"""Many processes and threads at once."""

import os
import threading

import system
from expect import noise, opened, read_all

WORKERS = 8


def together(function, count=WORKERS):
    """Runs function(i) in `count` processes at once; all must succeed."""
    pids = []
    for i in range(count):
        pid = os.fork()
        if pid == 0:
            status = 70
            try:
                function(i)
                status = 0
            except BaseException as error:
                os.write(2, f"worker {i}: {error!r}\n".encode())
            finally:
                os._exit(status)
        pids.append(pid)
    assert [os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in pids] == [0] * count


def test_writers_of_one_file(d):
    """Strips that share records and pages at their edges."""
    path, strip = d / "file", 50_021
    path.write_bytes(b"")

    def worker(i):
        with opened(path) as fd:
            data = noise(strip, i)
            for at in range(0, strip, 3001):
                os.pwrite(fd, data[at : at + 3001], i * strip + at)

    together(worker)
    assert path.read_bytes() == b"".join(noise(strip, i) for i in range(WORKERS))


def test_interleaved_small_writes(d):
    path = d / "file"
    path.write_bytes(b"")

    def worker(i):
        with opened(path) as fd:
            for k in range(400):
                os.pwrite(fd, bytes([65 + i]) * 100, (k * WORKERS + i) * 100)

    together(worker)
    expected = b"".join(bytes([65 + i]) * 100 for i in range(WORKERS)) * 400
    assert path.read_bytes() == expected


def test_appenders(d):
    path = d / "log"
    path.write_bytes(b"")

    def worker(i):
        with opened(path, os.O_WRONLY | os.O_APPEND) as fd:
            for k in range(300):
                os.write(fd, b"%d:%04d\n" % (i, k))

    together(worker)
    lines = path.read_bytes().splitlines()
    assert len(lines) == 300 * WORKERS
    for i in range(WORKERS):
        mine = [line for line in lines if line.startswith(b"%d:" % i)]
        assert mine == [b"%d:%04d" % (i, k) for k in range(300)]


def test_threads_on_one_descriptor(d):
    with opened(d / "file", os.O_RDWR | os.O_CREAT) as fd:
        problems = []

        def worker(i):
            for round in range(20):
                data = noise(10_000, i * 100 + round)
                os.pwrite(fd, data, i * 10_000)
                if os.pread(fd, 10_000, i * 10_000) != data:
                    problems.append((i, round))
                if round % 7 == 0:
                    os.fsync(fd)

        threads = [threading.Thread(target=worker, args=(i,)) for i in range(WORKERS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert problems == []
        assert read_all(fd) == b"".join(noise(10_000, i * 100 + 19) for i in range(WORKERS))


def test_creates_and_removes_in_one_directory(d):
    def worker(i):
        for k in range(150):
            name = d / f"{i}-{k}"
            name.write_bytes(noise(k))
            os.rename(name, d / f"{i}-{k}-moved")
            if k % 3 == 0:
                os.unlink(d / f"{i}-{k}-moved")
            elif k % 3 == 1:
                os.link(d / f"{i}-{k}-moved", name)

    together(worker)
    expected = set()
    for i in range(WORKERS):
        for k in range(150):
            if k % 3:
                expected.add(f"{i}-{k}-moved")
            if k % 3 == 1:
                expected.add(f"{i}-{k}")
    assert set(os.listdir(d)) == expected
    for name in expected:
        assert (d / name).read_bytes() == noise(int(name.split("-")[1]))


def test_trees_made_and_removed(d):
    def worker(i):
        for k in range(15):
            top = d / f"tree-{i}"
            (top / "a" / "b").mkdir(parents=True)
            (top / "a" / "b" / "file").write_bytes(noise(5000))
            os.rename(top, d / f"tree-{i}-{k}")
            if k % 2:
                os.unlink(d / f"tree-{i}-{k}" / "a" / "b" / "file")
                for sub in ("a/b", "a", ""):
                    os.rmdir(d / f"tree-{i}-{k}" / sub)

    together(worker)
    assert set(os.listdir(d)) == {f"tree-{i}-{k}" for i in range(WORKERS) for k in range(0, 15, 2)}


def test_one_winner(d):
    def worker(i):
        for k in range(100):
            try:
                fd = os.open(d / f"lock{k}", os.O_CREAT | os.O_EXCL | os.O_WRONLY)
                os.write(fd, b"%d" % i)
                os.close(fd)
            except FileExistsError:
                pass
            try:
                os.mkdir(d / f"dir{k}")
                (d / f"dir{k}-by-{i}").write_bytes(b"")
            except FileExistsError:
                pass

    together(worker)
    for k in range(100):
        assert len((d / f"lock{k}").read_bytes()) == 1
    assert sum("-by-" in name for name in os.listdir(d)) == 100


def test_a_replaced_name_is_never_missing(d):
    (d / "name").write_bytes(b"0" * 1000)

    def worker(i):
        if i < 2:
            for k in range(200):
                temporary = d / f"tmp{i}"
                temporary.write_bytes(b"%d" % i * 1000)
                os.rename(temporary, d / "name")
        else:
            for _ in range(400):
                content = (d / "name").read_bytes()
                assert len(content) == 1000 and len(set(content)) == 1

    together(worker)


def test_renames_across_directories_do_not_deadlock(d):
    for name in ("a", "b", "c"):
        (d / name).mkdir()
    for i in range(WORKERS):
        (d / "a" / f"f{i}").write_bytes(b"%d" % i)

    def worker(i):
        at = "a"
        for k in range(100):
            to = "abc"[("abc".index(at) + 1 + (i + k) % 2) % 3]
            os.rename(d / at / f"f{i}", d / to / f"f{i}")
            at = to
            if i == 0 and k % 10 == 0:
                system.renameat2(d / "b", d / "c", system.RENAME_EXCHANGE)
                system.renameat2(d / "b", d / "c", system.RENAME_EXCHANGE)

    # While "b" and "c" are exchanged others may not find their file: only worker 0 exchanges, alone.
    together(lambda i: worker(i + 1), WORKERS - 1)
    together(lambda i: worker(0), 1)
    found = sorted(name for sub in "abc" for name in os.listdir(d / sub))
    assert found == [f"f{i}" for i in range(WORKERS)]


def test_reader_sees_no_strange_bytes_while_a_writer_truncates(d):
    path = d / "file"
    path.write_bytes(b"A" * 100_000)

    def worker(i):
        with opened(path) as fd:
            if i == 0:
                for k in range(150):
                    os.ftruncate(fd, (k * 7777) % 100_000)
                    os.pwrite(fd, b"A" * 20_000, (k * 3331) % 80_000)
            else:
                for _ in range(150):
                    assert set(read_all(fd)) <= {0, ord("A")}

    together(worker, 4)


def test_many_open_files(d):
    fds = [os.open(d / f"{i}", os.O_RDWR | os.O_CREAT) for i in range(400)]
    for i, fd in enumerate(fds):
        os.pwrite(fd, b"%d" % i * 100, 0)
    for i, fd in enumerate(fds):
        assert os.pread(fd, 1000, 0) == b"%d" % i * 100
        os.close(fd)
