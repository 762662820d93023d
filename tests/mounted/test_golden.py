# SPDX-License-Identifier: Apache-2.0
"""
Repositories of every released format version, made once by tests/golden/make and frozen: this build must read them, byte for byte,
and go on working with them.
"""

import json
import os
import pathlib
import subprocess

import harness
import pytest
import tree

GOLDEN = pathlib.Path(__file__).resolve().parent.parent / "golden"
ARCHIVES = sorted(GOLDEN.glob("v*.tar.xz"))


def test_there_is_one():
    assert ARCHIVES, "no golden repository: tests/golden is incomplete"


def unpack(archive, tmp):
    subprocess.run(["tar", "--xattrs", "--xattrs-include=*", "--sparse", "-C", tmp, "-xJpf", archive], check=True)
    return harness.Repo(tmp / "repo", password=b"golden")


def seen(point):
    snapshot = {os.fsdecode(path): entry for path, entry in tree.snapshot(point).items()}
    return json.loads(json.dumps(snapshot, default=lambda b: {"hex": b.hex()}))


@pytest.mark.parametrize("archive", ARCHIVES, ids=lambda path: path.name.split(".")[0])
def test_reads_and_writes(archive, tmp):
    expected = json.loads((GOLDEN / archive.name.replace(".tar.xz", ".json")).read_text())
    repo = unpack(archive, tmp)
    before = tree.snapshot(repo.path)
    with harness.Mount(repo, tmp / "mnt", args=["--read-only"]) as m:
        assert seen(m.point) == expected
    assert tree.snapshot(repo.path) == before
    with harness.Mount(repo, tmp / "mnt") as m:
        assert seen(m.point) == expected
        with open(f"{m.point}/size-20000", "ab") as file:
            file.write(b"more")
        with open(f"{m.point}/directory/new", "wb") as file:
            file.write(b"new")
    with harness.Mount(repo, tmp / "mnt") as m:
        with open(f"{m.point}/size-20000", "rb") as file:
            assert file.read()[20_000:] == b"more"
        with open(f"{m.point}/directory/new", "rb") as file:
            assert file.read() == b"new"
