"""quarantine: at once no network, no published port, no channel, and a guest that stands still; its disk and records
stay."""

import socket

import pytest

from harness import monitor, python_guest
from harness import world as net
from harness.clients import ask_when_served, connect, is_free
from harness.plane import Plane, free_port
from harness.wait import wait_until

PORT = 18600
CHANNEL = 2048

# In the guest: holds the channel open, and tells the console, which is all that is left, what becomes of it and of a
# second try.
HOLD = f"""
import socket
def tell(word):
    with open("/dev/console", "w") as console:
        console.write("channel: " + word + chr(10))
def channel():
    s = socket.socket(socket.AF_VSOCK, socket.SOCK_STREAM)
    s.connect((2, {CHANNEL}))
    return s
held = channel()
tell("open")
try:
    tell("held ended" if held.recv(1) == b"" else "held answered")
except OSError as error:
    tell("held " + type(error).__name__)
try:
    channel()
    tell("new connected")
except OSError as error:
    tell("new " + type(error).__name__)
"""


def console(workspace):
    return (workspace.directory / "console.log").read_bytes().decode(errors="replace")


@pytest.fixture(scope="module")
def severed(world, prefix, microagent, workspaces):
    """A workspace with a flow out, a connection in and a channel, all at work; then quarantined."""
    place = f"127.0.0.1:{free_port()}"
    plane = Plane(place)
    python_guest.install(prefix, microagent)
    workspace = workspaces("severed", "--memory", python_guest.MEMORY, "--publish", f"{PORT}:80", "--mediation",
                           f"{CHANNEL}={place}", "--entrypoint", "nc -ll -p 80 -e cat")
    assert ask_when_served(PORT, b"hello") == b"hello"
    workspace.background("sh", "-c", f"(echo hello; sleep 1000) | nc {net.SERVER} {net.TCP_ECHO}")
    opened = workspace.wait_for_record(event="egress_allow", dst=f"{net.SERVER}:{net.TCP_ECHO}")
    inbound = connect(PORT)
    inbound.sendall(b"x")
    assert inbound.recv(1) == b"x"
    workspace.background("python3", "-c", HOLD)
    wait_until(lambda: "channel: open" in console(workspace), "the channel is in use", 60)
    wait_until(lambda: plane.live() >= 1, "its target has been reached")
    answer = workspace.microagent.json("quarantine", "severed")
    wait_until(lambda: plane.live() == 0, "the target sees the end of it")
    yield workspace, opened, inbound, answer
    inbound.close()
    plane.close()


def test_the_state_says_so(severed):
    workspace, _, _, answer = severed
    assert answer["state"] == "quarantined"
    assert workspace.state() == "quarantined"
    assert workspace.events()[-1]["state"] == "quarantined"


def test_flows_have_ended_and_are_accounted_for(severed, microagent):
    workspace, opened, _, _ = severed
    closed = workspace.wait_for_record(event="egress_close", flow=opened["flow"])
    assert closed["end"] == "killed" and closed["bytesOut"] >= len("hello\n")
    workspace.wait_for_record(event="egress_quarantined")
    assert microagent.json("egress", "severed", "--verify")["verified"] is True


def test_the_port_is_the_host_s_again(severed):
    _, _, inbound, _ = severed
    inbound.settimeout(10)
    try:
        assert inbound.recv(1) == b"", "somebody still answers"
    except ConnectionResetError:
        pass
    wait_until(lambda: is_free(PORT), "the port is free")


def test_the_guest_stands_still(severed):
    """Its processor uses no time."""
    workspace = severed[0]
    stat = workspace.processes()["qemu"].path / "stat"

    def ticks():
        fields = stat.read_text().rpartition(")")[2].split()
        return int(fields[11]) + int(fields[12])

    before = ticks()
    with pytest.raises(TimeoutError), socket.socket() as clock:  # a second, in which nothing comes
        clock.bind(("127.0.0.1", 0))
        clock.listen()
        clock.settimeout(1)
        clock.accept()
    assert ticks() - before <= 5


def test_a_guest_that_went_on_would_find_the_channel_severed(severed):
    """It is made to go on, which no command does: what was open has been reset, and nothing new begins."""
    workspace = severed[0]
    assert "channel: held" not in console(workspace)
    monitor.tell(workspace, "cont")
    wait_until(lambda: "channel: new " in console(workspace), "the guest goes on", 60)
    said = [line.split("channel: ")[1].strip() for line in console(workspace).splitlines() if "channel: " in line]
    # Linux takes the reset of a stream that stands for its end.
    assert said == ["open", "held ended", "new ConnectionResetError"]
    refused = workspace.wait_for_record(event="mediation_close")
    assert refused["end"] == "killed"
    assert workspace.state() == "quarantined"


def test_it_can_only_be_looked_at_and_ended(severed, microagent):
    workspace = severed[0]
    for words in (["exec", "severed", "--", "true"], ["egress", "allow", "severed", "one.test"]):
        assert microagent.run("--json", *words, code=None).code != 0, words
    assert microagent.json("egress", "severed")["egress"]
    assert workspace.status()["state"] == "quarantined"
    files = {path.name for path in workspace.directory.iterdir()}
    assert {"egress.jsonl", "events.jsonl", "runtime.json"} <= files
    assert workspace.kill()["state"] in ("stopped", "halted", "failed")
