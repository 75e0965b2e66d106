"""supervise: what becomes of a workspace at its end; health checks; the time to live."""

import contextlib
import os
import pathlib
import signal
import socket
import subprocess

import pytest

from harness.cli import EXIT_FAILURE, EXIT_RETRY, records_of
from harness.wait import wait_until

TIMEOUT = 200


@contextlib.contextmanager
def supervised(microagent, name, *words):
    with microagent.popen("--json", "supervise", *words, name, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE) as process:
        try:
            yield process
        finally:
            if process.poll() is None:
                process.kill()


def lines(process, count):
    return records_of(process, [process.stdout.readline() for _ in range(count)])


def end(process, number=signal.SIGTERM):
    process.send_signal(number)
    out, err = process.communicate(timeout=TIMEOUT)
    assert err == b"", err
    return process.returncode, records_of(process, out.splitlines())


def test_a_signal_ends_it_cleanly(workspaces, microagent):
    workspace = workspaces("clean", "--network", "isolated", "--restart", "always", start=False)
    with supervised(microagent, "clean") as process:
        assert lines(process, 1)[0]["event"] == "is running"
        assert microagent.refuses("supervise", "clean", code=EXIT_FAILURE)["kind"] == "conflict"
        code, last = end(process)
    assert code == 0 and "asked to end" in last[-1]["event"]
    status = workspace.status()
    assert status["state"] == "stopped" and status["reason"] == "request" and status["restart"] == "always"
    assert status["event"]["detail"] == "the guest shut down cleanly"


def test_a_crash_is_followed_by_another_life(workspaces, microagent):
    workspace = workspaces("crashing", "--network", "isolated", "--restart", "on-failure:1", start=False)
    with supervised(microagent, "crashing") as process:
        lines(process, 1)
        follower = microagent.popen("--json", "events", "--follow", "crashing", stdout=subprocess.PIPE)
        os.kill(workspace.status()["pids"]["qemu"], signal.SIGKILL)
        ended, again = lines(process, 2)
        assert ended["restart"] and ended["restarts"] == 1 and ended["pauseSeconds"] == 1
        assert "SIGKILL" in ended["event"] and again["state"] == "running"
        os.kill(workspace.status()["supervisorPid"], signal.SIGKILL)
        out, _ = process.communicate(timeout=TIMEOUT)
        assert process.returncode == 1, "one restart was allowed"
        assert records_of(process, out.splitlines())[-1]["restart"] is False
        told, _ = follower.communicate(timeout=60)
    events = [(event["state"], event.get("reason")) for event in records_of(follower, told.splitlines())]
    one_life = [("starting", None), ("running", None)]
    assert events[-7:] == [*one_life, ("failed", "failure"), ("failed", "restart"), *one_life, ("failed", "lost")], (
        "who follows sees all lives")


def test_an_entrypoint_that_fails_is_a_failure(workspaces, microagent):
    workspace = workspaces("job", "--network", "isolated", "--restart", "on-failure:1", "--entrypoint", "exit 3",
                           start=False)
    with supervised(microagent, "job") as process:
        out, _ = process.communicate(timeout=TIMEOUT)
    told = [record["event"] for record in records_of(process, out.splitlines())]
    assert process.returncode == 1 and len(told) == 4, told
    assert "code 3" in told[1] and "code 3" in told[3]
    assert workspace.state() == "stopped"


@pytest.mark.parametrize("command", ["stop", "kill"])
def test_an_end_on_request_is_final(workspaces, microagent, command):
    name = f"final-{command}"
    workspaces(name, "--network", "isolated", "--restart", "always", start=False)
    with supervised(microagent, name) as process:
        lines(process, 1)
        microagent.json(command, name)
        process.communicate(timeout=TIMEOUT)
    assert process.returncode == 0


