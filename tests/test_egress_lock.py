"""A locked list: nothing but what is listed, whatever a guest says."""

import json

import dns.edns
import dns.message
import dns.rcode
import pytest

from harness import python_guest
from harness import world as net
from harness.probing import Probe

SHARED, ELSEWHERE = net.OTHER_SERVERS  # of one.test and two.test; of elsewhere.test
AT_ONCE = 2.0  # seconds, as in test_egress.py


@pytest.fixture(scope="module")
def guest(world, prefix, microagent, workspaces):
    python_guest.install(prefix, microagent)
    return workspaces("locked", "--memory", python_guest.MEMORY, "--egress-lock-allowlist", "--egress-allow",
                      "one.test:443,one.test:80,one.test:7")


@pytest.fixture(scope="module")
def probe(guest):
    made = Probe(guest)
    yield made
    made.end()


def hello(probe, name):
    return bytes.fromhex(probe.hello(name=name)["data"])


def test_an_address_is_closed_until_a_listed_name_leads_there(guest, probe):
    answer = probe.connect(host=SHARED, port=443)
    assert answer["error"] == "ECONNREFUSED" and answer["seconds"] < AT_ONCE
    record = guest.wait_for_record(event="egress_deny", dst=f"{SHARED}:443")
    assert record["reason"] == "not-listed"
    assert probe.resolve(host="one.test", port=443)["addresses"] == [SHARED]
    one = hello(probe, "one.test")
    assert probe.say(SHARED, 443, one) == (one, None)
    guest.wait_for_record(event="egress_allow", dst=f"{SHARED}:443", host="one.test", rule="allow one.test:443"
                          " (--egress-allow)")
    assert probe.connect(host=SHARED, port=25)["error"] == "ECONNREFUSED", "another port of it"


def test_a_listed_name_at_another_address_grants_nothing(guest, probe):
    """The address belongs to a name that is listed for a moment, so that the connection gets so far as to speak."""
    guest.microagent.json("egress", "allow", "locked", "elsewhere.test:443")
    probe.resolve(host="elsewhere.test", port=443)
    answer = probe.say(ELSEWHERE, 443, hello(probe, "one.test"))
    guest.microagent.json("egress", "remove", "locked", "elsewhere.test:443")
    assert answer == (b"", "ECONNRESET")
    guest.wait_for_record(event="egress_deny", dst=f"{ELSEWHERE}:443", signal="name-destination-mismatch")


def test_a_name_that_is_not_listed_at_a_listed_address(guest, probe):
    assert probe.say(SHARED, 443, hello(probe, "two.test")) == (b"", "ECONNRESET")
    page = probe.page(SHARED, 80, b"GET / HTTP/1.1\r\nHost: two.test\r\n\r\n").decode()
    assert page.startswith("HTTP/1.1 403 ") and "lockAllowlist" in page, page


def test_tls_without_a_name_at_a_listed_address(guest, probe):
    assert probe.say(SHARED, 443, hello(probe, None)) == (b"", "ECONNRESET")
    guest.wait_for_record(event="egress_deny", dst=f"{SHARED}:443", signal="direct-ip-no-sni")


def test_what_carries_no_name_goes_by_those_of_its_address(probe):
    assert probe.say(SHARED, net.TCP_ECHO, b"no name\n") == (b"no name\n", None)


@pytest.mark.parametrize("tcp", [False, True], ids=["udp", "tcp"])
def test_a_name_that_is_not_listed_is_refused_and_nobody_is_asked(guest, probe, tcp):
    question = dns.message.make_query("two.test", "A", use_edns=0)
    answer = probe.ask(question, tcp=tcp)
    assert answer.rcode() == dns.rcode.REFUSED and not answer.answer
    told = [option for option in answer.options if isinstance(option, dns.edns.EDEOption)]
    assert len(told) == 1 and told[0].code in (dns.edns.EDECode.PROHIBITED, dns.edns.EDECode.BLOCKED,
                                               dns.edns.EDECode.FILTERED), answer
    record = guest.wait_for_record(event="egress_dns_deny", qname="two.test")
    assert record["decision"] in told[0].text and record["reason"] == "not-listed"
    assert not [one for one in guest.egress() if one["event"] == "egress_dns_allow" and one.get("qname") == "two.test"]


