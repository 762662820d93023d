# SPDX-License-Identifier: Apache-2.0
"""The file systems that are compared: how each is installed, made, mounted and unmounted."""

import os
import shutil
import subprocess
import time

from machine import Failure, build_coffer, drop_caches, install, run

PASSWORD = "benchmark"
MOUNT_SECONDS = 60
UNMOUNT_SECONDS = 300
EXAMPLE = "/usr/share/doc/libfuse3-dev/examples/passthrough_ll.c"


def debian_version(package):
    return run(["dpkg-query", "-W", "-f", "${Version}", package]).strip()


class Raw:
    """The backing file system itself."""

    name, label, version = "raw", "raw", ""

    def install(self, workspace):
        pass

    def mount(self, workspace, backing, point):
        return None


class Fuse:
    """A FUSE file system whose daemon stays in the foreground as our child."""

    package = None
    password = None  # read by the daemon from its standard input

    def install(self, workspace):
        install(self.package)
        self.version = debian_version(self.package)

    def make(self, backing):
        """What is done once, before the first mount."""

    def command(self, backing, point):
        raise NotImplementedError

    def mount(self, workspace, backing, point):
        log = workspace.home / f"{self.name}.log"
        daemon = workspace.start(self.command(backing, point), log, self.password)
        deadline = time.monotonic() + MOUNT_SECONDS
        while not os.path.ismount(point):
            if daemon.poll() is not None:
                workspace.ended(daemon)
                lines = log.read_text(errors="replace").strip().splitlines()
                raise Failure(f"mount failed: {lines[-1] if lines else 'no message'}")
            if time.monotonic() > deadline:
                raise Failure(f"not mounted after {MOUNT_SECONDS} s")
            time.sleep(0.01)
        os.listdir(point)  # the first request: what follows is not start-up any more
        return daemon


class Passthrough(Fuse):
    name, label = "passthrough_ll", "passthrough_ll"

    def install(self, workspace):
        install("gcc", "libc6-dev", "pkg-config", "libfuse3-dev", "fuse3")
        self.program = workspace.home / self.name
        flags = run(["pkg-config", "--cflags", "--libs", "fuse3"]).split()
        source = workspace.home / f"{self.name}.c"
        shutil.copy(EXAMPLE, source)
        shutil.copy(os.path.dirname(EXAMPLE) + "/passthrough_helpers.h", workspace.home)
        run(["gcc", "-O2", "-o", self.program, source, *flags])
        self.version = "libfuse " + run(["pkg-config", "--modversion", "fuse3"]).strip()

    def command(self, backing, point):
        options = f"source={backing},cache=always,writeback"
        return [self.program, "-f", "-o", options, point]


class Coffer(Fuse):
    name, label = "coffer", "coffer"

    def __init__(self, program=None):
        self.program = program

    def install(self, workspace):
        if not self.program:
            self.program = build_coffer()
        self.version = run([self.program, "--version"]).split("\n")[0].removeprefix("coffer ")
        self.password_file = workspace.home / "password"
        self.password_file.write_text(PASSWORD + "\n")

    def make(self, backing):
        run([self.program, "init", "--password-file", self.password_file, backing])

    def command(self, backing, point):
        return [
            self.program, "mount", "--foreground", "--password-file", self.password_file,
            backing, point,
        ]  # fmt: skip


class Gocryptfs(Fuse):
    name, label, package = "gocryptfs", "gocryptfs", "gocryptfs"

    def install(self, workspace):
        super().install(workspace)
        self.password_file = workspace.home / "password.gocryptfs"
        self.password_file.write_text(PASSWORD + "\n")

    def make(self, backing):
        # How slowly a password is tried is not what is measured, here and below.
        run([
            "gocryptfs", "-init", "-q", "-scryptn", "10", "-passfile", self.password_file, backing,
        ])  # fmt: skip

    def command(self, backing, point):
        return ["gocryptfs", "-fg", "-q", "-passfile", self.password_file, backing, point]


class Securefs(Fuse):
    name, label, package = "securefs", "securefs", "securefs"

    def make(self, backing):
        run(["securefs", "create", "--rounds", "1", "--pass", PASSWORD, backing])

    def command(self, backing, point):
        return ["securefs", "mount", "--pass", PASSWORD, backing, point]


class Encfs(Fuse):
    name, label, package = "encfs", "EncFS", "encfs"
    password = PASSWORD

    def command(self, backing, point):
        return ["encfs", "-f", "--standard", "--stdinpass", backing, point]


def all_systems(coffer):
    return [Raw(), Passthrough(), Coffer(coffer), Gocryptfs(), Securefs(), Encfs()]


class Place:
    """A fresh, empty instance of a system; `root` is where programs work."""

    def __init__(self, system, workspace):
        self.system, self.workspace = system, workspace
        self.backing = workspace.store / "backing"
        self.point = workspace.home / "mnt"
        self.daemon = None
        self.root = self.backing if isinstance(system, Raw) else self.point

    def __enter__(self):
        self.backing.mkdir()
        self.point.mkdir(exist_ok=True)
        try:
            if self.root is self.point:
                self.system.make(self.backing)
            self._mount()
        except BaseException:
            self._abandon()
            raise
        return self

    def __exit__(self, kind, error, _):
        try:
            if kind is None:
                self._unmount()
            elif issubclass(kind, (Failure, OSError)) and self.daemon:
                if self.daemon.poll() is not None:
                    raise Failure(f"{error}; its daemon had ended with {self.daemon.returncode}")
        finally:
            self._abandon()

    def _mount(self):
        self.daemon = self.system.mount(self.workspace, self.backing, self.point)

    def _unmount(self):
        if not self.daemon:
            return
        deadline = time.monotonic() + 30
        while True:  # somebody may still look at it: a desktop, a monitor
            try:
                run(["umount", self.point], timeout=UNMOUNT_SECONDS)
                break
            except Failure as e:
                if "busy" not in str(e) or time.monotonic() > deadline:
                    raise
                time.sleep(0.2)
        try:
            code = self.daemon.wait(UNMOUNT_SECONDS)
        except subprocess.TimeoutExpired:
            raise Failure(f"still runs {UNMOUNT_SECONDS} s after its unmount") from None
        self.workspace.ended(self.daemon)
        self.daemon = None
        if code != 0:
            raise Failure(f"ended with {code} at its unmount")

    def _abandon(self):
        """Whatever happened: no daemon, no mount and no backing store is left."""
        subprocess.run(["umount", "-l", self.point], stderr=subprocess.DEVNULL, check=False)
        if self.daemon:
            self.daemon.kill()
            self.daemon.wait()
            self.workspace.ended(self.daemon)
            self.daemon = None
        shutil.rmtree(self.backing, ignore_errors=True)

    def settle(self):
        """No earlier write is still on its way to the disk when the clock starts."""
        run(["sync", "-f", self.backing])

    def make_cold(self):
        self._unmount()
        self.settle()
        drop_caches()
        self._mount()
