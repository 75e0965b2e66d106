"""What the tests are given. Every module has a state directory of its own; a workspace lives as long as its module."""

import os
import pathlib
import shutil

import pytest

from harness import images
from harness import prefix as installation
from harness.account import Account
from harness.cli import Microagent
from harness.processes import processes_of
from harness.secure_internet import SecureInternet
from harness.workspace import Workspace
from harness.world import World

WHY_NOT_ALONE = os.environ.get("MICROAGENT_TEST_ALONE", "the tests were not started by tests/run")
KNOWN = []  # every workspace of this run, to tell what became of it when a test fails


NOTHING_TESTED = 77  # what CTest takes for "skipped" (tests/CMakeLists.txt)


def pytest_sessionfinish(session, exitstatus):
    """A run in which every test was skipped has not passed."""
    reports = session.config.pluginmanager.get_plugin("terminalreporter").stats
    if exitstatus == 0 and reports.get("skipped") and not reports.get("passed"):
        session.exitstatus = NOTHING_TESTED


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    report = (yield).get_result()
    if report.failed:
        stories = [workspace.story() for workspace in KNOWN]
        report.sections.append(("workspaces", "\n".join(story for story in stories if story)))


@pytest.fixture(scope="session")
def build():
    return pathlib.Path(os.environ.get("MICROAGENT_BUILD", pathlib.Path(__file__).parent.parent / "build")).resolve()


@pytest.fixture(scope="session")
def scratch(tmp_path_factory):
    """A directory with a short path that every user may enter."""
    given = os.environ.get("MICROAGENT_TEST_SCRATCH")
    return pathlib.Path(given) if given else tmp_path_factory.mktemp("scratch")


@pytest.fixture(scope="session")
def alone():
    """For tests that change the mounts or the network: they need a world that is nobody else's."""
    if WHY_NOT_ALONE:
        pytest.skip(f"no namespaces of our own: {WHY_NOT_ALONE}")


@pytest.fixture(scope="session")
def world(alone, scratch):
    made = World(scratch)
    yield made
    made.close()


@pytest.fixture(scope="session")
def account(scratch):
    return Account(scratch / "home")


@pytest.fixture(scope="session")
def prefix(build, scratch):
    """Where build/bin and the guest's image lie, for the ordinary user."""
    if WHY_NOT_ALONE:
        return build
    return installation.lay_out(build, scratch / "prefix")


@pytest.fixture(scope="session")
def guest_image(build):
    for name in installation.GUEST_FILES:
        path = build / "share" / "microagent" / "guest" / name
        assert path.exists(), f"{path} is missing; run: make guest"


@pytest.fixture(scope="module")
def microagent(prefix, scratch, account, request):
    state = account.make_directory(scratch / request.module.__name__.removeprefix("test_"))
    yield Microagent(prefix, state, account)
    shutil.rmtree(state)


@pytest.fixture(scope="module")
def place(scratch, request):
    """A directory for what the module makes and every user may read: images, archives."""
    made = scratch / f"{request.module.__name__.removeprefix('test_')}-place"
    made.mkdir(mode=0o755)
    return made


@pytest.fixture(scope="module")
def registry(place, world):
    del world  # loopback is up there
    made = images.Registry(place)
    yield made
    made.close()


@pytest.fixture(scope="module")
def upstream(world, scratch):
    """The servers that most tests of intercepted TLS ask; others have their own."""
    made = SecureInternet(world, scratch / "secure")
    yield made
    made.close()


@pytest.fixture
def fresh(prefix, scratch, account, request):
    """The command on a state directory that is this test's alone, and not there yet."""
    state = scratch / "home" / f"state-{abs(hash(request.node.nodeid)):x}"
    yield Microagent(prefix, state, account)
    shutil.rmtree(state, ignore_errors=True)


@pytest.fixture(scope="module")
def workspaces(microagent, guest_image, request):
    """Makes workspaces by name; at the end of the module they are deleted, and have left no process."""
    if not WHY_NOT_ALONE:
        request.getfixturevalue("world")
    made = []

    def make(name, *flags, start=True, **options):
        workspace = Workspace(microagent, name)
        workspace.create(*flags, **options)
        made.append(workspace)
        KNOWN.append(workspace)
        if start:
            workspace.start()
        return workspace

    yield make
    for workspace in made:
        if workspace.directory.exists():
            workspace.delete()
        KNOWN.remove(workspace)
    if not WHY_NOT_ALONE:
        assert processes_of(microagent.account.uid) == []
