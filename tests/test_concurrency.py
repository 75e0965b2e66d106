"""Several commands, and several workspaces, at once."""

import subprocess

from harness import world as net
from harness.cli import EXIT_FAILURE, EXIT_RETRY, outcome_of
from harness.clients import get
from harness.wait import wait_until
from harness.workspace import START_TIMEOUT


def outcome(process):
    ended = outcome_of(process, START_TIMEOUT)
    assert ended.err == b""
    return ended.code, ended.json


def test_two_starts_at_once(workspaces, microagent):
    """One wins, the other says why."""
    workspace = workspaces("wanted", start=False)
    processes = [microagent.popen("--json", "start", "wanted", stdout=subprocess.PIPE, stderr=subprocess.PIPE)
                 for _ in range(2)]
    results = sorted((outcome(process) for process in processes), key=lambda result: result[0])
    assert results[0][0] == 0
    assert results[0][1]["state"] == "running"
    error = results[1][1]["error"]
    # As long as the winner has not said that it starts, the same words may be worth another try.
    assert (results[1][0], error["kind"]) in [(EXIT_FAILURE, "conflict"), (EXIT_RETRY, "transient")]
    assert "another command is at work on it" in error["message"]
    assert workspace.state() == "running"
    assert workspace.exec("true").code == 0
    workspace.stop()


def test_two_workspaces_with_equal_addresses(world, workspaces):
    """Every workspace has a wire of its own."""
    serve = "mkdir /tmp/www; hostname >/tmp/www/index.html; httpd -f -p 80 -h /tmp/www"
    one, two = (workspaces(name, "--publish", "0:80", "--entrypoint", serve) for name in ("one", "two"))
    for workspace in (one, two):
        assert "inet 192.168.64.2/24 " in workspace.shell("ip addr show dev eth0")
        assert workspace.shell(f"wget -q -O - http://{net.SERVER}/").strip() == "hello from the internet"
        workspace.wait_for_listener(80)
    for workspace in (one, two):
        port = workspace.network()["runtime"]["portForwards"][0]["hostPort"]
        assert get(port, "/").strip().decode() == workspace.name
    one.stop()
    assert two.shell(f"wget -q -O - http://{net.SERVER}/").strip() == "hello from the internet"


def test_many_readers_of_one_workspace(workspaces, microagent):
    workspace = workspaces("read")
    commands = (["status", "read"], ["list"], ["network", "read"], ["events", "read"])
    processes = [microagent.popen("--json", *words, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
                 for words in commands * 5]
    assert {outcome(process)[0] for process in processes} == {0}
    assert workspace.state() == "running"


def test_stops_at_once(workspaces, microagent):
    workspaces("ending")
    processes = [microagent.popen("--json", "stop", "ending", stdout=subprocess.PIPE, stderr=subprocess.PIPE)
                 for _ in range(4)]
    codes = [outcome(process)[0] for process in processes]
    assert 0 in codes
    assert microagent.json("status", "ending")["state"] == "stopped"


def test_a_stop_during_the_start(workspaces, microagent):
    workspace = workspaces("hasty", start=False)
    with microagent.popen("--json", "start", "hasty", stdout=subprocess.PIPE, stderr=subprocess.PIPE) as starter:
        while workspace.process_of("qemu") is None and starter.poll() is None:
            pass
        # Between two states the answer is 75, "try again".
        wait_until(lambda: microagent.run("kill", "hasty", code=None).code == 0 or starter.poll() is not None,
                   "the start is stopped", 30)
        code, record = outcome(starter)
    assert code == EXIT_FAILURE and "stopped while it started" in record["error"]["message"]
    assert workspace.state() == "stopped"
