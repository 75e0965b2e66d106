"""What becomes of a connection, as the guest's own kernel tells it: by address, by the name that the guest gives, and
by what the upstream says; every refusal at once, and with its reason."""

import json

import pytest

from harness import python_guest
from harness import world as net
from harness.cli import EXIT_FAILURE
from harness.probing import Probe

SHARED, ELSEWHERE = net.OTHER_SERVERS  # of one.test, two.test and www.denied.test; of elsewhere.test
AT_ONCE = 2.0  # seconds: the guest is emulated, and shares two processors with all that these tests start
GATEWAY = "192.168.64.1"


@pytest.fixture(scope="module")
def guest(world, prefix, microagent, workspaces):
    python_guest.install(prefix, microagent)
    return workspaces("agent", "--memory", python_guest.MEMORY, "--egress-deny", ".denied.test:1-65535",
                      "--egress-allow", "10.9.8.0/24:99")


@pytest.fixture(scope="module")
def probe(guest):
    made = Probe(guest)
    for name in ("one.test", "two.test", "www.denied.test", "elsewhere.test"):
        assert made.resolve(host=name, port=80)["error"] is None, name
    yield made
    made.end()


def hello(probe, name):
    return bytes.fromhex(probe.hello(name=name)["data"])


def in_records(data, size):
    """The same handshake message in records of `size` bytes."""
    head, body = data[:3], data[5:]
    parts = [body[at:at + size] for at in range(0, len(body), size)]
    return b"".join(head + len(part).to_bytes(2, "big") + part for part in parts)


# What the upstream says.

def test_a_closed_port_is_refused(probe):
    answer = probe.connect(host=net.SERVER, port=net.CLOSED_PORT)
    assert answer["error"] == "ECONNREFUSED" and answer["seconds"] < AT_ONCE


def test_an_unreachable_host_is_unreachable(probe):
    answer = probe.connect(host=net.UNREACHABLE, port=80)
    assert answer["error"] == "EHOSTUNREACH" and answer["seconds"] < AT_ONCE


def test_a_silent_host_is_given_up_after_ten_seconds(probe):
    answer = probe.connect(host=net.BLACKHOLE, port=81, timeout=40)
    assert answer["error"] == "EHOSTUNREACH" and 9 < answer["seconds"] < 15


# The inside.

INSIDE = {"private, 10/8": "10.0.0.1", "private, 172.16/12": "172.31.0.1", "private, 192.168/16": "192.168.1.1",
          "CGNAT": "100.64.0.1", "metadata": "169.254.169.254", "protocols": "192.0.0.9", "benchmarks": "198.18.0.1",
          "this network": "0.1.2.3", "reserved": "240.0.0.1", "the host": net.HOST}


@pytest.mark.parametrize("address", INSIDE.values(), ids=INSIDE.keys())
def test_the_inside_is_refused_at_once(guest, probe, address):
    answer = probe.connect(host=address, port=8080)
    assert answer["error"] == "ECONNREFUSED" and answer["seconds"] < AT_ONCE
    record = guest.wait_for_record(event="egress_internal_deny", dst=f"{address}:8080")
    assert record["reason"] == "inside" and record["rule"]


@pytest.mark.parametrize("address", ["0.1.2.3", "255.255.255.254"])
def test_datagrams_to_nets_that_are_none_are_refused_at_once(guest, probe, address):
    connection = probe.opened(address, 5000, protocol="udp")
    probe.send(id=connection, data=b"x".hex())
    answer = probe.receive(id=connection)
    assert answer["error"] == "EHOSTUNREACH" and answer["seconds"] < AT_ONCE, answer
    probe.close(id=connection)
    guest.wait_for_record(event="egress_udp_internal_deny", dst=f"{address}:5000", reason="inside")


def test_there_are_no_neighbours(guest, probe):
    """No flow begins: on its own net the guest asks for a neighbour, and nobody answers."""
    assert probe.connect(host="192.168.64.77", port=8080, timeout=10)["error"] == "EHOSTUNREACH"
    assert not [record for record in guest.egress() if record.get("dst") == "192.168.64.77:8080"]


def test_a_new_address_of_the_host_is_inside_at_once(guest, probe):
    address = "198.51.100.77"
    net.run("ip", "address", "add", f"{address}/32", "dev", "wan")
    try:
        answer = probe.connect(host=address, port=8081)
        assert answer["error"] == "ECONNREFUSED" and answer["seconds"] < AT_ONCE
        record = guest.wait_for_record(dst=f"{address}:8081")
        assert record["event"] == "egress_internal_deny" and "address of the host" in record["rule"]
    finally:
        net.run("ip", "address", "del", f"{address}/32", "dev", "wan")
    # It is nobody's now: the decision is another, and the connection is dialled.
    probe.connect(host=address, port=8082, timeout=3)
    assert not [record for record in guest.egress() if record.get("dst") == f"{address}:8082"
                and record["event"] == "egress_internal_deny"]


