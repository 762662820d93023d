# SPDX-License-Identifier: Apache-2.0
"""Memory-mapped files: shared writes, truncation under a mapping, execution."""

import mmap
import os
import shutil
import signal
import subprocess

import system
from expect import noise, opened, read_all

PAGE = mmap.PAGESIZE


def test_shared_write_is_read_back(d):
    with opened(d / "file", os.O_RDWR | os.O_CREAT) as fd:
        os.write(fd, noise(100_000))
        with mmap.mmap(fd, 100_000) as m:
            assert m[:] == noise(100_000)
            m[5000:5003] = b"new"
            m[99_999:] = b"!"
            assert os.pread(fd, 3, 5000) == b"new"
            os.pwrite(fd, b"back", 7000)
            assert m[7000:7004] == b"back"
            m.flush()
    expected = bytearray(noise(100_000))
    expected[5000:5003], expected[7000:7004], expected[99_999:] = b"new", b"back", b"!"
    assert (d / "file").read_bytes() == expected


def test_never_flushed_by_hand(d):
    with opened(d / "file", os.O_RDWR | os.O_CREAT) as fd:
        os.ftruncate(fd, 1 << 20)
        m = mmap.mmap(fd, 1 << 20)
        m[:] = noise(1 << 20)
    m.close()
    assert (d / "file").read_bytes() == noise(1 << 20)


def test_two_processes_share(d):
    with opened(d / "file", os.O_RDWR | os.O_CREAT) as fd:
        os.ftruncate(fd, PAGE)
        with mmap.mmap(fd, PAGE) as m:

            def child():
                with opened(d / "file") as mine, mmap.mmap(mine, PAGE) as n:
                    n[10:15] = b"child"

            assert system.in_child(child) == 0
            assert m[10:15] == b"child"


def test_private_mapping_stays_private(d):
    (d / "file").write_bytes(b"original" * 1000)
    with opened(d / "file") as fd, mmap.mmap(fd, 8000, mmap.MAP_PRIVATE) as m:
        m[:4] = b"mine"
        assert os.pread(fd, 8, 0) == b"original"


def test_bytes_after_the_end_do_not_reach_the_file(d):
    with opened(d / "file", os.O_RDWR | os.O_CREAT) as fd:
        os.write(fd, b"x" * 100)
        os.ftruncate(fd, PAGE)
        with mmap.mmap(fd, PAGE) as m:
            os.ftruncate(fd, 100)
            m[100:200] = b"y" * 100  # in the last page, past the end
            m.flush()
            os.fsync(fd)
        os.ftruncate(fd, 300)
        assert read_all(fd) == b"x" * 100 + bytes(200)


def test_shrinking_under_a_mapping(d):
    """Pages past the new end give SIGBUS; growing again gives zeros."""
    with opened(d / "file", os.O_RDWR | os.O_CREAT) as fd:
        os.write(fd, noise(5 * PAGE))

        def child():
            signal.signal(signal.SIGBUS, signal.SIG_DFL)
            m = mmap.mmap(fd, 5 * PAGE)
            m[4 * PAGE] = 1
            os.ftruncate(fd, 2 * PAGE)
            m[4 * PAGE] = 2

        assert system.in_child(child) == -signal.SIGBUS
        with mmap.mmap(fd, 2 * PAGE) as m:
            assert m[:] == noise(5 * PAGE)[: 2 * PAGE]
            os.ftruncate(fd, 5 * PAGE)
            m[0] = 65
        assert read_all(fd) == b"A" + noise(5 * PAGE)[1 : 2 * PAGE] + bytes(3 * PAGE)


def test_truncate_and_write_between_mapped_writes(d):
    model = bytearray()
    with opened(d / "file", os.O_RDWR | os.O_CREAT) as fd:
        for i in range(30):
            size = (i * 7919) % 40_000 + 1
            os.ftruncate(fd, size)
            del model[size:]
            model.extend(bytes(size - len(model)))
            with mmap.mmap(fd, size) as m:
                at = size // 2
                m[at : at + 1] = b"m"
                model[at] = ord("m")
                os.pwrite(fd, b"w", size - 1)
                model[size - 1] = ord("w")
                assert m[:] == model
    assert (d / "file").read_bytes() == model


def test_sparse_file(d):
    with opened(d / "file", os.O_RDWR | os.O_CREAT) as fd:
        os.ftruncate(fd, 1 << 32)
        with mmap.mmap(fd, 1 << 32) as m:
            assert m[1 << 31] == 0
            m[(1 << 31) : (1 << 31) + 5] = b"island"[:5]
            m[-1] = 7
        os.fsync(fd)
        assert os.fstat(fd).st_blocks * 512 < 1 << 20
        assert os.pread(fd, 7, (1 << 31) - 1) == b"\0islan\0"


def test_unlinked_file(d):
    with opened(d / "file", os.O_RDWR | os.O_CREAT) as fd:
        os.write(fd, noise(20_000))
        m = mmap.mmap(fd, 20_000)
        os.unlink(d / "file")
    m[:3] = b"new"
    m.flush()
    assert m[:] == b"new" + noise(20_000)[3:]
    m.close()


def test_mapping_outlives_its_descriptor(d):
    with opened(d / "file", os.O_RDWR | os.O_CREAT) as fd:
        os.ftruncate(fd, 50_000)
        m = mmap.mmap(fd, 50_000)
    for at in range(0, 50_000, 1000):
        m[at] = at // 1000
    m.flush()
    m[1] = 99
    m.close()
    data = (d / "file").read_bytes()
    assert [data[at] for at in range(0, 50_000, 1000)] == list(range(50)) and data[1] == 99


def test_execution(d):
    shutil.copy("/bin/true", d / "program")
    os.chmod(d / "program", 0o755)
    (d / "script").write_text("#!/bin/sh\necho hello\n")
    os.chmod(d / "script", 0o755)
    uid, gid = os.geteuid(), os.getegid()
    with system.root_again():
        who = {"user": uid, "group": gid, "extra_groups": []}
        assert subprocess.run([d / "program"], **who).returncode == 0
        assert subprocess.run([d / "script"], capture_output=True, **who).stdout == b"hello\n"
