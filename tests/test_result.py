"""result and wait: what a guest leaves behind, and when."""

import os
import signal
import subprocess

from harness.cli import EXIT_FAILURE, EXIT_RETRY, outcome_of
from harness.wait import wait_until

FILE = "/run/microagent/result"
PATIENCE = 60  # the guest is emulated


def has_result(workspace, words):
    ready = workspace.status()["readiness"]["resultReady"]
    return ready["ready"] and words in ready.get("detail", "")


def error_of(workspace):
    return workspace.status()["readiness"]["resultReady"].get("error", "")


def test_a_result_outlives_its_guest(workspaces, microagent):
    workspace = workspaces("early", "--network", "isolated")
    error = microagent.refuses("result", "early", code=EXIT_FAILURE)
    assert error["kind"] == "not_found" and FILE in error["remediation"]
    workspace.shell(f"echo '{{\"answer\": 42}}' >{FILE}")
    wait_until(lambda: has_result(workspace, "15 bytes"), "the host has the result", PATIENCE)
    assert microagent.run("result", "early").text == '{"answer": 42}\n'
    record = microagent.json("result", "early")
    assert record["result"] == {"answer": 42} and record["bytes"] == 15 and record["state"] == "running"
    workspace.stop()
    assert workspace.status()["readiness"]["resultReady"]["ready"] is True
    assert microagent.json("result", "early")["result"] == {"answer": 42}
    assert oct((workspace.directory / "result").stat().st_mode)[-3:] == "600"
    # The next life begins without it.
    workspace.start()
    microagent.refuses("result", "early", code=EXIT_FAILURE)
    workspace.kill()


def test_the_last_result_counts(workspaces, microagent):
    workspace = workspaces("again", "--network", "isolated")
    for size in (1, 200_000, 3):
        workspace.shell(f"head -c {size} /dev/zero | tr '\\0' x >{FILE}.new && mv {FILE}.new {FILE}")
        detail = f"a result of {size} bytes"
        wait_until(lambda detail=detail: has_result(workspace, detail), "the host has it", PATIENCE)
        assert microagent.run("result", "again").out == b"x" * size
    limit = 16 * 1024 * 1024
    workspace.shell(f"dd if=/dev/zero bs=64k count={limit + 65536 >> 16} >{FILE}")
    wait_until(lambda: "larger than" in error_of(workspace), "it is told", PATIENCE)
    assert microagent.run("result", "again").out == b"xxx", "what was kept is kept"
    workspace.shell(f"rm {FILE}; ln -s /etc/hostname {FILE}.new; mv {FILE}.new {FILE}")
    wait_until(lambda: microagent.run("result", "again").out == b"again\n", "a link is the guest's affair", PATIENCE)
    workspace.kill()


def test_start_waits_for_the_entrypoint(workspaces, microagent):
    workspaces("job", "--network", "isolated", "--entrypoint", f"echo done >{FILE}; exit 3", start=False)
    record = microagent.json("start", "--wait", "job", timeout=180)
    assert record["exitCode"] == 3 and record["state"] == "running"
    wait_until(lambda: microagent.run("result", "job", code=None).text == "done\n", "the result is kept", PATIENCE)
    assert microagent.json("wait", "job")["exitCode"] == 3
    assert "ended with code 3" in microagent.run("wait", "job").text
    microagent.run("stop", "job")
    assert microagent.json("wait", "job")["state"] == "stopped"


def test_wait_for_an_end(workspaces, microagent):
    workspace = workspaces("going", "--network", "isolated", start=False)
    assert microagent.json("wait", "going")["state"] == "prepared"
    workspace.start()
    error = microagent.refuses("wait", "--timeout", "1", "going", code=EXIT_RETRY)
    assert "has not ended within 1 s" in error["message"]
    waiting = [microagent.popen("--json", "wait", "going", stdout=subprocess.PIPE, stderr=subprocess.PIPE)
               for _ in range(3)]
    left = microagent.popen("wait", "going", stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    left.kill()
    left.communicate()
    workspace.exec("poweroff", code=None)
    for process in waiting:
        outcome = outcome_of(process)
        assert (outcome.code, outcome.err) == (0, b"") and outcome.json["state"] == "stopped"


def test_wait_for_a_failure(workspaces, microagent):
    workspace = workspaces("doomed", "--network", "isolated")
    waiting = microagent.popen("--json", "wait", "doomed", stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    os.kill(workspace.processes()["netd"].pid, signal.SIGKILL)
    outcome = outcome_of(waiting)
    assert outcome.code == 1 and outcome.json["state"] == "failed"
