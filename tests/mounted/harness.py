# SPDX-License-Identifier: Apache-2.0
"""
Repositories and mounts for the tests. A Mount proves at its end that the daemon was healthy: exit
status 0, nothing unexpected in its log, no sanitizer report, no descriptor left open, and no
temporary object left in the repository.
"""

import errno
import os
import re
import resource
import signal
import stat
import subprocess
import time

import exitcodes
import system

# The program under test; set by conftest.py.
COFFER = None
# Sanitizer reports of every process started here land in this directory.
REPORTS = None

PASSWORD = b"correct horse battery staple"
# Generous: a sanitizer build on a busy machine needs seconds for one password.
PATIENCE = 120

# What a healthy daemon may say. The second line depends on the test machine's disk, not on coffer.
LOG_ALLOWED = (
    r"^info: ",
    r"^(coffer: )?warning: the disk says that it writes blocks of \d+ bytes",
)


def wait_for(condition, what, patience=PATIENCE):
    """Polls until condition() is true and returns its value; fails the test after `patience` s."""
    deadline = time.monotonic() + patience
    while True:
        value = condition()
        if value:
            return value
        assert time.monotonic() < deadline, f"waited {patience} s in vain for: {what}"
        time.sleep(0.01)


def mounts():
    """{mount point: (file system type, source)}, the topmost one where several are stacked."""
    ret = {}
    with open("/proc/self/mountinfo", "rb") as table:
        for line in table:
            left, right = line.split(b" - ", 1)
            point, kind, source = left.split(b" ")[4], *right.split(b" ")[:2]
            ret[plain(point)] = (plain(kind), plain(source))
    return ret


def plain(field):
    """A field of the kernel's table without its octal escapes."""
    return os.fsdecode(re.sub(rb"\\([0-7]{3})", lambda m: bytes([int(m[1], 8)]), field))


def mounted_at(path):
    """The entry of mounts(), or None. Works for a dead mount, too."""
    return mounts().get(os.path.join(os.path.realpath(os.path.dirname(path)), os.path.basename(path)))


def is_mounted(path):
    return mounted_at(os.fspath(path)) is not None


def environment(uid=0):
    """Environment for the program: sanitizers report to files, so that daemons can be judged too."""
    env = dict(os.environ, LC_ALL="C.UTF-8")
    common = f"log_path={REPORTS}/report:exitcode=99"
    # The leak check traces its own process, which only root may do to a process that is not dumpable.
    env["ASAN_OPTIONS"] = common + (":detect_leaks=1" if uid == 0 else ":detect_leaks=0")
    env["UBSAN_OPTIONS"] = common + ":print_stacktrace=1"
    # Children are locked before parents. The tree changes shape, so that over time a detector sees each order.
    env["TSAN_OPTIONS"] = common + ":detect_deadlocks=0"
    return env


def group_of(uid):
    """The group of root, or of the tests' ordinary user."""
    return system.GROUP if uid else 0


def identity(uid):
    """Popen arguments that start a process as an ordinary user."""
    if uid == 0:
        return {}
    return {"user": uid, "group": group_of(uid), "extra_groups": []}


def coffer(*args, uid=0, patience=PATIENCE, **more):
    """Runs a coffer command to its end; returns the CompletedProcess with text output."""
    more.setdefault("stdin", subprocess.DEVNULL)
    if "input" in more:
        del more["stdin"]
    done = subprocess.run(
        [COFFER, *map(os.fspath, args)],
        env=environment(uid),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        errors="backslashreplace",
        timeout=patience,
        **identity(uid),
        **more,
    )
    assert done.returncode >= 0, f"coffer {args}: killed by signal {-done.returncode}\n{done.stderr}"
    return done


def sanitizer_reports():
    """The texts of all reports so far; takes them away."""
    ret = []
    for name in sorted(os.listdir(REPORTS)):
        path = os.path.join(REPORTS, name)
        with open(path, errors="backslashreplace") as file:
            ret.append(file.read())
        os.unlink(path)
    return ret


