"""netd by itself, on a tap: what it costs at rest, with very many flows, and when the wire is bad."""

import contextlib
import hashlib
import os
import resource
import signal
import socket
import subprocess
import threading
import time

import pytest

from harness import mediated, tap
from harness.internet import body
from harness.wait import wait_until

MIB = 1 << 20
FLOWS, PORT = 16_384, 7000
SHORT_FLOWS, CLIENTS = 100_000, 10
TRANSFER = int(os.environ.get("MICROAGENT_TEST_TRANSFER_MIB", "64")) * MIB

# Opens so many connections, says so, and holds them until its input ends.
OPEN_MANY = """
import resource, socket, sys
most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
host, port, count = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
held = []
for _ in range(count):
    held.append(socket.create_connection((host, port), timeout=20))
print("open", flush=True)
sys.stdin.read()
"""


@pytest.fixture(scope="module")
def host(alone):
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    if most < FLOWS + 1000:
        pytest.skip(f"a process may have {most} descriptors here, which is fewer than {FLOWS} flows need")
    tap.prepare_host()


@pytest.fixture
def guest(host, build):
    made = tap.TapGuest(build)
    yield made
    made.close()


@pytest.fixture
def netpipe(build):
    server, client = subprocess.Popen([build / "bench" / "netecho", tap.SERVER, "9100"]), build / "bench" / "netpipe"
    wait_for_answer(client, tap.SERVER, 9100)
    yield client
    server.kill()
    server.wait()


def test_at_rest(guest):
    """Little memory, and asleep."""
    guest.run("ping", "-c", "1", "-W", "5", tap.SERVER)
    assert guest.resident() < 6 * MIB, guest.resident()
    time.sleep(1)  # what the ping and the guest's own start left to do
    before, span = guest.wake_ups(), 4
    time.sleep(span)  # a measure of time, not a wait for something
    assert (guest.wake_ups() - before) / span < 1


def open_many(guest, count):
    client = guest.client(OPEN_MANY, tap.SERVER, PORT, count)
    assert client.stdout.readline() == "open\n"
    return client


def test_a_flow_costs_a_kibibyte(guest):
    """16,384 of them, as many as there may be; the next one is refused, and the end of one makes room."""
    holder = tap.Holder(PORT)
    warm = open_many(guest, 200)
    before = guest.private()
    client = open_many(guest, FLOWS - 200)
    each = (guest.private() - before) / (FLOWS - 200)
    assert each <= 1024, f"{each:.0f} bytes"
    more = guest.client(OPEN_MANY, tap.SERVER, PORT, 1, stderr=subprocess.PIPE)
    assert "refused" in more.communicate(timeout=30)[1].lower()
    assert guest.netd.poll() is None
    warm.communicate()
    for connection in holder.held[:200]:
        connection.close()
    wait_until(lambda: guest.client(OPEN_MANY, tap.SERVER, PORT, 1, stderr=subprocess.DEVNULL)
               .communicate(timeout=30)[0] == "open\n", "there is room again")
    client.communicate()
    holder.close()


