# SPDX-License-Identifier: Apache-2.0
"""statfs: the backing file system's space, as a program that writes through the mount may count on it."""

import os

import pytest
from expect import noise, opened


def test_plausible(d):
    info = os.statvfs(d)
    assert info.f_namemax == 255
    assert info.f_blocks > 0 and info.f_bsize >= 512 and info.f_frsize >= 512
    assert 0 < info.f_bavail <= info.f_bfree <= info.f_blocks
    assert 0 <= info.f_favail <= info.f_ffree <= info.f_files
    with opened(d, os.O_RDONLY) as fd:
        assert os.fstatvfs(fd).f_namemax == 255


@pytest.mark.no_control
def test_follows_the_backing_file_system(d, area, who):
    repo = area.mounts["own" if who == "own" else "shared"].repo
    ours, backing = os.statvfs(d), os.statvfs(repo.path)
    # Other programs use the same disk meanwhile: compare with room for them.
    slack = 256 << 20
    free, backing_free = ours.f_bavail * ours.f_frsize, backing.f_bavail * backing.f_frsize
    # A record of 4096 bytes holds 4066: free space is counted as plaintext.
    assert backing_free * 0.97 - slack <= free <= backing_free + slack
    assert ours.f_blocks * ours.f_frsize <= backing.f_blocks * backing.f_frsize
    assert ours.f_files == backing.f_files


@pytest.mark.no_control
def test_writing_uses_space(d):
    before = os.statvfs(d)
    with opened(d / "file", os.O_RDWR | os.O_CREAT) as fd:
        for i in range(512):
            os.pwrite(fd, noise(1 << 20), i << 20)
        os.fsync(fd)
        after = os.statvfs(d)
        os.ftruncate(fd, 0)
    used = (before.f_bfree - after.f_bfree) * before.f_frsize
    # Half of it at least, whatever else is freed on this machine at the same time.
    assert used > 256 << 20
