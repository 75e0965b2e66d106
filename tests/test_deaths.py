"""Any process may be killed at any time: the workspace ends in failed, says why, and leaves nothing behind."""

import contextlib
import os
import signal
import subprocess

import pytest

from harness.cli import EXIT_FAILURE, outcome_of
from harness.clients import ask_when_served, connect, is_free
from harness.processes import processes_of
from harness.wait import wait_until

PORT = 18500
SOON = 10


@pytest.fixture(scope="module")
def victim(workspaces):
    return workspaces("victim", "--publish", f"{PORT}:80", "--entrypoint", "nc -ll -p 80 -e cat", start=False)


@pytest.fixture
def running(victim):
    victim.start()
    assert ask_when_served(PORT, b"hello") == b"hello"
    return victim


def kill(process):
    os.kill(process.pid, signal.SIGKILL)


def left_behind(workspace, uid):
    """What is still there of a workspace that has ended."""
    sockets = [path.name for path in workspace.directory.iterdir() if path.is_socket()]
    initrd = (workspace.directory / "initrd").exists()  # it holds the environment
    return processes_of(uid), sockets, initrd, not is_free(PORT)


def wait_until_nothing_is_left(workspace):
    uid = workspace.microagent.account.uid
    nothing = ([], [], False, False)
    wait_until(lambda: left_behind(workspace, uid) == nothing, f"{workspace.name} leaves nothing behind", SOON)


@pytest.mark.parametrize("name", ["qemu", "netd", "mediator"])
def test_a_killed_worker(alone, running, name):
    with connect(PORT) as connection:
        connection.sendall(b"x")
        assert connection.recv(1) == b"x"
        kill(running.processes()[name])
        connection.settimeout(SOON)
        try:
            assert connection.recv(1) == b"", "somebody still answers"
        except ConnectionResetError:
            pass
    record = running.wait_for_state("failed", timeout=SOON)
    reason = record["event"]["detail"]
    assert name in reason.lower() and ("kill" in reason.lower() or "signal 9" in reason.lower()), reason
    assert running.events()[-1]["state"] == "failed" and running.events()[-1]["detail"] == reason
    assert "pids" not in record and not record["readiness"]["guestReady"]["ready"]
    assert name in running.microagent.run("status", running.name).text
    wait_until_nothing_is_left(running)


def test_all_workers_killed_at_once(alone, running):
    processes = running.processes()
    for name in ("netd", "mediator", "qemu"):
        with contextlib.suppress(ProcessLookupError):  # the supervisor may be quicker to end the others
            kill(processes[name])
    running.wait_for_state("failed", timeout=SOON)
    wait_until_nothing_is_left(running)


def test_a_killed_supervisor(alone, running):
    """Its children die with it; whatever command comes next tells, and cleans up."""
    processes = running.processes()
    kill(processes["supervisor"])
    wait_until(lambda: not any(process.exists() for process in processes.values()), "the children die", SOON)
    assert is_free(PORT)
    record = running.status()
    assert record["state"] == "failed" and "supervisor" in record["event"]["detail"]
    assert running.events()[-1]["state"] == "failed" and "supervisor" in running.events()[-1]["detail"]
    assert running.status()["event"] == record["event"], "it is told once"
    wait_until_nothing_is_left(running)


@pytest.mark.parametrize("words", [["list"], ["network", "victim"], ["events", "victim"]], ids=lambda words: words[0])
def test_the_next_command_notices_whichever_it_is(alone, running, microagent, words):
    processes = running.processes()
    kill(processes["supervisor"])
    wait_until(lambda: not any(process.exists() for process in processes.values()), "the children die", SOON)
    said = microagent.json(*words)
    assert "failed" in str(said)
    wait_until_nothing_is_left(running)


def test_a_workspace_starts_again_after_a_death(alone, running):
    kill(running.processes()["supervisor"])
    wait_until(lambda: not processes_of(running.microagent.account.uid), "the children die", SOON)
    running.start()
    assert ask_when_served(PORT, b"hello") == b"hello"
    running.stop()
    wait_until_nothing_is_left(running)


def test_a_start_that_is_killed(alone, victim, microagent):
    """Whoever types ^C, or dies, while the guest boots, leaves a workspace that runs, or one that has ended."""
    with microagent.popen("start", "victim", stdout=subprocess.PIPE, stderr=subprocess.PIPE) as starter:
        wait_until(lambda: victim.state() == "starting", "the start is under way")
        starter.kill()
        starter.communicate()
    state = victim.wait_for_state("running", "failed", "stopped", timeout=60)["state"]
    if state == "running":
        victim.stop()
    wait_until_nothing_is_left(victim)


@pytest.mark.parametrize("name", ["qemu", "netd", "mediator", "supervisor"])
def test_a_death_during_the_start(alone, victim, microagent, name):
    with microagent.popen("--json", "start", "victim", stdout=subprocess.PIPE, stderr=subprocess.PIPE) as starter:
        process = wait_until(lambda: victim.process_of(name), f"{name} is there", 30)
        kill(process)
        outcome = outcome_of(starter)
    assert outcome.code == EXIT_FAILURE and outcome.error(), outcome
    assert victim.state() == "failed"
    wait_until_nothing_is_left(victim)


def test_a_guest_that_powers_itself_off(alone, running):
    running.spawn("poweroff", "-f").communicate(timeout=30)
    record = running.wait_for_state("stopped", "failed")
    assert record["state"] == "stopped" and "powered itself off" in record["event"]["detail"]
    wait_until_nothing_is_left(running)


def test_a_guest_that_panics(alone, running):
    running.spawn("sh", "-c", "echo c >/proc/sysrq-trigger").communicate(timeout=30)
    record = running.wait_for_state("failed")
    assert "panic" in record["event"]["detail"].lower()
    wait_until_nothing_is_left(running)


def test_sigterm_to_the_supervisor_is_a_stop(alone, running):
    os.kill(running.processes()["supervisor"].pid, signal.SIGTERM)
    record = running.wait_for_state("stopped")
    assert "cleanly" in record["event"]["detail"]
    wait_until_nothing_is_left(running)


def test_open_flows_of_a_dead_mediator_are_closed_in_the_log(alone, world, running):
    """The next mediator writes down what became of the flows that nobody closed."""
    flow = running.spawn("nc", "192.0.2.1", "7", stdin=subprocess.PIPE)
    flow.stdin.write(b"hello\n")
    flow.stdin.flush()
    assert flow.stdout.readline() == b"hello\n"
    kill(running.processes()["mediator"])
    flow.communicate()
    running.wait_for_state("failed")
    running.start()
    record = running.wait_for_record(event="egress_close", dst="192.0.2.1:7")
    assert record["end"] == "lost"
    running.stop()
