"""tools/demo, but for its building: the story it tells comes out, and nothing is left of it."""

import pathlib
import subprocess

import pytest

from harness import prefix as installation
from harness.processes import processes_of

DEMO = pathlib.Path(__file__).resolve().parent.parent / "tools" / "demo"


@pytest.fixture
def checkout(alone, build, guest_image, scratch):
    """What the demo sees of a checkout that is built."""
    place = scratch / "checkout"
    installation.lay_out(build, place / "build")
    (place / "tools").mkdir()
    installation.bind(DEMO, place / "tools" / "demo")
    for directory in (place, place / "tools"):
        directory.chmod(0o755)
    return place


def test_the_demo(checkout, account):
    words = ["unshare", "--user", "--map-root-user", "--net", checkout / "tools" / "demo", "--inside"]
    demo = account.popen(words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    try:
        out, _ = demo.communicate(timeout=300)
    finally:
        demo.kill()
    told = out.decode()
    assert demo.returncode == 0, told
    steps = ["creating the workspace web", "starting it", "fetching a page from", "Hello host, this is a guest",
             "the guest fetches a page", "Hello guest, this is the host's side", "what microagent knows", "running",
             "cleaning up", "done"]
    place = 0
    for step in steps:
        place = told.find(step, place)
        assert place >= 0, f"{step!r} is not told in its turn:\n{told}"
    assert processes_of(account.uid) == []