class Repo:
    """A repository with its password file; made by init()."""

    def __init__(self, path, uid=0, password=PASSWORD):
        self.path = os.fspath(path)
        self.uid = uid
        self.password_file = self.path + ".password"
        with open(self.password_file, "wb") as file:
            file.write(password + b"\n")
        os.chmod(self.password_file, 0o600)
        os.chown(self.password_file, uid, group_of(uid))
        self.data = os.path.join(self.path, "data")

    def init(self, *args):
        done = coffer(
            "init", "--password-file", self.password_file, *args, self.path, uid=self.uid
        )
        assert done.returncode == 0, done.stderr
        return self

    def assert_tidy(self):
        """No temporary or orphaned object: only what the format names, each with its counterpart."""
        top = set(os.listdir(self.path))
        known = {"coffer.ini", "coffer.ini.bak", "coffer.ini.replaced", "state", "trash", "data"}
        assert top <= known, top
        stray = [
            os.path.join(where, name)
            for where, dirs, files in os.walk(os.path.join(self.path, "state"))
            for name in dirs + files
            if "tmp" in name
        ]
        targets, referenced = set(), set()
        for where, dirs, files in os.walk(self.data):
            if where == os.path.join(self.data, ".targets"):
                targets = set(files) - {".id"}
                continue
            if where == os.path.join(self.data, ".unlinked"):
                stray += [os.path.join(where, name) for name in dirs + files if name != ".id"]
                continue
            names = set(dirs + files)
            for name in names:
                path = os.path.join(where, name)
                ours = name.startswith(".") and not (where == self.data and name in (".targets", ".unlinked"))
                if name.startswith(".n"):
                    if ".l" + name[2:] not in names:
                        stray.append(path)
                elif name.startswith(".l"):
                    if ".n" + name[2:] not in names:
                        stray.append(path + " (side link missing)")
                elif ours and name != ".id" and not (where == self.data and name in (".targets", ".unlinked")):
                    stray.append(path)
                if stat.S_ISLNK(os.lstat(path).st_mode):
                    target = os.readlink(path)
                    if target.startswith("@"):
                        referenced.add(target[1:23])
        assert not stray, stray
        assert targets == referenced, ("long targets", targets ^ referenced)


