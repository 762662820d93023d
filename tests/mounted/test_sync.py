# SPDX-License-Identifier: Apache-2.0
"""fsync and its relatives, and what they promise when the daemon dies right after."""

import os

import harness
import pytest
import system
import tree
from expect import noise, opened


def test_all_kinds_succeed(d):
    with opened(d / "file", os.O_RDWR | os.O_CREAT) as fd:
        for i in range(10):
            os.pwrite(fd, noise(10_000, i), i * 9000)
            os.fsync(fd)
            os.fdatasync(fd)
        system.syncfs(fd)
    with opened(d / "file", os.O_RDONLY) as fd:
        os.fsync(fd)
    with opened(d, os.O_RDONLY) as fd:
        os.fsync(fd)
        os.fdatasync(fd)
        system.syncfs(fd)


def test_unlinked_file(d):
    with opened(d / "file", os.O_RDWR | os.O_CREAT) as fd:
        os.unlink(d / "file")
        os.write(fd, noise(100_000))
        os.fsync(fd)


def fill(top):
    """A tree with everything, each thing made durable by the call that POSIX has for it."""
    os.mkdir(f"{top}/dir")
    for size in (0, 1, 3906, 3907, 50_000, 1_000_000):
        with opened(f"{top}/dir/{size}", os.O_RDWR | os.O_CREAT) as fd:
            os.write(fd, noise(size))
            os.setxattr(fd, "user.note", b"%d" % size)
            os.fsync(fd)
    with opened(f"{top}/dir/overwritten", os.O_RDWR | os.O_CREAT) as fd:
        os.write(fd, noise(20_000))
        os.fsync(fd)
        os.pwrite(fd, noise(9000, 1), 5000)
        os.ftruncate(fd, 12_345)
        os.fdatasync(fd)
    with opened(f"{top}/dir/sparse", os.O_RDWR | os.O_CREAT) as fd:
        os.pwrite(fd, noise(5000), 1 << 30)
        os.fsync(fd)
    os.symlink("t" * 3000, f"{top}/dir/link")
    os.link(f"{top}/dir/50000", f"{top}/dir/{'l' * 255}")
    os.rename(f"{top}/dir/1", f"{top}/dir/renamed")
    for path in (f"{top}/dir", top):
        with opened(path, os.O_RDONLY) as fd:
            os.fsync(fd)


def test_after_the_daemon_was_killed(repo, tmp):
    """kill -9 loses nothing that was acknowledged; the next mount clears the dead mount point."""
    m = harness.Mount(repo, tmp / "mnt").start()
    fill(m.point)
    before = tree.snapshot(m.point)
    m.kill()
    with harness.Mount(repo, tmp / "mnt") as again:
        again.allow(r"^(warning|info): .*(unclean|crash|killed|dead|recover|last session)")
        tree.assert_same(before, tree.snapshot(again.point))
        # Life goes on as after a clean end.
        fill_more = os.path.join(again.point, "dir", "50000")
        with opened(fill_more) as fd:
            os.pwrite(fd, b"more", 60_000)
        after = tree.snapshot(again.point)
        again.remount()
        tree.assert_same(after, tree.snapshot(again.point))


def test_killed_while_writing(repo, tmp):
    """
    Unacknowledged bytes may be lost, but every file opens and is a prefix of what was written: never
    EIO, never foreign bytes.
    """
    point = tmp / "mnt"
    for round in range(4):
        m = harness.Mount(repo, point).start()
        pid = os.fork()
        if pid == 0:
            try:
                i = 0
                while True:
                    with open(f"{m.point}/{round}-{i}", "wb") as file:
                        file.write(noise(70_000, i))
                    i += 1
            finally:
                os._exit(0)
        harness.wait_for(lambda: os.path.exists(f"{m.point}/{round}-20"), "some files")
        m.kill()
        os.waitpid(pid, 0)
        with harness.Mount(repo, point) as again:
            again.allow(r"^(warning|info): ")
            for name in os.listdir(again.point):
                with open(f"{again.point}/{name}", "rb") as file:
                    content = file.read()
                whole = noise(70_000, int(name.split("-")[1]))
                assert whole.startswith(content), name
                assert os.stat(f"{again.point}/{name}").st_size == len(content)


def test_sync_command(mount, repo, tmp):
    fill(mount.point)
    with open(f"{mount.point}/unsynced", "wb") as file:
        file.write(noise(100_000))
        file.flush()
        before = tree.snapshot(mount.point)
        done = harness.coffer("sync", mount.point)
        assert done.returncode == 0, done.stderr
        # What the disk holds now is a complete repository.
        copy = harness.Repo(tmp / "copy")
        os.system(f"cp -a --sparse=always {repo.path} {copy.path}")
    with harness.Mount(copy, tmp / "mnt2") as other:
        other.allow(r"^(warning|info): ")
        tree.assert_same(before, tree.snapshot(other.point))


@pytest.mark.parametrize("size", [10, 100_000])
def test_every_fsync_is_a_point_of_no_return(repo, tmp, size):
    """A copy of the repository at any such moment (what a crash of the machine leaves at best) has it."""
    with harness.Mount(repo, tmp / "mnt") as m:
        for i in range(3):
            with opened(f"{m.point}/file{i}", os.O_RDWR | os.O_CREAT) as fd:
                os.write(fd, noise(size, i))
                os.fsync(fd)
                copy = harness.Repo(tmp / f"copy{i}")
                os.system(f"cp -a {repo.path} {copy.path}")
    for i in range(3):
        copy = harness.Repo(tmp / f"copy{i}")
        with harness.Mount(copy, tmp / f"mnt{i}") as m:
            m.allow(r"^(warning|info): ")
            assert sorted(os.listdir(m.point)) == [f"file{k}" for k in range(i + 1)]
            for k in range(i + 1):
                with open(f"{m.point}/file{k}", "rb") as file:
                    assert file.read() == noise(size, k)