def test_a_guest_that_is_quarantined_is_kept(workspaces, microagent):
    workspace = workspaces("kept", "--network", "isolated", "--restart", "always", start=False)
    with supervised(microagent, "kept") as process:
        lines(process, 1)
        microagent.json("quarantine", "kept")
        out, _ = process.communicate(timeout=TIMEOUT)
    assert process.returncode == 0 and "is quarantined" in records_of(process, out.splitlines())[-1]["event"]
    status = workspace.status()
    assert status["state"] == "quarantined" and workspace.events()[-1]["state"] == "quarantined"
    assert workspace.processes()["qemu"].exists(), "what is to be looked into is still there"


@pytest.mark.parametrize("command", ["stop", "kill"])
def test_an_end_is_asked_for_between_two_lives(workspaces, microagent, command):
    name = f"between-{command}"
    workspace = workspaces(name, "--mediation", "2048=127.0.0.1:1", "--restart", "always", start=False)
    with supervised(microagent, name) as process:
        while lines(process, 1)[0]["pauseSeconds"] < 8:
            pass
        assert microagent.json(command, name)["state"] == "stopped"
        out, _ = process.communicate(timeout=4)
    assert process.returncode == 0 and "asked to end" in records_of(process, out.splitlines())[-1]["event"]
    assert workspace.status()["reason"] == "request" and workspace.events()[-1]["reason"] == "request"
    assert microagent.refuses(command, name, code=EXIT_FAILURE)["kind"] == "conflict", "nothing runs"


@pytest.fixture
def unreachable():
    """What a connection is begun to and never made: a start that requires it goes on for ten seconds."""
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
        for _ in range(3):
            client = stack.enter_context(socket.socket())
            client.setblocking(False)
            client.connect_ex(listener.getsockname())
        yield "127.0.0.1:{}".format(listener.getsockname()[1])


@pytest.mark.parametrize("command", ["stop", "kill"])
def test_an_end_is_asked_for_while_it_starts(workspaces, microagent, unreachable, command):
    name = f"starting-{command}"
    workspace = workspaces(name, "--mediation", f"2048={unreachable}", "--restart", "always", start=False)
    with supervised(microagent, name) as process:
        workspace.wait_for_state("starting")
        assert microagent.json(command, name)["state"] == "stopped"
        out, err = process.communicate(timeout=20)
    assert process.returncode == 0 and err == b"", (out, err)
    assert workspace.status()["reason"] == "request"


def test_an_end_is_asked_for_while_supervise_ends_a_life(workspaces, microagent):
    workspace = workspaces("late", "--network", "isolated", "--restart", "always", "--health-cmd", "test ! -e /tmp/bad",
                           "--health-interval", "1s", "--health-retries", "1", "--entrypoint",
                           "trap '' TERM; while true; do sleep 1; done", start=False)
    with supervised(microagent, "late") as process:
        lines(process, 1)
        workspace.shell("touch /tmp/bad")
        workspace.wait_for_state("stopping")
        assert microagent.json("stop", "late")["state"] == "stopped"
        out, _ = process.communicate(timeout=20)
    assert process.returncode == 0, out
    assert records_of(process, out.splitlines())[-1]["restart"] is False
    assert [event["state"] for event in workspace.events()].count("starting") == 1, "no other life has begun"


def test_an_end_is_not_waited_for_without_bound(workspaces, microagent):
    workspace = workspaces("deaf", "--mediation", "2048=127.0.0.1:1", "--restart", "always", start=False)
    with supervised(microagent, "deaf") as process:
        while lines(process, 1)[0]["pauseSeconds"] < 8:
            pass
        process.send_signal(signal.SIGSTOP)
        error = microagent.run("--json", "stop", "deaf", code=EXIT_RETRY).error()
        assert error["kind"] == "transient" and "supervise" in error["message"]
        process.send_signal(signal.SIGCONT)
        process.communicate(timeout=7)
    assert process.returncode == 0, "the request is heeded all the same"
    assert workspace.status()["reason"] == "request"


