# SPDX-License-Identifier: Apache-2.0
"""Running programs, packages, the temporary directory with its mounts, and what the machine is."""

import os
import pathlib
import platform
import resource
import shutil
import subprocess
import tempfile
import time

TOP = pathlib.Path(__file__).resolve().parents[2]
CACHE = pathlib.Path("/var/cache/coffer-bench")
# passthrough_ll keeps a descriptor for each inode that the kernel knows.
DESCRIPTORS = 1 << 20


class Failure(Exception):
    """A system or a workload cannot be measured; the text says why."""


def run(command, timeout=1800, **options):
    """Runs a program to its end and returns its standard output; Failure if it does not succeed."""
    name = os.path.basename(str(command[0]))
    options.setdefault("stdin", subprocess.DEVNULL)
    options.setdefault("stdout", subprocess.PIPE)
    try:
        done = subprocess.run(
            [str(c) for c in command], stderr=subprocess.PIPE, timeout=timeout, **options
        )
    except subprocess.TimeoutExpired:
        raise Failure(f"{name} did not end within {timeout} s") from None
    except OSError as e:
        raise Failure(f"{name}: {e.strerror}") from None
    if done.returncode != 0:
        lines = done.stderr.decode(errors="replace").strip().splitlines()
        raise Failure(f"{name} failed ({done.returncode}): {lines[-1] if lines else 'no message'}")
    return (done.stdout or b"").decode(errors="replace")


def timed(command, **options):
    """Seconds that a program took."""
    start = time.monotonic()
    run(command, **options)
    return time.monotonic() - start


def setup(function, *arguments):
    """Calls a function of contrib/setup.sh."""
    script = '. "$0"; "$@"'
    run(["bash", "-euc", script, TOP / "contrib/setup.sh", function, *arguments])


def install(*packages):
    try:
        setup("install_packages", *packages)
    except Failure:
        raise Failure(f"cannot install {' '.join(packages)}") from None


def build_coffer():
    script = '. "$0"; echo "${BUILD_PACKAGES[@]}"'
    install(*run(["bash", "-euc", script, TOP / "contrib/setup.sh"]).split())
    setup("copy_source", TOP, CACHE / "source")
    try:
        setup("build", CACHE / "source", CACHE / "build")
    except Failure:
        raise Failure(f"the build failed, see {CACHE}/build.log") from None
    return CACHE / "build/coffer"


def raise_limits():
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (DESCRIPTORS, DESCRIPTORS))
    except (ValueError, OSError):
        pass  # a system that needs more will say so


def drop_caches():
    pathlib.Path("/proc/sys/vm/drop_caches").write_text("3\n")


def mounts_below(directory):
    """Mount points below a directory, the last mounted first."""
    found = []
    for line in pathlib.Path("/proc/self/mountinfo").read_text().splitlines():
        point = line.split()[4]
        if point.startswith(f"{directory}/"):
            found.append(point)
    return reversed(found)


def filesystem_of(directory):
    return run(["findmnt", "-n", "-o", "FSTYPE", "-T", directory]).strip()


class Workspace:
    """
    The temporary directory: `sources` (in a tmpfs, what workloads copy from), `store` (where
    backing directories are made: a tmpfs, or on the disk that is measured) and `home`.
    """

    def __init__(self, disk, need):
        self.daemons = []
        self.disk_dir = None
        self.home = pathlib.Path(tempfile.mkdtemp(prefix="coffer-bench-"))
        try:
            self._tmpfs("sources", need["sources"])
            self.sources = self.home / "sources"
            if disk:
                self.disk_dir = pathlib.Path(tempfile.mkdtemp(prefix="coffer-bench-", dir=disk))
                self.store = self.disk_dir
            else:
                self._tmpfs("store", need["store"])
                self.store = self.home / "store"
            self.backing_kind = filesystem_of(self.store)
        except BaseException:
            self.close()
            raise

    def _tmpfs(self, name, size):
        directory = self.home / name
        directory.mkdir()
        run(["mount", "-t", "tmpfs", "-o", f"size={size}", "coffer-bench", directory])

    def start(self, command, log, password=None):
        """Starts a file system's daemon in the foreground."""
        with open(log, "wb") as out:
            daemon = subprocess.Popen(
                [str(c) for c in command],
                stdin=subprocess.PIPE if password else subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                start_new_session=True,
            )
        self.daemons.append(daemon)
        if password:
            try:
                daemon.stdin.write(password.encode() + b"\n")
                daemon.stdin.close()
            except BrokenPipeError:
                pass  # it has ended; its log says why
        return daemon

    def ended(self, daemon):
        self.daemons.remove(daemon)

    def close(self):
        """Removes everything, whatever state it is in."""
        for point in mounts_below(self.home):
            subprocess.run(["umount", "-l", point], stderr=subprocess.DEVNULL, check=False)
        for daemon in self.daemons:
            try:
                daemon.wait(10)
            except subprocess.TimeoutExpired:
                daemon.kill()
                daemon.wait()
        shutil.rmtree(self.home, ignore_errors=True)
        if self.disk_dir:
            shutil.rmtree(self.disk_dir, ignore_errors=True)


def _first_value(path, key):
    for line in pathlib.Path(path).read_text().splitlines():
        name, _, value = line.partition(":")
        if name.strip() == key:
            return value.strip()
    return "unknown"


def describe():
    release = dict(
        line.split("=", 1)
        for line in pathlib.Path("/etc/os-release").read_text().splitlines()
        if "=" in line
    )
    return {
        "cpu": _first_value("/proc/cpuinfo", "model name"),
        "cpus": os.cpu_count(),
        "memory_gib": round(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2**30, 1),
        "kernel": platform.release(),
        "system": release.get("PRETTY_NAME", "unknown").strip('"'),
        "load_before": round(os.getloadavg()[0], 2),
    }
