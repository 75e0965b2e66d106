"""Where the host is dual stack so is the guest: a unique local address on its wire, the host's own beyond it."""

import hashlib
import json
import socket
import subprocess

import pytest

from harness import world as net
from harness.internet import body
from harness.wait import wait_until

MIB = 1 << 20
PUBLISHED, TO_IPV6 = 18660, 18661  # of the host; the second leads to what listens by IPv6 alone
SERVICE = 8081
GUEST, GATEWAY = "fd5c:8e1a:94d7::2", "fd5c:8e1a:94d7::1"


@pytest.fixture(scope="module")
def guest(world, workspaces, build):
    services = [f"{host}:{TO_IPV6}:{SERVICE}{kind}" for host in ("[::1]", "127.0.0.1") for kind in ("", "/udp")]
    publish = [word for service in services for word in ("--publish", service)]
    workspace = workspaces("guest", "--publish", f"[::1]:{PUBLISHED}:8080", *publish)
    workspace.install(build / "bench" / "netpipe", "/tmp/netpipe")
    return workspace


def test_the_guests_address(guest):
    addresses = guest.shell("ip -6 address show dev eth0")
    assert f"{GUEST}/64" in addresses and "tentative" not in addresses, addresses
    assert f"default via {GATEWAY} dev eth0" in guest.shell("ip -6 route")
    routes = guest.network()["runtime"]["routes"]
    assert not any(":" in route for route in routes), "routes are declared, and told, for IPv4"


def test_tcp(guest):
    assert guest.shell(f"wget -q -O - http://[{net.SERVER6}]/").strip() == "hello from the internet"
    close = guest.wait_for_record(event="egress_close", dst=f"[{net.SERVER6}]:80")
    assert close["bytesOut"] > 0 and close["end"] == "finished"


def test_the_server_sees_the_host(guest):
    assert guest.shell(f"wget -q -O - http://[{net.SERVER6}]/peer").strip() == net.HOST6


def test_a_large_body_down(guest):
    wanted = hashlib.sha256(body(8 * MIB)).hexdigest()
    assert guest.shell(f"wget -q -O - http://[{net.SERVER6}]/bytes/{8 * MIB} | sha256sum").split()[0] == wanted


def test_a_large_body_up(guest):
    guest.shell(f"wget -q -O /tmp/body http://[{net.SERVER6}]/bytes/{8 * MIB}")
    answer = guest.shell(f"nc {net.SERVER6} {net.DIGEST_PORT} </tmp/body; rm /tmp/body").split()
    assert answer == [str(8 * MIB), hashlib.sha256(body(8 * MIB)).hexdigest()]


def test_a_name_with_an_ipv6_address_alone(guest):
    assert net.SERVER6 in guest.shell("nslookup -type=aaaa six.example")
    assert guest.shell("wget -q -O - http://six.example/").strip() == "hello from the internet"


def test_udp(guest):
    assert '"count": 20' in guest.shell(f"/tmp/netpipe ping-udp {net.SERVER6} {net.UDP_ECHO} 20")


def test_refusals_are_told(guest):
    outcome = guest.exec("nc", net.SERVER6, str(net.CLOSED_PORT), code=1, timeout=20)
    assert "refused" in outcome.err_text.lower(), outcome
    outcome = guest.exec("/tmp/netpipe", "ping-udp", net.SERVER6, str(net.CLOSED_PORT), "1", code=1, timeout=20)
    assert "refused" in outcome.err_text.lower(), outcome


@pytest.mark.parametrize("address", [net.HOST6, GATEWAY, "fd00::1", "::ffff:10.0.0.1", "64:ff9b::a00:1"])
def test_the_inside_is_denied_at_once(guest, address):
    outcome = guest.exec("nc", address, "81", code=1, timeout=20)
    said = outcome.err_text.lower()
    assert any(word in said for word in ("refused", "unreachable", "no route")), outcome


def test_ping(guest):
    answer = guest.shell(f"ping -6 -c 3 -i 0.2 -W 5 {net.SERVER6}")
    assert "3 packets received" in answer, answer
    assert "1 packets received" in guest.shell(f"ping -6 -c 1 -W 5 {GATEWAY}")


def test_traceroute(guest):
    """The gateway is the first hop; the server says by an ICMPv6 error that it is the last."""
    hops = guest.shell(f"traceroute6 -n -q 1 -w 3 -m 5 {net.SERVER6}").splitlines()[1:]
    assert GATEWAY in hops[0] and net.SERVER6 in hops[-1] and len(hops) == 2, hops


def test_a_published_port(guest):
    guest.shell("mkdir -p /tmp/www && echo from the guest >/tmp/www/page")
    guest.background("httpd", "-f", "-p", "8080", "-h", "/tmp/www")

    def answer():
        try:
            with socket.create_connection(("::1", PUBLISHED), timeout=10) as connection:
                connection.sendall(b"GET /page HTTP/1.0\r\n\r\n")
                return b"from the guest" in b"".join(iter(lambda: connection.recv(4096), b""))
        except ConnectionResetError:  # the guest's server is not up yet
            return False

    wait_until(answer, "the guest serves its page")


@pytest.fixture(scope="module")
def service(guest):
    """What listens at the guest's own IPv6 address, and nowhere else."""
    guest.background("/tmp/netpipe", "serve", GUEST, str(SERVICE))
    guest.shell(f"until grep -q ':{SERVICE:04X} ' /proc/net/tcp6; do usleep 20000; done")
    listening = guest.shell("cat /proc/net/tcp /proc/net/udp")
    assert f":{SERVICE:04X} " not in listening, listening


@pytest.mark.parametrize("host", ["::1", "127.0.0.1"])
@pytest.mark.parametrize("mode", ["ping", "ping-udp"])
def test_a_service_that_speaks_ipv6_alone_is_published(service, build, host, mode):
    """To clients of either family."""
    words = [build / "bench" / "netpipe", mode, host, TO_IPV6, 20]
    done = subprocess.run(list(map(str, words)), capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0 and json.loads(done.stdout)["count"] == 20, done