def test_a_name_is_refused_under_one_id_wherever_it_is_told(guest, probe):
    """First its look-up, then a request to it at an address that is open for another name: one decision."""
    probe.resolve(host="one.test", port=80)
    refused = probe.ask(dns.message.make_query("only.denied.test", "A", use_edns=0))
    request = b"GET / HTTP/1.1\r\nHost: only.denied.test\r\nAccept: application/json\r\n\r\n"
    body = json.loads(probe.page(SHARED, 80, request).partition(b"\r\n\r\n")[2])
    page = b"GET / HTTP/1.1\r\nHost: policy.microagent\r\nAccept: application/json\r\n\r\n"
    denials = json.loads(probe.page("192.168.64.1", 80, page).partition(b"\r\n\r\n")[2])["denials"]

    decision = body["decision"]
    told = [option.text for option in refused.options if isinstance(option, dns.edns.EDEOption)]
    assert len(told) == 1 and f"[{decision}]" in told[0], told
    assert guest.wait_for_record(event="egress_dns_deny", decision=decision)["qname"] == "only.denied.test"
    refusal = guest.wait_for_record(event="egress_deny", decision=decision)
    assert refusal["dst"] == f"{SHARED}:80" and refusal["name"] == "only.denied.test"
    assert {(one["proto"], one["rule"]) for one in denials if one["decision"] == decision} == {
        ("dns", body["rule"]), ("tcp", body["rule"])}, denials
    assert {record.get("qname", "only.denied.test") for record in guest.egress()
            if record.get("decision") == decision} == {"only.denied.test"}, "and nothing else has it"


def test_another_resolver_knows_no_more(guest, probe):
    answer = probe.ask(dns.message.make_query("two.test", "A"), host=ELSEWHERE)
    assert answer.rcode() == dns.rcode.REFUSED
    guest.wait_for_record(event="egress_dns_deny", qname="two.test", signal="foreign-resolver")


def test_a_rule_opens_at_once_and_closes_at_once(guest, probe, microagent):
    assert microagent.json("egress", "explain", "locked", "two.test:7")["lookup"]["verdict"] == "deny"
    microagent.json("egress", "allow", "locked", "two.test:7")
    assert probe.ask(dns.message.make_query("two.test", "A")).rcode() == dns.rcode.NOERROR
    connection = probe.opened(SHARED, net.TCP_ECHO)
    probe.send(id=connection, data=b"x\n".hex())
    assert bytes.fromhex(probe.receive(id=connection)["data"]) == b"x\n"
    # one.test:7 still permits it: it goes on.
    assert microagent.json("egress", "remove", "locked", "two.test:7")["killed"] == 0
    probe.send(id=connection, data=b"y".hex())
    assert bytes.fromhex(probe.receive(id=connection)["data"]) == b"y"
    assert microagent.json("egress", "remove", "locked", "one.test:7")["killed"] == 1
    assert probe.receive(id=connection)["error"] == "ECONNRESET"
    probe.close(id=connection)


def test_changes_outlive_the_run(guest, microagent):
    """They are in the manifest, and the next start obeys them."""
    microagent.json("egress", "allow", "locked", "two.test:7", "elsewhere.test:7")
    microagent.json("egress", "deny", "locked", "elsewhere.test")
    guest.stop()
    microagent.json("egress", "allow", "locked", f"{net.SERVER}:7")  # while it does not run
    guest.start()
    rules = json.dumps(microagent.json("egress", "list", "locked")["egress"])
    assert "one.test:443" in rules and "one.test:7" not in rules and "two.test:7" in rules
    again = Probe(guest)
    assert again.ask(dns.message.make_query("two.test", "A")).rcode() == dns.rcode.NOERROR
    assert again.say(SHARED, net.TCP_ECHO, b"allowed while it ran\n")[1] is None
    assert again.say(net.SERVER, net.TCP_ECHO, b"allowed while it did not\n")[1] is None
    assert again.ask(dns.message.make_query("elsewhere.test", "A")).rcode() == dns.rcode.REFUSED
    assert again.connect(host=ELSEWHERE, port=net.TCP_ECHO)["error"] == "ECONNREFUSED"
    again.end()
