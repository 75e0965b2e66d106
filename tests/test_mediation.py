"""The mediation channel: declared, required by default, the guest's only way out when it is isolated."""

import contextlib
import json
import socket
import threading

import pytest
from harness import python_guest
from harness import world as net
from harness.cli import EXIT_RETRY
from harness.plane import Plane, free_port
from harness.wait import wait_until

PORT = 2048
PATIENCE = 60  # the guest is emulated

# In the guest: connects, sends what it is told to, ends its half, and tells what came back.
TALK = """
import hashlib, json, socket, sys
port, count = int(sys.argv[1]), int(sys.argv[2])
data = bytes(i * 7 % 251 for i in range(1000)) * (count // 1000)
with socket.socket(socket.AF_VSOCK, socket.SOCK_STREAM) as s:
    s.settimeout(60)
    try:
        s.connect((2, port))
    except OSError as refusal:
        print(json.dumps({"refused": type(refusal).__name__}))
        sys.exit()
    sender = __import__("threading").Thread(target=lambda: (s.sendall(data), s.shutdown(socket.SHUT_WR)))
    sender.start()
    answer = b""
    while part := s.recv(65536):
        answer += part
    sender.join()
head, _, rest = answer.partition(b"\\n")
print(json.dumps({"sent": hashlib.sha256(data).hexdigest(), "head": head.decode(), "same": rest == data}))
"""


@pytest.fixture(scope="module", autouse=True)
def python_image(world, prefix, microagent, guest_image):
    python_guest.install(prefix, microagent)


@contextlib.contextmanager
def listening(place):
    plane = Plane(place)
    try:
        yield plane
    finally:
        plane.close()


def talk(workspace, port=PORT, count=1000):
    return json.loads(workspace.exec("python3", "-c", TALK, str(port), str(count)).text)


def mediation_ready(workspace):
    return workspace.status()["readiness"]["mediationReady"]


@pytest.fixture(scope="module")
def place():
    return f"127.0.0.1:{free_port()}"


@pytest.fixture(scope="module")
def web(workspaces, place):
    """A running workspace, isolated, whose channel leads to `place`; somebody listens there while it starts."""
    with listening(place):
        return workspaces("web", "--network", "isolated", "--memory", python_guest.MEMORY, "--mediation",
                          f"{PORT}={place}")


def test_required_by_default(workspaces):
    place = f"127.0.0.1:{free_port()}"
    workspace = workspaces("unmet", "--mediation", f"{PORT}={place}", start=False)
    error = workspace.microagent.refuses("start", "unmet", code=EXIT_RETRY)
    assert place in error["message"] and "Connection refused" in error["message"]
    assert not (workspace.directory / "console.log").exists(), "the guest booted"
    record = workspace.status()
    assert record["state"] == "failed"
    assert record["mediation"] == {"enabled": True, "required": True, "port": PORT, "target": place, "failClosed": True}


def test_optional_goes_on(workspaces):
    place = f"127.0.0.1:{free_port()}"
    workspace = workspaces("optional", "--mediation", f"{PORT}={place}", "--mediation-optional", start=False)
    record = workspace.start()
    assert record["state"] == "running"
    assert record["mediation"]["required"] is False and record["mediation"]["failClosed"] is False
    ready = wait_until(lambda: mediation_ready(workspace).get("error"), "the reason is told")
    assert "Connection refused" in ready
    with listening(place):
        wait_until(lambda: mediation_ready(workspace)["ready"], "the target is found")
    workspace.kill()


def test_bytes_and_half_closes_both_ways(web, place):
    with listening(place):
        wait_until(lambda: mediation_ready(web)["ready"], "the target is found again", PATIENCE)
        answer = talk(web, count=2_000_000)
    assert answer["head"] == f"2000000 {answer['sent']}" and answer["same"] is True


def test_only_declared_ports_answer(web, place):
    with listening(place):
        for port in (1, 80, 1021, PORT - 1, PORT + 1, 0xfffffffe):
            assert talk(web, port=port) == {"refused": "ConnectionResetError"}, port


def test_every_connection_is_recorded(web, place):
    with listening(place):
        talk(web)
    opened = web.wait_for_record(event="mediation_open", dst=f"vsock:2:{PORT}", rule=f"--mediation {PORT}={place}")
    closed = web.wait_for_record(event="mediation_close", flow=opened["flow"])
    assert closed["end"] == "finished" and closed["bytesOut"] > 0


def test_a_target_that_goes_away_and_comes_back(web, place):
    with listening(place):
        wait_until(lambda: mediation_ready(web)["ready"], "the target is found", PATIENCE)
        assert talk(web)["same"] is True
    assert talk(web) == {"refused": "ConnectionResetError"}
    ready = mediation_ready(web)
    assert ready["ready"] is False and "Connection refused" in ready["error"] and ready["detail"] == place
    assert web.state() == "running"
    with listening(place):
        wait_until(lambda: mediation_ready(web)["ready"], "the target is found again", PATIENCE)
        assert talk(web)["same"] is True


