"""Ports that cannot be published: start fails before the guest boots, and says why; nothing is skipped silently."""

import socket
import subprocess
import sys

import pytest

from harness.cli import EXIT_FAILURE
from harness.clients import is_free

LISTEN = """
import socket, sys
kind = socket.SOCK_DGRAM if sys.argv[1] == "udp" else socket.SOCK_STREAM
listener = socket.socket(socket.AF_INET, kind)
listener.bind((sys.argv[2], int(sys.argv[3])))
if kind == socket.SOCK_STREAM:
    listener.listen()
print("listening", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def holder(workspaces, microagent):
    """Has a process of the same user hold a port of the host."""
    held = []

    def hold(protocol, host, port, user=True):
        command = [sys.executable, "-c", LISTEN, protocol, host, str(port)]
        options = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
        process = (microagent.account.popen(command, **options) if user
                   else subprocess.Popen(command, **options))  # pylint: disable=consider-using-with
        assert process.stdout.readline() == b"listening\n"
        held.append(process)
        return process

    yield hold
    for process in held:
        process.stdin.close()
        process.wait(10)


@pytest.fixture
def made(workspaces, request):
    """A workspace that is not started, by the test's name, deleted afterwards."""
    made = []

    def make(*flags):
        workspace = workspaces(f"w{abs(hash(request.node.nodeid)) % 10**9}", *flags, start=False)
        made.append(workspace)
        return workspace

    yield make
    for workspace in made:
        workspace.delete()


def refused(microagent, workspace):
    error = microagent.run("--json", "start", workspace.name, code=EXIT_FAILURE).error()
    status = workspace.status()
    assert status["state"] == "failed" and "pids" not in status and "supervisorPid" not in status
    assert error["message"] in status["event"]["detail"] or status["event"]["detail"] in error["message"]
    assert not (workspace.directory / "console.log").exists() or not (workspace.directory / "console.log").read_bytes()
    return error


@pytest.mark.parametrize("protocol", ["tcp", "udp"])
@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0"])
def test_a_port_that_is_taken(microagent, made, holder, protocol, host):
    process = holder(protocol, host, 18300)
    workspace = made("--publish", "18299:79", "--publish", f"18300:80/{protocol}")
    error = refused(microagent, workspace)
    assert error["kind"] == "conflict"
    assert "18300" in error["message"] and f"127.0.0.1:18300:80/{protocol}" in error["message"]
    assert f"process {process.pid}" in error["message"] and "python3" in error["message"]
    assert is_free(18299), "the ports before it are kept"


def test_a_port_that_another_user_holds(alone, microagent, made, holder):
    holder("tcp", "127.0.0.1", 18300, user=False)
    error = refused(microagent, made("--publish", "18300:80"))
    assert "18300" in error["message"] and "another user" in error["message"]


def test_a_port_that_another_workspace_holds(microagent, workspaces, made):
    workspaces("first", "--publish", "18301:80")
    error = refused(microagent, made("--publish", "18301:80"))
    assert "18301" in error["message"] and "microagent-supe" in error["message"]


def test_the_port_is_taken_once_it_is_free(microagent, made, holder):
    process = holder("tcp", "127.0.0.1", 18302)
    workspace = made("--publish", "18302:80")
    refused(microagent, workspace)
    process.stdin.close()
    process.wait(10)
    assert workspace.start()["state"] == "running"


def test_a_port_of_the_range_is_taken(microagent, made, holder):
    holder("tcp", "127.0.0.1", 18311)
    error = refused(microagent, made("--publish", "18310-18312:80-82"))
    assert "127.0.0.1:18311:81/tcp" in error["message"]
    assert is_free(18310)


def test_a_privileged_port(alone, microagent, made):
    error = refused(microagent, made("--publish", "80:80"))
    assert "80" in error["message"] and "privileged" in error["message"]
    assert "1024" in error["remediation"]


def test_an_address_that_is_not_the_host_s(microagent, made):
    error = refused(microagent, made("--publish", "203.0.113.99:18300:80"))
    assert "203.0.113.99" in error["message"]


def test_a_waiting_port_is_free(microagent, made):
    """A port that only waits out old connections can be published."""
    with socket.create_server(("127.0.0.1", 18303)) as listener:
        with socket.create_connection(("127.0.0.1", 18303)) as client:
            server, _ = listener.accept()
            server.close()
            assert client.recv(1) == b""
    assert made("--publish", "18303:80").start()["state"] == "running"
