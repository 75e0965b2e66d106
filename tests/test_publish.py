"""Published ports: what a client on the host gets from a service in the guest."""

import hashlib
import socket
import threading

import pytest

from harness import world as net
from harness.clients import (ask, ask_datagram, ask_when_served, connect, digest_of_rest, get, is_free, read_all,
                             sending)
from harness.internet import body
from harness.wait import wait_until

MIB = 1 << 20
LARGE = 64 * MIB
ANYWHERE, LOOPBACK = 9001, 9002  # echo services bound to 0.0.0.0, and to the guest's own 127.0.0.1
DIGEST, HALF, UDP, NOBODY, RANGE = 9003, 9006, 9053, 9999, range(9100, 9103)

ENTRYPOINT = f"""
mkdir -p /tmp/www && echo hello from the guest >/tmp/www/index.html
httpd -p 80 -h /tmp/www
nc -ll -p {DIGEST} -e sha256sum &
for port in $(seq {RANGE.start} {RANGE.stop - 1}); do nc -ll -p $port -e sh -c "cat; echo port $port" & done
wait
"""


@pytest.fixture(scope="module")
def web(workspaces, build):
    workspace = workspaces(
        "web", "--entrypoint", ENTRYPOINT, "--publish", "0:80", "--publish", f"0:{ANYWHERE}", "--publish",
        f"0:{LOOPBACK}", "--publish", f"0:{DIGEST}", "--publish", f"0:{UDP}/udp", "--publish", f"0:{NOBODY}",
        "--publish", f"0:{HALF}", "--publish", "[::1]:18080:80", "--publish",
        f"18100-18102:{RANGE.start}-{RANGE.stop - 1}")
    workspace.install(build / "bench" / "netpipe", "/tmp/netpipe")
    workspace.background("/tmp/netpipe", "serve", "0.0.0.0", str(ANYWHERE))
    workspace.background("/tmp/netpipe", "serve", "127.0.0.1", str(LOOPBACK))
    workspace.background("/tmp/netpipe", "serve", "0.0.0.0", str(UDP))
    for port in (80, ANYWHERE, LOOPBACK, DIGEST, *RANGE):
        workspace.wait_for_listener(port)
    workspace.wait_for_listener(UDP, "udp")
    return workspace


@pytest.fixture(scope="module")
def ports(web):
    """The host's port behind each of the guest's."""
    return {(forward["protocol"], forward["guestPort"]): forward["hostPort"]
            for forward in web.network()["runtime"]["portForwards"] if forward["host"] == "127.0.0.1"}


def test_a_page(web, ports):
    assert get(ports["tcp", 80], "/") == b"hello from the guest\n"


def test_port_0_is_a_free_one_that_is_told(web, ports):
    declared = web.network()["network"]["portForwards"]
    assert declared[0] == {"protocol": "tcp", "host": "127.0.0.1", "hostPort": 0, "guestPort": 80}
    assert len(set(ports.values())) == len(ports) and all(port >= 1024 for port in ports.values())
    text = web.microagent.run("network", "web").text
    assert f"127.0.0.1:{ports['tcp', 80]}:80/tcp" in text
    assert web.status()["network"]["runtime"] == web.network()["runtime"]


def test_the_default_host_is_loopback_alone(web, ports, world):
    with pytest.raises(ConnectionRefusedError):
        connect(ports["tcp", 80], net.HOST)


def test_ipv6(web):
    assert get(18080, "/", "::1") == b"hello from the guest\n"
    with pytest.raises(ConnectionRefusedError):
        connect(18080, "127.0.0.1")


@pytest.mark.parametrize("index", range(3))
def test_a_range(web, index):
    assert ask_when_served(18100 + index, b"to the range\n") == f"to the range\nport {9100 + index}\n".encode()


@pytest.mark.parametrize("port", [ANYWHERE, LOOPBACK], ids=["0.0.0.0", "127.0.0.1"])
def test_a_service_on(web, ports, port):
    assert ask(ports["tcp", port], b"ehello") == b"hello"


def test_the_guest_sees_the_gateway(web, ports):
    with connect(ports["tcp", ANYWHERE]) as connection:
        connection.sendall(b"ehello")
        assert connection.recv(5) == b"hello"
        peers = web.shell(f"netstat -tn | grep ':{ANYWHERE} '")
    assert "192.168.64.1:" in peers, peers


