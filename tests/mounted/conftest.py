# SPDX-License-Identifier: Apache-2.0
"""
Fixtures of the mounted tests. A test that takes `d` gets an empty directory on a mount that its
module shares, and runs three times: as root and as an ordinary user on a mount of root's with
allow_other, and as an ordinary user on a mount of his own (`own`). What it leaves in `d` must be there,
unchanged, after an unmount and a remount at the end of the module. With --control DIR the same
tests run on a plain directory, which proves the tests themselves.
"""

import os
import pathlib
import re
import shutil
import stat
import tempfile

import harness
import pytest
import system
import tree


def pytest_addoption(parser):
    group = parser.getgroup("coffer")
    group.addoption("--control", metavar="DIR", help="run tests that take `d` in a plain directory")
    group.addoption("--workdir", metavar="DIR", help="for repositories and mounts (default: TMPDIR)")
    group.addoption("--long", action="store_true", help="run the long tests too")
    group.addoption("--seconds", type=float, metavar="N", help="duration of each random test")
    group.addoption("--seed", type=int, metavar="N", help="repeat a random test's run")
    group.addoption("--results", metavar="FILE", help="write counts and reasons for skips there")


def pytest_configure(config):
    for marker in (
        "long: takes minutes; only with --long",
        "root_only: needs a privilege; not run as an ordinary user",
        "user_only: says something only about an ordinary user",
        "no_own: not on an ordinary user's own mount",
        "no_control: says nothing about a plain directory",
        "leaves(field, ...): fields of a tree snapshot that the remount need not keep",
    ):
        config.addinivalue_line("markers", marker)
    if os.geteuid() != 0:
        raise pytest.UsageError("the mounted tests need root")
    if not config.getoption("control"):
        program = os.environ.get("COFFER", "")
        if not os.access(program, os.X_OK):
            raise pytest.UsageError("set COFFER to the path of the built program")
        harness.COFFER = os.path.abspath(program)
    if os.path.exists("/dev/fuse") and os.stat("/dev/fuse").st_mode & 0o666 != 0o666:
        os.chmod("/dev/fuse", 0o666)  # as udev sets it; containers often lack it
    os.umask(0o022)


def skip_reason(config, item):
    """Why a test cannot run here, or None."""
    if item.get_closest_marker("long") and not config.getoption("long"):
        return "long: needs --long"
    if config.getoption("control"):
        if not {"d", "place"} & set(item.fixturenames) or item.get_closest_marker("no_control"):
            return "not for a plain directory"
    elif not os.path.exists("/dev/fuse"):
        return "no /dev/fuse"
    return None


def pytest_collection_modifyitems(config, items):
    # What only --long runs, and what a control cannot tell, is left out rather than skipped: a skip
    # shall mean that something could not be tested here.
    left_out = [item for item in items if skip_reason(config, item) not in (None, "no /dev/fuse")]
    items[:] = [item for item in items if item not in left_out]
    config.hook.pytest_deselected(items=left_out)
    for item in items:
        reason = skip_reason(config, item)
        if reason:
            item.add_marker(pytest.mark.skip(reason=reason))


def pytest_generate_tests(metafunc):
    if "d" not in metafunc.fixturenames:
        return
    marks = {mark.name for mark in metafunc.definition.iter_markers()}
    if "root_only" in marks:
        who = ["root"]
    elif "user_only" in marks:
        who = ["user", "own"]
    else:
        who = ["root", "user", "own"]
    if "no_own" in marks or metafunc.config.getoption("control"):
        who = [w for w in who if w != "own"]
    metafunc.parametrize("who", who, indirect=True)


@pytest.hookimpl(hookwrapper=True)
def pytest_pyfunc_call(pyfuncitem):
    """Gives up root for the body of a test that runs as an ordinary user."""
    if pyfuncitem.funcargs.get("who", "root") == "root":
        yield
        return
    with system.acting_as(system.USER, system.GROUP):
        yield


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session):
    path = session.config.getoption("results")
    if not path:
        return
    stats = session.config.pluginmanager.get_plugin("terminalreporter").stats
    passed = len(stats.get("passed", []))
    failed = len(stats.get("failed", [])) + len(stats.get("error", []))
    skipped = stats.get("skipped", [])
    with open(path, "w") as file:
        file.write(f"{passed} {failed} {len(skipped)}\n")
        for report in skipped:
            reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr
            file.write(f"{report.nodeid}: {reason}\n")


@pytest.fixture(scope="session")
def work(request):
    """A directory for everything, open to all users; kept if a test failed."""
    parent = request.config.getoption("workdir") or tempfile.gettempdir()
    path = tempfile.mkdtemp(prefix="coffer-mounted-", dir=parent)
    os.chmod(path, 0o755)
    harness.REPORTS = os.path.join(path, "reports")
    os.mkdir(harness.REPORTS)
    os.chmod(harness.REPORTS, 0o1777)
    yield pathlib.Path(path)
    for point in harness.mounts():
        if point.startswith(path + "/"):
            system.umount(point, system.MNT_DETACH)
    if request.session.testsfailed == 0:
        shutil.rmtree(path)
    else:
        print(f"\nkept for inspection: {path}")