def test_an_allowed_port_of_the_inside_is_no_other(guest, probe):
    assert probe.connect(host="10.9.8.7", port=98)["error"] == "ECONNREFUSED"
    guest.wait_for_record(event="egress_internal_deny", dst="10.9.8.7:98")
    probe.connect(host="10.9.8.7", port=99, timeout=3)  # let through: whatever becomes of it, it was not inside
    assert not [record for record in guest.egress() if record.get("dst") == "10.9.8.7:99"
                and record["event"] == "egress_internal_deny"]


# Names.

def test_the_name_decides_where_two_share_an_address(guest, probe):
    one = hello(probe, "one.test")
    assert probe.say(SHARED, net.TLS_ECHO, one) == (one, None)
    allowed = guest.wait_for_record(event="egress_allow", dst=f"{SHARED}:443", host="one.test")
    assert "signal" not in allowed
    assert probe.say(SHARED, net.TLS_ECHO, hello(probe, "www.denied.test")) == (b"", "ECONNRESET")
    denied = guest.wait_for_record(event="egress_deny", dst=f"{SHARED}:443", host="www.denied.test")
    assert denied["rule"].startswith("deny .denied.test") and "--egress-deny" in denied["rule"]


def test_an_address_whose_every_name_is_denied_is_refused_at_its_syn(probe):
    assert probe.resolve(host="only.denied.test", port=443)["addresses"] == [net.SERVER]
    answer = probe.connect(host=net.SERVER, port=net.TLS_ECHO)
    assert answer["error"] == "ECONNREFUSED" and answer["seconds"] < AT_ONCE
    # Another name of the address, and it is worth a look again.
    probe.resolve(host="www.example", port=80)
    www = hello(probe, "www.example")
    assert probe.say(net.SERVER, net.TLS_ECHO, www) == (www, None)


@pytest.mark.parametrize("size, piece", [(7, 0), (16384, 1), (50, 3), (1, 64)])
def test_a_hello_in_pieces_is_read_whole(probe, size, piece):
    """Over several records, over several segments, and both."""
    denied = in_records(hello(probe, "www.denied.test"), size)
    assert probe.say(SHARED, net.TLS_ECHO, denied, piece=piece) == (b"", "ECONNRESET")


def test_a_name_of_another_address_grants_nothing(guest, probe):
    """Here nothing needs to be granted: the address alone is public. test_egress_lock.py has the other half."""
    wrong = hello(probe, "one.test")
    assert probe.say(ELSEWHERE, net.TLS_ECHO, wrong) == (wrong, None)
    record = guest.wait_for_record(event="egress_allow", dst=f"{ELSEWHERE}:443", signal="name-destination-mismatch")
    assert record["host"] == ELSEWHERE


def test_a_denied_name_at_another_address_is_denied(probe):
    """www.denied.test is not there; the deny rule sees the name all the same."""
    assert probe.say(ELSEWHERE, net.TLS_ECHO, hello(probe, "www.denied.test")) == (b"", "ECONNRESET")


def test_tls_without_a_name_is_told(guest, probe):
    nameless = hello(probe, None)
    assert probe.say(ELSEWHERE, net.TLS_ECHO, nameless) == (nameless, None)
    guest.wait_for_record(event="egress_allow", dst=f"{ELSEWHERE}:443", signal="direct-ip-no-sni")


# HTTP: the request, the status line's code, and a word of the body.
REQUESTS = {
    "Host": ("GET / HTTP/1.1\r\nHost: www.denied.test\r\n\r\n", 403, "deny .denied.test"),
    "Host with a port": ("GET / HTTP/1.1\r\nHost: www.denied.test:80\r\n\r\n", 403, "deny .denied.test"),
    "Host in capitals": ("GET / HTTP/1.1\r\nHOST: WWW.DENIED.TEST.\r\n\r\n", 403, "deny .denied.test"),
    "absolute form": ("GET http://www.denied.test/ HTTP/1.1\r\nHost: www.denied.test\r\n\r\n", 403,
                      "deny .denied.test"),
    "absolute form and another Host": ("GET http://www.denied.test/ HTTP/1.1\r\nHost: one.test\r\n\r\n", None, ""),
    "Host twice": ("GET / HTTP/1.1\r\nHost: one.test\r\nHost: www.denied.test\r\n\r\n", 400, "more than one Host"),
    # Without a name every name that is known of the address counts, and one of them is denied.
    "no Host": ("GET / HTTP/1.0\r\n\r\n", 403, "deny .denied.test"),
    "an allowed Host": ("GET / HTTP/1.1\r\nHost: one.test\r\nConnection: close\r\n\r\n", 200,
                        "hello from the internet"),
}


