"""Observing: judged and recorded as if locked, and nothing denied; and the list that is learned from it."""

from harness import python_guest
from harness import world as net
from harness.probing import Probe

SHARED, ELSEWHERE = net.OTHER_SERVERS
GREETING = "hello from the internet"


def fetch(workspace, place, code=0):
    return workspace.exec("wget", "-q", "-O", "-", f"http://{place}/", code=code).text.strip()


def test_what_is_observed_is_the_list_that_is_needed(world, workspaces, microagent):
    workspace = workspaces("learner", "--observe")
    assert fetch(workspace, "www.example") == fetch(workspace, SHARED) == GREETING
    record = workspace.wait_for_record(event="egress_allow", host="www.example", dst=f"{net.SERVER}:80")
    assert record["wouldDeny"] == "not-listed"
    assert workspace.wait_for_record(event="egress_dns_allow", qname="www.example")["wouldDeny"] is True
    learned = microagent.run("egress", "learn", "learner").text.splitlines()
    assert learned == [f"{SHARED}:80", "www.example:80"]
    workspace.kill()

    # Locked, and with these rules, the same session is let through; nothing else is.
    proven = workspaces("proven", "--egress-lock-allowlist", "--egress-allow", ",".join(learned))
    assert fetch(proven, "www.example") == fetch(proven, SHARED) == GREETING
    fetch(proven, ELSEWHERE, code=1)
    proven.exec("nslookup", "-type=a", "two.example", code=1)


def test_requests_that_would_be_denied_are_told(world, workspaces):
    workspace = workspaces("requests", "--observe", "--egress", "mitm", "--egress-allow", "two.example")
    assert fetch(workspace, "www.example") == fetch(workspace, "two.example") == GREETING
    record = workspace.wait_for_record(event="egress_request", host="www.example")
    assert record["wouldDeny"] == "not-listed" and record["rule"] == "lockAllowlist: not listed"
    assert "wouldDeny" not in workspace.wait_for_record(event="egress_request", host="two.example")


def test_nothing_is_denied_and_what_would_be_is_told(world, prefix, microagent, workspaces):
    python_guest.install(prefix, microagent)
    workspace = workspaces("watched", "--memory", python_guest.MEMORY, "--observe", "--egress-deny", "two.test")
    probe = Probe(workspace)

    # QUIC: nobody listens, and it is the server that says so.
    connection = probe.opened(ELSEWHERE, 443, protocol="udp")
    probe.send(id=connection, data=b"x".hex() * 1200)
    assert probe.receive(id=connection)["error"] == "ECONNREFUSED"
    record = workspace.wait_for_record(event="egress_udp_allow", dst=f"{ELSEWHERE}:443")
    assert record["wouldDeny"] == "quic" and record["signal"] == "quic-udp443"
    assert f"{ELSEWHERE}:443" in microagent.run("egress", "learn", "watched").text.splitlines()

    # A denied name, the inside, and what is ambiguous.
    assert probe.resolve(host="two.test", port=443)["addresses"] == [SHARED]
    hello = bytes.fromhex(probe.hello(name="two.test")["data"])
    assert probe.say(SHARED, net.TLS_ECHO, hello) == (hello, None)
    assert workspace.wait_for_record(event="egress_allow", host="two.test")["wouldDeny"] == "denied"
    assert probe.connect(host="10.9.8.7", port=80, timeout=3)["error"] in ("timeout", "EHOSTUNREACH", "ENETUNREACH")
    probe.page(SHARED, 80, b"GET / HTTP/1.1\r\nHost: a.test\r\nHost: b.test\r\nConnection: close\r\n\r\n")
    assert not [one for one in workspace.egress() if one["event"].endswith("_deny")]

    # What no mode maps.
    assert probe.connect(host="0.0.0.1", port=80)["error"] == "ECONNREFUSED"
    assert workspace.wait_for_record(event="egress_internal_deny", dst="0.0.0.1:80")["reason"] == "inside"
    probe.end()
