"""Mode off: everything is reached but the host's loopback, and all of it is recorded."""

import socket

import dns.message
import dns.rcode
import pytest

from harness import python_guest
from harness import world as net
from harness.probing import Probe

SHARED, ELSEWHERE = net.OTHER_SERVERS
AT_ONCE = 2.0  # seconds, as in test_egress.py
INSIDE = "10.9.8.7"


@pytest.fixture(scope="module")
def inside(world):
    """A private address that the internet has for as long as this module runs."""
    net.run(*world.inside("ip", "address", "add", f"{INSIDE}/32", "dev", "lo"))
    yield INSIDE
    net.run(*world.inside("ip", "address", "del", f"{INSIDE}/32", "dev", "lo"))


@pytest.fixture(scope="module")
def guest(world, prefix, microagent, workspaces):
    python_guest.install(prefix, microagent)
    return workspaces("open", "--memory", python_guest.MEMORY, "--egress", "off", warnings=1)


@pytest.fixture(scope="module")
def probe(guest):
    made = Probe(guest)
    yield made
    made.end()


def test_one_warning_says_so(guest):
    """At `create`; Workspace.start() has seen that there is no other."""
    assert guest.warnings[0].startswith("microagent: warning: egress mode off: "), guest.warnings


def test_what_is_inside_is_reached_and_recorded(guest, probe, inside):
    assert probe.say(inside, net.TCP_ECHO, b"inside\n", end=True) == (b"inside\n", None)
    opened = guest.wait_for_record(event="egress_allow", dst=f"{inside}:{net.TCP_ECHO}")
    assert opened["rule"] == "mode off: nothing is judged"
    closed = guest.wait_for_record(event="egress_close", flow=opened["flow"])
    assert closed["bytesOut"] == closed["bytesIn"] == len("inside\n")


def test_the_host_s_own_address_is_reached(guest, probe):
    with socket.create_server((net.HOST, 0)) as server:
        port = server.getsockname()[1]
        connection = probe.opened(net.HOST, port)
        server.settimeout(20)
        accepted, _ = server.accept()
        with accepted:
            accepted.sendall(b"from the host")
            assert bytes.fromhex(probe.receive(id=connection)["data"]) == b"from the host"
        probe.close(id=connection)
    guest.wait_for_record(event="egress_allow", dst=f"{net.HOST}:{port}")


def test_the_host_s_loopback_is_not(guest, probe):
    """Whatever stands for it: a guest's 127.0.0.1 is the guest, and its gateway is nobody but the gateway."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        server.settimeout(0)
        for address in ("127.0.0.1", "127.9.9.9", "192.168.64.1", "0.0.0.0", "0.0.0.1"):
            assert probe.connect(host=address, port=port, timeout=20)["error"] is not None, address
        with pytest.raises(BlockingIOError):
            server.accept()
    denied = guest.wait_for_record(event="egress_internal_deny", dst=f"0.0.0.1:{port}")
    assert denied["rule"] == "mode off: the host's loopback is never reached"


def test_a_name_that_somebody_else_has_is_no_matter(guest, probe):
    """No look at what is said, but for the record."""
    hello = bytes.fromhex(probe.hello(name="nobody.test")["data"])
    assert probe.say(SHARED, net.TLS_ECHO, hello) == (hello, None)
    request = b"GET / HTTP/1.1\r\nHost: a.test\r\nHost: b.test\r\nConnection: close\r\n\r\n"
    assert b"microagent" not in probe.page(SHARED, 80, request)


def test_quic_is_let_through(guest, probe):
    """Nobody listens: it is the server that says so."""
    connection = probe.opened(ELSEWHERE, 443, protocol="udp")
    probe.send(id=connection, data=b"x".hex() * 1200)
    answer = probe.receive(id=connection)
    assert answer["error"] == "ECONNREFUSED" and answer["seconds"] < AT_ONCE, answer
    probe.close(id=connection)
    record = guest.wait_for_record(event="egress_udp_allow", dst=f"{ELSEWHERE}:443")
    assert "signal" not in record and "wouldDeny" not in record


def test_what_the_upstream_says_is_heard(probe):
    for host, port, error in ((net.SERVER, net.CLOSED_PORT, "ECONNREFUSED"), (net.UNREACHABLE, 80, "EHOSTUNREACH")):
        answer = probe.connect(host=host, port=port)
        assert answer["error"] == error and answer["seconds"] < AT_ONCE, answer


@pytest.mark.parametrize("tcp", [False, True], ids=["udp", "tcp"])
def test_another_resolver_is_asked_untouched(guest, probe, tcp):
    """unbound itself answers: it alone has a word for version.bind, and its answers are nobody's cache."""
    question = dns.message.make_query("version.bind", "TXT", "CH")
    assert probe.ask(question, tcp=tcp).rcode() != dns.rcode.NOERROR, "ours has none"
    told = probe.ask(question, host=net.RESOLVER, tcp=tcp)
    assert told.rcode() == dns.rcode.NOERROR and "unbound" in str(told.answer[0]), told
    event = "egress_allow" if tcp else "egress_udp_allow"
    guest.wait_for_record(event=event, dst=f"{net.RESOLVER}:53")
    assert not [record for record in guest.egress() if record.get("signal") == "foreign-resolver"]
    assert not [record for record in guest.egress() if record["event"] == "egress_dns_allow"
                and record["qname"] == "version.bind"]


def test_our_own_resolver_still_answers(guest, probe):
    assert probe.resolve(host="private.test", port=80)["addresses"] == [INSIDE]
    assert guest.wait_for_record(event="egress_dns_allow", qname="private.test")


def test_nothing_else_was_denied(guest):
    """What goes nowhere in every mode, and it alone."""
    denied = [record for record in guest.egress() if record["event"].endswith("_deny")]
    assert {record["rule"] for record in denied} <= {"mode off: the host's loopback is never reached"}, denied