@pytest.mark.parametrize("request_text, code, word", REQUESTS.values(), ids=REQUESTS.keys())
def test_http(probe, request_text, code, word):
    answer = probe.page(SHARED, 80, request_text.encode()).decode()
    status = int(answer.split()[1])
    if code is None:
        assert status in (400, 403), answer
    else:
        assert status == code and word in answer, answer


def test_http_without_a_host_where_no_name_is_denied(guest, probe):
    assert b"hello from the internet" in probe.page(ELSEWHERE, 80, b"GET / HTTP/1.0\r\n\r\n")
    guest.wait_for_record(event="egress_allow", dst=f"{ELSEWHERE}:80", signal="direct-ip-no-sni")


def test_http2_with_prior_knowledge(probe):
    def request(name):
        field = bytes([0x82, 0x86, 0x84, 0x41, len(name)]) + name.encode()  # GET http / :authority, no Huffman
        settings = b"\0\0\0\4\0\0\0\0\0"
        headers = len(field).to_bytes(3, "big") + b"\1\5\0\0\0\1" + field
        return b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + settings + headers

    assert probe.say(SHARED, net.TCP_ECHO, request("one.test")) == (request("one.test"), None)
    assert probe.say(SHARED, net.TCP_ECHO, request("www.denied.test")) == (b"", "ECONNRESET")


def test_a_server_that_speaks_first_is_not_held_up(probe):
    connection = probe.opened(ELSEWHERE, net.GREETER)
    greeting = probe.receive(id=connection)
    assert bytes.fromhex(greeting["data"]) == b"220 ready\r\n" and greeting["seconds"] < AT_ONCE
    probe.send(id=connection, data=b"HELO x\r\n".hex())
    assert bytes.fromhex(probe.receive(id=connection)["data"]) == b"HELO x\r\n"
    probe.close(id=connection)


def test_a_client_that_stays_silent_may_speak_later(probe):
    connection = probe.opened(ELSEWHERE, net.TCP_ECHO)
    assert probe.receive(id=connection, timeout=4)["error"] == "timeout"
    probe.send(id=connection, data=b"late\n".hex())
    assert bytes.fromhex(probe.receive(id=connection)["data"]) == b"late\n"
    probe.close(id=connection)


# Other protocols.

def test_quic_is_refused_at_once(guest, probe):
    connection = probe.opened(SHARED, 443, protocol="udp")
    probe.send(id=connection, data=b"x".hex() * 1200)
    answer = probe.receive(id=connection)
    assert answer["error"] == "EHOSTUNREACH" and answer["seconds"] < AT_ONCE, answer
    probe.close(id=connection)
    guest.wait_for_record(event="egress_udp_deny", dst=f"{SHARED}:443", signal="quic-udp443")


def test_denied_datagrams_are_told_at_once(guest, probe):
    connection = probe.opened("10.0.0.1", 5000, protocol="udp")
    probe.send(id=connection, data=b"x".hex())
    answer = probe.receive(id=connection)
    assert answer["error"] == "EHOSTUNREACH" and answer["seconds"] < AT_ONCE, answer
    probe.close(id=connection)
    guest.wait_for_record(event="egress_udp_internal_deny", dst="10.0.0.1:5000")


def test_a_closed_udp_port_is_refused(probe):
    connection = probe.opened(ELSEWHERE, net.CLOSED_PORT, protocol="udp")
    probe.send(id=connection, data=b"x".hex())
    answer = probe.receive(id=connection)
    assert answer["error"] == "ECONNREFUSED" and answer["seconds"] < AT_ONCE, answer
    probe.close(id=connection)


def test_pings_go_where_connections_would(guest):
    assert "1 packets received" in guest.shell(f"ping -c 1 -W 5 {SHARED}")
    guest.exec("ping", "-c", "1", "-W", "2", "10.0.0.1", code=1)
    guest.wait_for_record(event="egress_internal_deny", proto="icmp", dst="10.0.0.1")


# Why.