def test_udp(web, ports):
    port = ports["udp", UDP]
    assert ask_datagram(port, b"a datagram") == b"a datagram"
    assert ask_datagram(port, b"x" * 1400) == b"x" * 1400
    assert ask_datagram(port, b"y" * 9000) == b"y" * 9000, "datagrams beyond the MTU travel in fragments"


def test_udp_clients_are_told_apart(web, ports):
    clients = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(10)]
    for client in clients:
        client.connect(("127.0.0.1", ports["udp", UDP]))
        client.settimeout(10)
    for number, client in enumerate(clients):
        client.send(f"client {number}".encode())
    assert [client.recv(100) for client in clients] == [f"client {number}".encode() for number in range(10)]
    for client in clients:
        client.close()


def test_ten_clients_at_once(web, ports):
    data = body(MIB)
    answers, failures = [], []

    def work(number):
        try:
            with connect(ports["tcp", ANYWHERE]) as connection:
                mine = f"{number:02}".encode() + data
                with sending(connection, b"e" + mine):
                    answers.append(read_all(connection) == mine)
        except Exception as failure:  # pylint: disable=broad-except
            failures.append(failure)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    assert not failures and answers == [True] * 10, (failures, answers)


def test_a_large_body_into_the_guest(web, ports):
    data = body(LARGE)
    with connect(ports["tcp", DIGEST]) as connection, sending(connection, data):
        assert read_all(connection).split()[0].decode() == hashlib.sha256(data).hexdigest()


def test_a_large_body_out_of_the_guest(web, ports):
    web.shell(f"head -c {LARGE} /dev/urandom >/tmp/www/large")
    wanted = web.shell("sha256sum /tmp/www/large", timeout=120).split()[0]
    with connect(ports["tcp", 80]) as connection:
        connection.sendall(b"GET /large HTTP/1.0\r\n\r\n")
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            head += connection.recv(1)
        assert digest_of_rest(connection) == (LARGE, wanted)
    web.shell("rm /tmp/www/large")


def test_the_client_closes_its_half_first(web, ports):
    """The service answers only what is complete, after the client's end."""
    assert ask(ports["tcp", DIGEST], b"hello").split()[0].decode() == hashlib.sha256(b"hello").hexdigest()


def test_the_service_closes_its_half_first(web, ports):
    """The client hears the end, and is still heard."""
    web.shell(f"echo first >/tmp/first; (nc -l -p {HALF} </tmp/first >/tmp/heard) >/dev/null 2>&1 &")
    web.wait_for_listener(HALF)
    with connect(ports["tcp", HALF]) as connection:
        assert read_all(connection) == b"first\n"
        connection.sendall(b"after the end\n")
    wait_until(lambda: web.shell("cat /tmp/heard") == "after the end\n", "the guest hears what came after its end")


def test_nobody_listens(web, ports):
    """The host's socket accepts the connection before the guest is asked; it is reset as soon as that says no."""
    with pytest.raises(ConnectionResetError):  # perhaps before connect() has looked
        with connect(ports["tcp", NOBODY]) as connection:
            connection.settimeout(10)
            assert connection.recv(1) != b"", "an end is no refusal"


def test_a_client_that_resets(web, ports):
    """It takes its own connection along, and nothing else."""
    with connect(ports["tcp", ANYWHERE]) as connection:
        connection.sendall(b"ehello")
        assert connection.recv(5) == b"hello"
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    wait_until(lambda: "ESTABLISHED" not in web.shell(f"netstat -tn | grep ':{ANYWHERE} ' || true"),
               "the guest's side is gone")
    assert ask(ports["tcp", ANYWHERE], b"ehello") == b"hello"


def test_a_client_that_does_not_read(web, ports):
    """It fills its own connection; others go on."""
    with connect(ports["tcp", ANYWHERE]) as greedy:
        greedy.sendall(b"s")
        wait_until(lambda: len(greedy.recv(1 << 16, socket.MSG_PEEK)) > 1000, "the source flows")
        assert ask(ports["tcp", ANYWHERE], b"ehello") == b"hello"
        assert get(ports["tcp", 80], "/") == b"hello from the guest\n"


def test_two_hundred_connections_one_after_the_other(web, ports):
    for number in range(200):
        message = f"{number}".encode()
        assert ask(ports["tcp", ANYWHERE], b"e" + message) == message


def test_ports_are_free_after_stop(workspaces):
    workspace = workspaces("brief", "--publish", "18200:80", "--publish", "18200:53/udp")
    assert not is_free(18200) and not is_free(18200, socket.SOCK_DGRAM)
    workspace.stop()
    assert is_free(18200) and is_free(18200, socket.SOCK_DGRAM)