class Mount:
    """
    A mount with its daemon as a child in the foreground. Use as a context manager, or start() and
    finish().
    """

    def __init__(self, repo, point, options="allow_other,suid,dev", args=(), uid=None, limits=()):
        self.repo = repo
        self.point = os.fspath(point)
        self.uid = repo.uid if uid is None else uid
        self.options = options
        self.args = list(args)
        self.limits = dict(limits)
        self.allowed = [re.compile(p) for p in LOG_ALLOWED]
        self.process = None
        self.log_path = self.point + ".log"
        self.log_start = 0

    def __enter__(self):
        return self.start()

    def __exit__(self, kind, *_):
        if kind is None:
            self.finish()
        else:
            self.abandon()

    def allow(self, *patterns):
        """Lines that the test provokes and that are no fault of the daemon."""
        self.allowed += [re.compile(p) for p in patterns]

    def start(self):
        if not is_mounted(self.point):  # or a dead one is there
            os.makedirs(self.point, exist_ok=True)
            os.chown(self.point, self.uid, group_of(self.uid))
        command = [COFFER, "mount", "--foreground", "--password-file", self.repo.password_file]
        if self.options:
            command += ["-o", self.options]
        command += [*self.args, self.repo.path, self.point]

        def limit():
            for which, value in self.limits.items():
                resource.setrlimit(which, (value, value))

        with open(self.log_path, "ab") as log:
            self.log_start = log.tell()
            self.process = subprocess.Popen(
                command,
                env=environment(self.uid),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                preexec_fn=limit,
                **identity(self.uid),
            )

        def ready():
            code = self.process.poll()
            assert code is None, f"mount ended with {code}:\n{self.log()}"
            # Twice: a dead mount may go in between, and what answers is the directory under it.
            return is_mounted(self.point) and self.answers() and is_mounted(self.point)

        try:
            wait_for(ready, f"the mount at {self.point}")
        except BaseException:
            self.abandon()
            raise
        return self

    def answers(self):
        """False for a dead mount that the daemon has yet to replace."""
        try:
            with system.acting_as(self.uid, group_of(self.uid)):
                os.statvfs(self.point)  # never answered from a cache
        except OSError as error:
            if error.errno in (errno.ENOTCONN, errno.ECONNABORTED):
                return False
            raise
        return True

    def log(self):
        """What the daemon has said since its start."""
        with open(self.log_path, errors="backslashreplace") as file:
            file.seek(self.log_start)
            return file.read()

    def log_lines(self, pattern=""):
        return [line for line in self.log().splitlines() if re.search(pattern, line)]

    def descriptors(self):
        """What the daemon's descriptors point to, sorted."""
        where = f"/proc/{self.process.pid}/fd"
        ret = []
        for fd in os.listdir(where):
            try:
                ret.append(os.readlink(os.path.join(where, fd)))
            except FileNotFoundError:  # closed meanwhile
                pass
        return sorted(ret)

    def open_blobs(self):
        """Descriptors of objects below data/, without those that are kept for the mount's life."""
        kept = (self.repo.data, self.repo.data + "/.unlinked", self.repo.data + "/.targets")
        return [
            path
            for path in self.descriptors()
            if path.startswith(self.repo.data + "/") and path not in kept
        ]

    def resident(self):
        """Resident memory of the daemon in bytes."""
        with open(f"/proc/{self.process.pid}/statm") as file:
            return int(file.read().split()[1]) * resource.getpagesize()

    def forget(self):
        """Makes the kernel drop what it caches of unused files, here and elsewhere."""
        os.sync()
        with open("/proc/sys/vm/drop_caches", "w") as file:
            file.write("3")

    def assert_no_open_blobs(self):
        """Once the kernel has forgotten every inode, the daemon must hold no descriptor for one."""

        def closed():
            self.forget()
            return not self.open_blobs()

        deadline = time.monotonic() + 20
        while not closed():
            assert time.monotonic() < deadline, f"still open: {self.open_blobs()[:20]}"
            time.sleep(0.2)

    def unmount(self):
        # Other programs on the machine look into each mount from time to time.
        deadline = time.monotonic() + 10
        while True:
            done = coffer("umount", self.point, uid=self.uid)
            if done.returncode != exitcodes.NUMBERS["BUSY"] or time.monotonic() > deadline:
                break
            time.sleep(0.2)
        assert done.returncode == 0, done.stderr
        self.wait()

    def wait(self):
        """Waits for the daemon's own end and judges it."""
        code = self.process.wait(PATIENCE)
        assert code == 0, f"the daemon ended with {code}:\n{self.log()}"
        assert not is_mounted(self.point)
        self.assert_quiet()

    def assert_quiet(self):
        strange = [
            line for line in self.log().splitlines() if not any(p.search(line) for p in self.allowed)
        ]
        assert not strange, "unexpected in the daemon's log:\n" + "\n".join(strange)

    def finish(self):
        """Unmounts, unless the test did, with all checks."""
        try:
            if self.process.poll() is None and is_mounted(self.point):
                self.unmount()
            else:
                self.wait()
            self.repo.assert_tidy()
        finally:
            self.abandon()

    def remount(self):
        self.unmount()
        return self.start()

    def kill(self):
        """What a crash of the daemon does; leaves the dead mount behind."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def abandon(self):
        """Ends everything without judging, after a failure. Does nothing after a clean end."""
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        while is_mounted(self.point):
            system.umount(self.point, system.MNT_DETACH)