def test_what_is_supervised_is_deleted_by_force_alone(workspaces, microagent):
    workspace = workspaces("unwanted", "--mediation", "2048=127.0.0.1:1", "--restart", "always", start=False)
    with supervised(microagent, "unwanted") as process:
        while lines(process, 1)[0]["pauseSeconds"] < 8:
            pass
        error = microagent.refuses("delete", "unwanted", code=EXIT_FAILURE)
        assert error["kind"] == "conflict" and "supervised" in error["message"]
        assert workspace.delete()["deleted"] is True
        out, _ = process.communicate(timeout=7)
    assert process.returncode == 0
    end_told = records_of(process, out.splitlines())[-1]
    # It may hear that it is to end before there is nothing left to supervise.
    assert end_told["event"] in ("is asked to end", "is deleted") and end_told["restart"] is False
    assert microagent.json("delete", "unwanted")["deleted"] is False


def test_what_runs_supervised_is_deleted(workspaces, microagent):
    workspace = workspaces("running", "--network", "isolated", "--restart", "always", start=False)
    with supervised(microagent, "running") as process:
        lines(process, 1)
        assert workspace.delete()["deleted"] is True
        process.communicate(timeout=20)
    assert process.returncode == 0 and not workspace.directory.exists()


def is_locked(microagent, name):
    """Somebody has the workspace in hand: a command, its supervisor, or who supervises it and writes that down."""
    inode = (microagent.state / "locks" / f"{name}.lock").stat().st_ino
    return f":{inode} " in pathlib.Path("/proc/locks").read_text()


def test_a_deleted_name_is_not_taken_while_it_is_supervised(workspaces, microagent):
    """Another workspace of the name would be taken for the old one, and kept by the old one's policy."""
    workspace = workspaces("reborn", "--mediation", "2048=127.0.0.1:1", "--restart", "always", start=False)
    with supervised(microagent, "reborn") as process:
        while lines(process, 1)[0]["pauseSeconds"] < 8:
            pass
        wait_until(lambda: microagent.json("events", "reborn")["events"][-1].get("reason") == "restart" and
                   not is_locked(microagent, "reborn"), "its pause is on record")
        process.send_signal(signal.SIGSTOP)
        error = microagent.run("--json", "delete", "--force", "reborn", code=EXIT_RETRY).error()
        assert error["kind"] == "transient" and "supervise" in error["message"]
        error = microagent.refuses("create", "reborn", "--network", "isolated", code=EXIT_FAILURE)
        assert error["kind"] == "conflict" and "supervise" in error["message"]
        process.send_signal(signal.SIGCONT)
        assert microagent.json("delete", "--force", "reborn")["deleted"] is False
        microagent.json("create", "reborn", "--network", "isolated")
        out, _ = process.communicate(timeout=7)
    assert process.returncode == 0 and records_of(process, out.splitlines())[-1]["restart"] is False
    assert workspace.state() == "prepared", "the new one is nobody's to start"


def test_nobody_else_starts_what_is_supervised(workspaces, microagent):
    workspace = workspaces("guarded", "--network", "isolated", "--restart", "always", start=False)
    with supervised(microagent, "guarded") as process:
        lines(process, 1)
        before = workspace.status()["supervisorPid"]
        for command in ("start", "restart"):
            error = microagent.refuses(command, "guarded", code=EXIT_FAILURE)
            assert error["kind"] == "conflict" and "supervised" in error["message"]
        assert workspace.status()["supervisorPid"] == before and workspace.state() == "running"
        end(process)


def test_a_second_signal_kills(workspaces, microagent):
    workspace = workspaces("stubborn", "--network", "isolated", "--entrypoint",
                           "trap '' TERM; while true; do sleep 1; done", start=False)
    with supervised(microagent, "stubborn") as process:
        lines(process, 1)
        process.send_signal(signal.SIGTERM)
        workspace.wait_for_state("stopping")
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=2)
    assert process.returncode == -signal.SIGTERM
    workspace.wait_for_state("failed", "stopped", timeout=4)


def test_a_start_that_fails_is_tried_again(workspaces, microagent):
    workspaces("unlucky", "--mediation", "2048=127.0.0.1:1", "--restart", "always", start=False)
    with supervised(microagent, "unlucky") as process:
        first = lines(process, 1)[0]
        assert "127.0.0.1:1" in first["event"] and first["restart"]
        code, _ = end(process, signal.SIGINT)
    assert code == 0