def test_a_target_that_goes_away_unused(web, place):
    with listening(place):
        wait_until(lambda: mediation_ready(web)["ready"], "the target is found", PATIENCE)
    wait_until(lambda: not mediation_ready(web)["ready"], "its end is noticed", PATIENCE)


HOLD = """
import socket, time
held, refused = [], 0
for _ in range(140):
    s = socket.socket(socket.AF_VSOCK, socket.SOCK_STREAM)
    s.settimeout(30)
    try:
        s.connect((2, 2048))
        held.append(s)
    except ConnectionResetError:
        refused += 1
print(len(held), refused)
held.pop().close()
for _ in range(100):
    try:
        with socket.socket(socket.AF_VSOCK, socket.SOCK_STREAM) as s:
            s.connect((2, 2048))
        print("again")
        break
    except ConnectionResetError:
        time.sleep(0.1)
"""


def test_at_most_128_connections(web, place):
    with listening(place) as plane:
        wait_until(lambda: mediation_ready(web)["ready"], "the target is found", PATIENCE)
        wait_until(lambda: plane.live() == 0, "earlier connections have ended", PATIENCE)
        assert web.exec("python3", "-c", HOLD).text.split() == ["128", "12", "again"]
    denied = web.wait_for_record(event="mediation_deny")
    assert denied["reason"] == "at most 128 connections at once"


def test_a_unix_socket(workspaces, account, scratch):
    directory = account.make_directory(scratch / "plane", mode=0o755)
    place = f"unix:{directory}/sock"
    with listening(place):
        workspace = workspaces("local", "--memory", python_guest.MEMORY, "--mediation", f"{PORT}={place}")
        answer = talk(workspace, count=100_000)
    assert answer["head"] == f"100000 {answer['sent']}"
    workspace.kill()


MESSAGES = """
import socket
with socket.socket(socket.AF_VSOCK, socket.SOCK_SEQPACKET) as s:
    s.connect((2, 2048))
    for size in (1, 5000, 100000):
        s.send(bytes(size))
        print(len(s.recv(200000)))
with socket.socket(socket.AF_VSOCK, socket.SOCK_STREAM) as s:
    try:
        s.connect((2, 2048))
    except ConnectionResetError:
        print("no stream")
"""


def test_messages_stay_apart(workspaces, account, scratch):
    """A socket that keeps messages apart, on both sides."""
    place = account.make_directory(scratch / "packets", mode=0o755) / "sock"
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listener:
        listener.bind(str(place))
        place.chmod(0o777)
        listener.listen(16)
        workspace = workspaces("packets", "--memory", python_guest.MEMORY, "--mediation", f"{PORT}=unix:{place}")

        def echo():
            while True:
                connection, _ = listener.accept()
                with connection:
                    while message := connection.recv(200000):
                        connection.send(message)

        threading.Thread(target=echo, daemon=True).start()
        assert workspace.exec("python3", "-c", MESSAGES).text.split("\n") == ["1", "5000", "100000", "no stream", ""]
    workspace.kill()


def test_declarations_that_cannot_be(fresh):
    for flags, words in ((["--mediation", "1020=127.0.0.1:9900"], "microagent's own services"),
                         (["--mediation", "1021=127.0.0.1:9900"], "microagent's own services"),
                         (["--mediation", "0=127.0.0.1:9900"], "not a vsock port"),
                         (["--mediation", "2048"], 'has no "="'),
                         (["--mediation", "2048="], "the target is empty"),
                         (["--mediation", "2048=9900"], "has no port"),
                         (["--mediation", "2048=unix:relative"], "not absolute"),
                         (["--mediation-optional"], "there is no mediation channel")):
        assert words in fresh.refuses("create", "web", *flags)["message"]
    assert fresh.json("list")["workspaces"] == []


@pytest.mark.parametrize("host", ["localhost", "one.test"])
def test_a_target_may_be_a_name(workspaces, host):
    """By the host's file of names, and by its resolver."""
    with listening(f"127.0.0.1:{free_port()}") as plane:
        port = plane.place.rpartition(":")[2] if host == "localhost" else net.TCP_ECHO
        workspace = workspaces(f"named-{host.partition('.')[0]}", "--network", "isolated", "--mediation",
                               f"{PORT}={host}:{port}")
        assert mediation_ready(workspace)["ready"]
        workspace.kill()


def test_a_target_s_name_may_be_nobody_s(workspaces, microagent):
    workspaces("nameless", "--network", "isolated", "--mediation", f"{PORT}=nobody.test:80", start=False)
    error = microagent.refuses("start", "nameless", code=EXIT_RETRY)
    assert "nobody.test" in error["message"] and "its name is not resolved" in error["message"]
