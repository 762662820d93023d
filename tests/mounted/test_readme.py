# SPDX-License-Identifier: Apache-2.0
"""The commands that README shows to a stranger work as they stand there."""

import os
import pathlib
import re
import subprocess

import harness

README = pathlib.Path(__file__).parents[2] / "README"


def block(name):
    """The fenced block of README whose first line names it."""
    found = re.search(rf"^```sh {name}\n(.*?)^```$", README.read_text(), re.M | re.S)
    assert found, f"README has no block {name}"
    return found[1]


def test_first_repository(tmp):
    script = block("first-repository")
    lines = script.strip().splitlines()
    assert len(lines) == 5
    env = harness.environment()
    env["PATH"] = os.path.dirname(harness.COFFER) + ":" + env["PATH"]
    try:
        done = subprocess.run(
            ["sh", "-ex", "-c", script],
            cwd=tmp,
            env=env,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=harness.PATIENCE,
        )
        assert done.returncode == 0, done.stderr
        assert "passwd" in done.stdout
    finally:
        point = str(tmp / "mountpoint")
        if harness.is_mounted(point):
            harness.coffer("umount", "--lazy", point)
            raise AssertionError("the block leaves its mount behind")
    # What the storage has: one file with a name that tells nothing, and no plain text.
    (entry,) = [name for name in os.listdir(tmp / "repository" / "data") if not name.startswith(".")]
    assert "passwd" not in entry
    blob = (tmp / "repository" / "data" / entry).read_bytes()
    assert b"root:" not in blob and len(blob) > 4096