def test_a_guest_that_is_unwell_begins_anew(workspaces, microagent):
    workspace = workspaces("unwell", "--network", "isolated", "--restart", "always", "--health-cmd",
                           "test ! -e /tmp/bad || { echo it is bad; false; }", "--health-interval", "1s",
                           "--health-retries", "2", start=False)

    def health():
        return workspace.status()["readiness"].get("healthReady", {})

    with supervised(microagent, "unwell") as process:
        lines(process, 1)
        wait_until(lambda: health().get("ready"), "it is healthy", 30)
        workspace.shell("touch /tmp/bad")
        ended = lines(process, 1)[0]
        assert ended["restart"] and "unhealthy: the command ended with code 1: it is bad" in ended["event"]
        lines(process, 1)
        wait_until(lambda: health().get("ready"), "it is healthy again", 30)
        end(process)
    told = [event["detail"] for event in workspace.events() if event.get("reason") == "health"]
    assert told == ["healthy", "unhealthy: the command ended with code 1: it is bad", "healthy"]


def test_without_a_policy_an_unwell_guest_goes_on(workspaces, microagent):
    workspace = workspaces("patient", "--network", "isolated", "--health-cmd", "sleep 1000", "--health-interval", "1s",
                           "--health-timeout", "1s", "--health-retries", "1", start=False)
    with supervised(microagent, "patient") as process:
        lines(process, 1)
        unwell = wait_until(lambda: workspace.status()["readiness"].get("healthReady"), "it is looked at", 30)
        assert unwell["ready"] is False and unwell["error"] == "no answer within 1 s"
        assert workspace.state() == "running"
        late = "ps | grep '[s]leep 1000' || true"  # a shell and what it runs, of one probe
        wait_until(lambda: workspace.shell(late).count("\n") <= 2, "a probe that is late ends")
        end(process)


def test_a_page_is_a_sign_of_health(workspaces, microagent):
    workspace = workspaces("page", "-p", "0:80", "--health-http", "80/index.html", "--health-interval", "1s",
                           "--health-retries", "1", "--entrypoint",
                           "mkdir /www; httpd -f -p 80 -h /www", start=False)

    def health():
        return workspace.status()["readiness"].get("healthReady", {})

    with supervised(microagent, "page") as process:
        lines(process, 1)
        wait_until(lambda: health().get("error") == "the answer is 404", "the page is missing", 30)
        workspace.shell("echo here >/www/index.html")
        wait_until(lambda: health().get("ready"), "the page is there", 30)
        end(process)


def test_the_time_to_live_ends_it_without_the_command(workspaces):
    workspace = workspaces("mortal", "--network", "isolated", "--ttl", "2s")
    record = workspace.wait_for_state("stopped", timeout=60)
    assert record["reason"] == "expired" and record["ttlSeconds"] == 2
    last = workspace.events()[-1]
    assert last["reason"] == "expired" and last["detail"] == "its time to live is over: the guest shut down cleanly"


def test_an_expired_workspace_is_not_started_again(workspaces, microagent):
    workspaces("expiring", "--network", "isolated", "--ttl", "2s", "--restart", "always", start=False)
    with supervised(microagent, "expiring") as process:
        process.communicate(timeout=TIMEOUT)
    assert process.returncode == 0


def test_what_is_declared_is_checked(fresh):
    for words in (["--restart", "sometimes"], ["--ttl", "soon"], ["--health-http", "80"], ["--health-interval", "5s"],
                  ["--health-http", "x/", "-p", "1:80"], ["--health-cmd", "true", "--health-http", "80", "-p", "1:80"],
                  ["--health-retries", "0", "--health-cmd", "true"], ["--health-cmd", ""]):
        assert words[0] in fresh.refuses("create", "web", *words)["message"], words
    assert not list(fresh.workspaces.glob("*"))