def test_short_flows_leave_nothing_behind(guest, netpipe):
    def connect(count):
        words = guest.inside(netpipe, "connect", tap.SERVER, "9100", count // CLIENTS)
        clients = [subprocess.Popen(words, stdout=subprocess.DEVNULL) for _ in range(CLIENTS)]
        assert [client.wait(300) for client in clients] == [0] * CLIENTS

    connect(10_000)  # TIME_WAIT of ours has its bound, and must be full
    before = guest.private()
    connect(SHORT_FLOWS)
    assert guest.private() - before < MIB / 2, (before, guest.private())


@contextlib.contextmanager
def serving(words):
    server = subprocess.Popen(list(map(str, words)), start_new_session=True)
    try:
        yield
    finally:
        os.killpg(server.pid, signal.SIGKILL)  # with its children
        server.wait()


def wait_for_answer(netpipe, host, port):
    words = list(map(str, (netpipe, "ping", host, port, 5)))
    wait_until(lambda: subprocess.run(words, check=False, capture_output=True).returncode == 0, f"{host} answers", 20)


@pytest.mark.parametrize("server", [tap.SERVER, tap.SERVER6])
def test_both_families(guest, build, server):
    netpipe = build / "bench" / "netpipe"
    with serving([netpipe, "serve", server, "9200"]):
        wait_for_answer(netpipe, server, 9200)
        for mode in ("ping", "ping-udp", "connect"):
            guest.run(netpipe, mode, server, "9200", "5")
    guest.run("ping", "-c", "1", "-W", "5", server)
    closed = subprocess.run(guest.inside(netpipe, "ping", server, "9201", "1"), check=False, capture_output=True,
                            text=True, timeout=20)
    assert "refused" in closed.stderr.lower(), closed


# Sends a datagram, and when it is answered many by one system call, as QUIC's senders do (udp(7), UDP_SEGMENT).
SEND_SEGMENTS = """
import socket, sys
def sent():  # packets, by the tenth of the device's numbers
    return next(int(line.split()[10]) for line in open("/proc/net/dev") if "tap0:" in line)
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.settimeout(20)
s.connect((sys.argv[1], int(sys.argv[2])))
s.send(b"first")
s.recv(100)
s.setsockopt(socket.IPPROTO_UDP, 103, int(sys.argv[3]))
before = sent()
s.send(bytes(range(250)) * int(sys.argv[4]))
s.recv(100)  # they have come: a tap counts a frame when it is read
print(sent() - before)
"""


def test_datagrams_that_go_as_one_frame(guest):
    """They arrive one by one; the frame is one where the kernel has such frames (Linux 6.2)."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind((tap.SERVER, 9500))
        server.settimeout(20)
        client = guest.client(SEND_SEGMENTS, tap.SERVER, 9500, 700, 56)
        data, peer = server.recvfrom(2000)
        server.sendto(data, peer)
        pieces = [server.recv(2000) for _ in range(20)]
        server.sendto(data, peer)
        assert b"".join(pieces) == bytes(range(250)) * 56 and {len(piece) for piece in pieces} == {700}
        frames = int(client.communicate(timeout=20)[0])
    release = tuple(map(int, os.uname().release.split(".")[:2]))
    assert frames == (1 if release >= (6, 2) else 20)


@pytest.mark.parametrize("host, listener", [(tap.SERVER, tap.GUEST), (tap.SERVER, tap.GUEST6),
                                            (tap.SERVER6, tap.GUEST6), (tap.SERVER6, tap.GUEST)])
def test_a_published_port_leads_to_either_family(host, listener, build, alone):
    tap.prepare_host()
    name = f"[{host}]" if ":" in host else host
    guest, netpipe = tap.TapGuest(build, publish=[f"{name}:9300:80"]), build / "bench" / "netpipe"
    try:
        with serving(guest.inside(netpipe, "serve", listener, "80")):
            wait_for_answer(netpipe, host, 9300)
    finally:
        guest.close()


@pytest.mark.parametrize("words, told", [
    ("--guest6 fd00::2/64", "--guest6 and --gateway6 need each other"),
    ("--gateway6 fd00::1", "--guest6 and --gateway6 need each other"),
    ("--guest6 fd00::2/129 --gateway6 fd00::1", "--guest6 fd00::2/129"),
    ("--guest6 fd00::2 --gateway6 fd00::1", "--guest6 fd00::2:"),
    ("--guest6 fd00::2/64 --gateway6 192.0.2.1", "--gateway6 192.0.2.1"),
    ("--guest6 fd00::2/64 --gateway6 fd00::1 --mtu 1000", "--mtu 1000"),
    ("--publish [::1:80:80", "--publish [::1:80:80"),
    ("--publish [192.0.2.1]:80:80", "--publish [192.0.2.1]:80:80"),
])
def test_wrong_flags_are_refused(build, words, told):
    done = subprocess.run([build / "bin" / "microagent-netd", "--tap", "0", *words.split()], capture_output=True,
                          text=True, check=False, timeout=20)
    assert done.returncode == 2 and told in done.stderr, done


def test_with_the_mediator_in_its_path(host, build, netpipe, scratch):
    """What the policy allows passes, what it does not is refused, and each is on record."""
    egress = {"mode": "broker", "allow": [{"cidr": "198.51.100.0/24", "ports": ["9100"]}]}
    guest = mediated.MediatedGuest(build, scratch, egress, publish=[((tap.SERVER, 9301), 80)])
    try:
        guest.run(netpipe, "connect", tap.SERVER, "9100", "20")
        refused = subprocess.run(guest.inside(netpipe, "ping", tap.SERVER, "9101", "1"), check=False, timeout=20,
                                 capture_output=True, text=True)
        assert "refused" in refused.stderr.lower(), refused
        with serving(guest.inside(netpipe, "serve", "0.0.0.0", "80")):
            wait_for_answer(netpipe, tap.SERVER, 9301)
        guest.wait_for_records(20, event="egress_close", dst=f"{tap.SERVER}:9100", end="finished")
        guest.wait_for_records(1, event="egress_internal_deny", dst=f"{tap.SERVER}:9101")
    finally:
        guest.close()


def lose(guest):
    """5 % each way, in no pattern: after the guest's TCP has sent it, or before it hears it. (With repetitions and out
    of order: test_netd_netem.py and netstack/tcp_loss_test.cc.)"""
    rules = """
        table inet bad {
          chain out { type filter hook postrouting priority 0; ip daddr %s numgen random mod 100 < 5 drop; }
          chain in { type filter hook prerouting priority -400; ip saddr %s numgen random mod 100 < 5 drop; }
        }""" % (tap.SERVER, tap.SERVER)
    done = subprocess.run(guest.inside("nft", "-f", "-"), input=rules, text=True, capture_output=True, check=False)
    if done.returncode != 0:
        pytest.skip(f"this kernel has no nftables: {done.stderr.strip()}")


@pytest.mark.parametrize("direction", ["up", "down"])
def test_a_bad_wire_loses_nothing(guest, direction):
    """MICROAGENT_TEST_TRANSFER_MIB, checksummed, with 5 % loss."""
    lose(guest)
    data = body(MIB) * (TRANSFER // MIB)
    wanted = hashlib.sha256(data).hexdigest()
    send = ("import socket, sys, hashlib\n"
            "s = socket.create_connection((sys.argv[1], int(sys.argv[2])))\n")
    heard = []
    listener = socket.create_server((tap.SERVER, PORT + 1))

    def serve():
        connection, _ = listener.accept()
        with connection:
            if direction == "down":
                connection.sendall(data)
                return
            digest = hashlib.sha256()
            while piece := connection.recv(1 << 18):
                digest.update(piece)
            heard.append(digest.hexdigest())

    server = threading.Thread(target=serve)
    server.start()
    if direction == "up":
        script = send + "for piece in iter(lambda: sys.stdin.buffer.read(1 << 18), b''): s.sendall(piece)\n"
        subprocess.run(guest.inside("python3", "-c", script, tap.SERVER, PORT + 1), input=data, check=True, timeout=600)
    else:
        script = send + ("d = hashlib.sha256()\n"
                         "while piece := s.recv(1 << 18): d.update(piece)\n"
                         "print(d.hexdigest())\n")
        client = subprocess.run(guest.inside("python3", "-c", script, tap.SERVER, PORT + 1), check=True, timeout=600,
                                capture_output=True)
        heard.append(client.stdout.decode().strip())
    server.join(60)
    listener.close()
    assert heard == [wanted]