@pytest.fixture(autouse=True)
def no_sanitizer_reports(work):
    yield
    reports = harness.sanitizer_reports()
    assert not reports, "\n".join(reports)


@pytest.fixture
def tmp(work, request):
    """An empty directory of this test on the backing file system."""
    path = pathlib.Path(tempfile.mkdtemp(prefix=f"{request.node.name[:40]}-".replace("/", "_"), dir=work))
    os.chmod(path, 0o755)
    yield path
    if not getattr(request.node, "failed", False):
        shutil.rmtree(path, ignore_errors=True)


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    outcome = yield
    if outcome.get_result().failed:
        item.failed = True


@pytest.fixture
def repo(tmp):
    """A new repository of this test alone."""
    return harness.Repo(tmp / "repo").init()


@pytest.fixture
def mount(repo, tmp):
    """A mount of this test alone; judged at the end."""
    m = harness.Mount(repo, tmp / "mnt")
    m.start()
    yield m
    m.finish()


class PlainDirectory:
    """Stands for a Mount in a control run."""

    def __init__(self, path):
        self.point = str(path)

    def remount(self):
        pass

    def forget(self):
        pass


@pytest.fixture
def place(request):
    """A mount of this test alone, or a plain directory in a control run."""
    control = request.config.getoption("control")
    if control:
        path = tempfile.mkdtemp(prefix="place-", dir=control)
        os.chmod(path, 0o755)
        yield PlainDirectory(path)
        shutil.rmtree(path)
    else:
        yield request.getfixturevalue("mount")


class Area:
    """The mounts that the tests of one module share, or plain directories for the control."""

    def __init__(self, path, control):
        self.path = path
        self.control = control
        self.mounts = {}
        self.ignore = set()

    def top(self, who):
        if self.control:
            return self.path
        kind = "own" if who == "own" else "shared"
        if kind not in self.mounts:
            uid = system.USER if kind == "own" else 0
            home = self.path / kind
            home.mkdir()
            os.chown(home, uid, harness.group_of(uid))
            repo = harness.Repo(home / "repo", uid=uid).init()
            options = "" if uid else "allow_other,suid,dev"
            m = harness.Mount(repo, home / "mnt", options=options)
            m.start()
            self.mounts[kind] = m
        return pathlib.Path(self.mounts[kind].point)

    def snapshot(self, m):
        """As the mount's owner: nobody else, not even root, may look into an ordinary user's."""
        ret = {}

        def take():
            ret.update(tree.snapshot(m.point, inodes=True))

        if m.uid:
            with system.acting_as(m.uid, harness.group_of(m.uid)):
                make_readable(m.point)
                take()
        else:
            take()
        return ret

    def finish(self):
        """Remounts, compares, and judges the daemons."""
        for m in self.mounts.values():
            try:
                before = self.snapshot(m)
                m.remount()
                tree.assert_same(before, self.snapshot(m), self.ignore)
                m.assert_no_open_blobs()
                m.finish()
            finally:
                m.abandon()


def make_readable(top):
    """What tests made unreadable for the owner becomes readable, so that it can be compared."""
    for where, dirs, files in os.walk(top):
        for name in dirs + files:
            path = os.path.join(where, name)
            mode = os.lstat(path).st_mode
            wanted = 0o700 if stat.S_ISDIR(mode) else 0o600
            if not stat.S_ISLNK(mode) and stat.S_IMODE(mode) & wanted != wanted:
                os.chmod(path, stat.S_IMODE(mode) | wanted)


@pytest.fixture(scope="module")
def area(request, work):
    control = request.config.getoption("control")
    name = request.module.__name__
    path = pathlib.Path(tempfile.mkdtemp(prefix=f"{name}-", dir=control or work))
    os.chmod(path, 0o755)
    ret = Area(path, bool(control))
    yield ret
    if ret.control:
        shutil.rmtree(path)
    else:
        ret.finish()


@pytest.fixture
def who(request):
    return request.param


@pytest.fixture
def d(request, area, who):
    """An empty directory on the file system under test, owned by who runs the test."""
    for mark in request.node.iter_markers("leaves"):
        area.ignore.update(mark.args)
    path = area.top(who) / re.sub(r"[^A-Za-z0-9_-]+", "_", request.node.name)
    if who == "own":
        with system.acting_as(system.USER, system.GROUP):
            path.mkdir()
        return path
    path.mkdir()
    if who == "user":
        os.chown(path, system.USER, system.GROUP)
    return path
