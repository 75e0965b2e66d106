"""The example of examples/agent-loop, as its README tells it."""

import hashlib
import json
import pathlib
import socket
import subprocess
import sys

import pytest
from harness import python_guest
from harness.plane import free_port
from harness.wait import wait_until

PATIENCE = 60  # the guest is emulated
EXAMPLE = pathlib.Path(__file__).resolve().parent.parent / "examples" / "agent-loop"


@pytest.fixture(scope="module", autouse=True)
def python_image(world, prefix, microagent, guest_image):
    python_guest.install(prefix, microagent)


@pytest.fixture(scope="module")
def port():
    return free_port()


def start_host(port, work):
    """The host's side, with its work on standard input."""
    process = subprocess.Popen([sys.executable, EXAMPLE / "host.py", "--listen", f"127.0.0.1:{port}"],
                               stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    process.stdin.write(work)
    process.stdin.close()
    process.stdin = None  # communicate() has no more to write
    # An agent that waits may be quicker than this look, and the host's side done with its work.
    wait_until(lambda: listens(port) or process.poll() is not None, "the host's side listens", PATIENCE)
    return process


def listens(port):
    """Whether somebody does; the host's side stands such a look, as it stands microagent's."""
    try:
        socket.create_connection(("127.0.0.1", port)).close()
        return True
    except ConnectionRefusedError:
        return False


def messages_of(process):
    """What the host's side has told, once it has ended."""
    out, err = process.communicate(timeout=2 * PATIENCE)
    assert process.returncode == 0, err
    return [json.loads(line) for line in out.splitlines()]


@pytest.fixture(scope="module")
def loop(workspaces, port, account, scratch):
    """The workspace of the example's spec, with the agent in it."""
    directory = account.make_directory(scratch / "loop", mode=0o755)
    spec, agent = directory / "microagent.yaml", directory / "agent.py"
    spec.write_text((EXAMPLE / "microagent.yaml").read_text().replace("9900", str(port)))
    agent.write_bytes((EXAMPLE / "agent.py").read_bytes())
    workspace = workspaces("agent-loop", "--file", str(spec), start=False)
    host = start_host(port, '{"id": "0", "task": "sum", "numbers": []}\n')
    workspace.start()
    host.kill()
    host.wait()
    workspace.microagent.run("cp", str(agent), "agent-loop:/srv/")
    return workspace


def test_the_work_is_done(loop, port):
    host = start_host(port, (EXAMPLE / "work.jsonl").read_text())
    loop.exec("python3", "/srv/agent.py", timeout=120)
    messages = messages_of(host)
    assert messages[0] == {"type": "LifecycleSignal", "signal": "ready"}
    assert messages[-1] == {"type": "LifecycleSignal", "signal": "completed"}
    results = {message["id"]: message for message in messages if message["type"] == "WorkResult"}
    assert results["1"]["output"] == {"sum": 6.5}
    assert results["2"]["output"] == {"digest": hashlib.sha256(b"hello").hexdigest()}
    assert results["3"]["output"] == {"exitCode": 0, "stdout": "Linux\n", "stderr": ""}
    assert results["4"] == {"type": "WorkResult", "id": "4", "ok": False, "error": "KeyError: 'dance'"}


def test_work_survives_a_host_that_dies(loop, port):
    """The agent waits while nobody listens, and goes on when somebody does."""
    first = start_host(port, '{"id": "1", "task": "run", "argv": ["sleep", "600"]}\n')
    agent = loop.spawn("python3", "/srv/agent.py", "--patience", "60")
    said = [json.loads(first.stdout.readline())["signal"] for _ in range(2)]
    assert said == ["ready", "accepting"], "it is at its task"
    first.kill()
    first.wait()
    # The agent is at its task, and its connection is gone; the task is ended for it.
    one = "grep -qx sleep $p/comm 2>/dev/null && kill ${p#/proc/} && exit"
    loop.shell(f"for i in $(seq 100); do for p in /proc/[0-9]*; do {one}; done; sleep 0.1; done; exit 1")
    second = start_host(port, '{"id": "2", "task": "sum", "numbers": [20, 22]}\n')
    messages = messages_of(second)
    assert {"type": "WorkResult", "id": "2", "ok": True, "output": {"sum": 42}} in messages
    assert agent.wait(PATIENCE) == 0