def test_one_id_wherever_a_refusal_is_told(guest, probe):
    request = b"GET /secret?q=1 HTTP/1.1\r\nHost: api.denied.test\r\nAccept: application/json\r\n\r\n"
    told = json.loads(probe.page(SHARED, 80, request).partition(b"\r\n\r\n")[2])
    record = guest.wait_for_record(event="egress_deny", dst=f"{SHARED}:80", decision=told["decision"])
    assert told["rule"] == record["rule"] and "deny .denied.test" in told["rule"]
    page = probe.page(GATEWAY, 80, b"GET / HTTP/1.1\r\nHost: policy.microagent\r\n\r\n").decode()
    lines = [line for line in page.splitlines() if line.strip().startswith(told["decision"] + " ")]
    assert len(lines) == 1 and told["rule"] in lines[0], page
    assert "secret" not in json.dumps(guest.egress()), "paths and queries are nobody's business"


def test_the_page_has_a_name(probe):
    assert probe.resolve(host="policy.microagent", port=80)["addresses"] == [GATEWAY]
    request = b"GET / HTTP/1.1\r\nHost: policy.microagent\r\nAccept: application/json\r\n\r\n"
    page = json.loads(probe.page(GATEWAY, 80, request).partition(b"\r\n\r\n")[2])
    assert page["egress"]["mode"] == "broker" and page["denials"], page
    assert page["egress"]["deny"][0]["place"] == "--egress-deny"


# While it runs.

def test_a_rule_ends_the_flows_it_forbids_and_no_others(guest, probe, microagent):
    rule = f"{ELSEWHERE}:{net.TCP_ECHO}"
    forbidden, other = probe.opened(ELSEWHERE, net.TCP_ECHO), probe.opened(ELSEWHERE, net.GREETER)
    probe.send(id=forbidden, data=b"a\n".hex())
    assert bytes.fromhex(probe.receive(id=forbidden)["data"]) == b"a\n"
    assert bytes.fromhex(probe.receive(id=other)["data"]) == b"220 ready\r\n"
    before = guest.wait_for_record(event="egress_allow", dst=rule)
    changed = microagent.json("egress", "deny", "agent", rule)
    assert changed["running"] is True and changed["killed"] >= 1
    answer = probe.receive(id=forbidden)
    assert answer["error"] == "ECONNRESET" and answer["seconds"] < AT_ONCE, answer
    probe.send(id=other, data=b"b\n".hex())
    assert bytes.fromhex(probe.receive(id=other)["data"]) == b"b\n"
    for connection in (forbidden, other):
        probe.close(id=connection)
    guest.wait_for_record(event="egress_close", dst=rule, end="killed")
    record = guest.wait_for_record(event="egress_policy_changed", version=changed["version"])
    assert record["added"] == [f"deny {rule}"] and record["seq"] > before["seq"]
    assert probe.connect(host=ELSEWHERE, port=net.TCP_ECHO)["error"] == "ECONNREFUSED"

    removed = microagent.json("egress", "remove", "agent", rule)
    assert removed["version"] == changed["version"] + 1
    assert probe.connect(host=ELSEWHERE, port=net.TCP_ECHO)["error"] is None
    assert rule not in json.dumps(microagent.json("egress", "list", "agent")["egress"])


def test_what_is_no_rule_changes_nothing(guest, microagent):
    before = microagent.json("egress", "list", "agent")
    microagent.refuses("egress", "allow", "agent", "https://x.test")
    microagent.refuses("egress", "remove", "agent", "never-there.test", code=EXIT_FAILURE)
    assert microagent.json("egress", "list", "agent") == before


def test_explain_says_what_would_be(guest, microagent):
    def explained(*words):
        return microagent.json("egress", "explain", "agent", *words)

    denied = explained("www.denied.test:443")
    assert denied["lookup"]["verdict"] == "deny" or denied["destinations"][0]["verdict"] == "deny"
    assert "deny .denied.test" in json.dumps(denied)
    assert explained("one.test:443")["destinations"][0] | {"signal": None} == {
        "address": SHARED, "verdict": "allow", "reason": "public", "signal": None,
        "rule": "default: public addresses are allowed"}
    assert explained("10.0.0.1:80")["destinations"][0]["rule"] == "inside: private 10.0.0.0/8"
    assert explained("--udp", f"{SHARED}:443")["destinations"][0]["reason"] == "quic"


def test_other_protocols_are_counted(guest, probe):
    assert probe.raw(host=SHARED, protocol=47, count=20)["error"] is None
    record = guest.wait_for_record(event="egress_deny", proto="gre", signal="unmediatable-protocol")
    assert record["packets"] >= 1
    assert len([one for one in guest.egress() if one.get("proto") == "gre"]) < 10, "not one record a packet"
