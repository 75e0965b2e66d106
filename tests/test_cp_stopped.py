"""cp with a workspace that does not run: it is booted for the copy alone, and is afterwards what it was before."""

import os
import signal
import subprocess

import pytest

from harness import images
from harness.cli import EXIT_FAILURE, EXIT_RETRY
from harness.wait import wait_until

ENTRY = "echo ran >>/srv/runs; echo '{\"done\":true}' >/run/microagent/result; sleep 1000\n"


@pytest.fixture(scope="module", name="layout")
def fixture_layout(place):
    layer = images.Layer().directory("srv").directory("run").script("entry", ENTRY)
    return images.write_layout(place / "image", [images.busybox_layer(), layer.finish()], {"Cmd": ["/entry"]})


@pytest.fixture(scope="module", name="guest")
def fixture_guest(workspaces, layout):
    guest = workspaces("kept", "--image", layout, "--volume", "lasting:/data", timeout=120)
    wait_until(lambda: guest.status()["readiness"]["resultReady"]["ready"], "the entrypoint runs", 20)
    guest.shell("echo on the disk >/srv/file; echo on the volume >/data/file; ln -s /etc/passwd /srv/link")
    guest.shell("dd if=/dev/urandom of=/srv/large bs=1M count=24 2>/dev/null; sha256sum </srv/large >/srv/sum")
    guest.stop()
    return guest


@pytest.fixture(name="here")
def fixture_here(account, scratch, request):
    return account.make_directory(scratch / "home" / request.node.name[:40])


def files(guest):
    """All that is kept of a workspace beside its disk, its logs and its history."""
    return {path.name: path.read_bytes() for path in guest.directory.iterdir()
            if path.name in ("workspace.json", "runtime.json", "result", "egress-usage.json")}


def test_files_come_out(guest, here, microagent):
    status, kept = guest.status(), files(guest)
    outcome = microagent.run("cp", "kept:/srv", str(here / "srv"), timeout=120)
    assert outcome.out == b""
    assert (here / "srv" / "file").read_text() == "on the disk\n"
    assert os.readlink(here / "srv" / "link") == "/etc/passwd"
    assert (here / "srv" / "sum").read_text().split()[0] == \
        images.digest((here / "srv" / "large").read_bytes()).removeprefix("sha256:")
    assert (here / "srv" / "runs").read_text() == "ran\n", "the command has not been run again"
    assert guest.status() == status and files(guest) == kept, "nothing has become of the workspace"
    record = microagent.json("cp", "kept:/data/file", str(here), timeout=120)
    assert record["workspace"] == "kept" and (here / "file").read_text() == "on the volume\n"
    assert microagent.json("result", "kept")["result"] == {"done": True}
    events = guest.events()[-4:]
    assert [event["state"] for event in events] == ["starting", "running", "stopping", "stopped"]
    assert events[1]["reason"] == "copy"
    assert guest.status() == status


def test_files_go_in(guest, here, account, microagent):
    (here / "new").write_text("came while it was stopped\n")
    account.own(here / "new")
    status = guest.status()
    microagent.run("cp", str(here / "new"), "kept:/srv/", timeout=120)
    microagent.run("cp", str(here / "new"), "kept:/data/", timeout=120)
    assert guest.status() == status
    guest.start()
    assert guest.shell("cat /srv/new /data/new") == 2 * "came while it was stopped\n"
    guest.stop()


def test_a_workspace_that_never_ran(workspaces, layout, here, account, microagent):
    (here / "seed").write_text("seed")
    account.own(here / "seed")
    guest = workspaces("new", "--image", layout, start=False)
    status = guest.status()
    microagent.run("cp", str(here / "seed"), "new:/etc/seed", timeout=120)
    assert guest.status() == status and status["state"] == "prepared"
    guest.start()
    wait_until(lambda: guest.status()["readiness"]["resultReady"]["ready"], "the entrypoint runs", 20)
    assert guest.shell("cat /etc/seed /srv/runs") == "seedran\n"


def test_it_is_an_error_of_the_copy_alone(guest, here, microagent):
    status = guest.status()
    error = microagent.refuses("cp", "kept:/nothing", str(here), code=EXIT_FAILURE, timeout=120)
    assert "nothing" in error["message"]
    assert guest.status() == status


def test_others_wait_meanwhile(guest, microagent):
    status = guest.status()
    copy = microagent.popen("cp", "kept:/srv/large", "-", stdout=subprocess.PIPE)
    try:
        assert guest.wait_for_state("running", timeout=60)["reason"] == "copy"
        assert microagent.refuses("exec", "kept", "--", "true", code=EXIT_RETRY)["kind"] == "transient"
        for words in (["start", "kept"], ["stop", "kept"], ["quarantine", "kept"]):
            assert microagent.refuses(*words, code=EXIT_RETRY)["kind"] == "transient"
        assert microagent.json("egress", "allow", "kept", "198.51.100.7:443")["running"] is False
        assert len(copy.stdout.read()) > 24 * 1024 * 1024
        assert copy.wait(60) == 0
    finally:
        copy.kill()
        copy.wait()
    assert guest.status()["event"] == status["event"]


def test_a_copy_that_is_killed_leaves_no_guest(guest, microagent):
    status = guest.status()
    copy = microagent.popen("cp", "kept:/srv/large", "-", stdout=subprocess.PIPE)
    guest.wait_for_state("running", timeout=60)
    supervisor = guest.processes()["supervisor"]
    copy.kill()
    copy.wait()
    wait_until(lambda: not supervisor.exists(), "the guest is ended", 60)
    assert guest.status() == status


def test_a_copy_whose_supervisor_dies_changes_no_record(workspaces, layout, microagent):
    guest = workspaces("seeded", "--image", layout, start=False)
    status = guest.status()
    # A copy of what never ends: its supervisor is still there to be killed, however late this test is.
    pipe = subprocess.PIPE
    copy = microagent.popen("cp", "-", "seeded:/etc", stdin=pipe, stdout=pipe, stderr=pipe)
    guest.wait_for_state("running", timeout=60)
    os.kill(guest.status()["supervisorPid"], signal.SIGKILL)
    copy.communicate(timeout=60)
    assert copy.returncode != 0
    assert guest.status() == status and status["state"] == "prepared"
    assert "seeded" not in str(microagent.json("prune", "--dry-run"))
    assert guest.events()[-1]["reason"] == "lost"


def test_a_workspace_of_the_built_in_base_has_its_volumes(workspaces, here, microagent):
    guest = workspaces("plain", "--volume", "shared:/shared")
    guest.shell("echo shared >/shared/file; echo lost >/root/file")
    guest.stop()
    microagent.run("cp", "plain:/shared/file", str(here / "file"), timeout=120)
    assert (here / "file").read_text() == "shared\n"
    for path in ("/root/file", "/shared/../root/file", "/sharedmore"):
        error = microagent.refuses("cp", f"plain:{path}", str(here), code=EXIT_FAILURE)
        assert error["kind"] == "conflict" and "memory" in error["message"] and "start plain" in error["remediation"]
    other = workspaces("holder", "--volume", "shared:/shared")
    error = microagent.refuses("cp", "plain:/shared/file", str(here), code=EXIT_FAILURE, timeout=60)
    assert '"holder"' in error["message"]
    assert guest.state() == "stopped"
    other.kill()
