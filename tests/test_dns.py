"""The guest's resolver, with a real one behind it (unbound): what is cached, what is asked again, and what an answer
may not carry."""

import time

import dns.flags
import dns.message
import dns.rcode
import dns.rdatatype
import pytest

from harness import python_guest
from harness import world as net
from harness.probing import Probe

SHARED, ELSEWHERE = net.OTHER_SERVERS
CLOSED = net.SERVER  # nobody serves DNS there: an ICMP error comes back
UPSTREAM = f"{net.RESOLVER}:53"


@pytest.fixture(scope="module")
def guest(world, prefix, microagent, workspaces):
    python_guest.install(prefix, microagent)
    return workspaces("asker", "--memory", python_guest.MEMORY)


@pytest.fixture(scope="module")
def probe(guest):
    made = Probe(guest)
    yield made
    made.end()


@pytest.fixture
def resolvers(world):
    """To name others for one test."""
    yield world.use_resolvers
    world.use_resolvers(net.RESOLVER)


def asked(probe, name, kind="A", **options):
    where = {word: options.pop(word) for word in ("host", "tcp") if word in options}
    return probe.ask(dns.message.make_query(name, kind, **options), **where)


def texts(answer):
    return sorted(str(record) for group in answer.answer for record in group)


def upstream_questions(guest, name):
    return [record for record in guest.egress() if record.get("qname") == name
            and record["event"] == "egress_dns_allow" and record["resolver"] != "cache"]


@pytest.mark.parametrize("tcp", [False, True], ids=["udp", "tcp"])
def test_an_answer(probe, tcp):
    answer = asked(probe, "one.test", tcp=tcp)
    assert answer.rcode() == dns.rcode.NOERROR and texts(answer) == [SHARED]


def test_an_answer_too_long_for_a_datagram_is_cut_and_whole_over_tcp(probe):
    cut = asked(probe, "big.example")
    assert cut.flags & dns.flags.TC and len(texts(cut)) < net.BIG_ANSWERS
    assert len(cut.to_wire()) <= 512
    assert len(texts(asked(probe, "big.example", tcp=True))) == net.BIG_ANSWERS
    assert len(texts(asked(probe, "big.example", use_edns=0, payload=4096))) <= net.BIG_ANSWERS


def test_the_cache_keeps_an_answer_for_its_time_and_no_longer(guest, probe):
    first = asked(probe, "short.test")
    again = asked(probe, "SHORT.test")
    assert first.answer[0].ttl == 2 and again.answer[0].ttl <= 2
    assert str(again.question[0].name) == "SHORT.test.", "the question comes back as it was spelt"
    assert len(upstream_questions(guest, "short.test")) == 1
    time.sleep(2.1)  # the time to live is what is tested
    asked(probe, "short.test")
    assert len(upstream_questions(guest, "short.test")) == 2


def test_the_cache_keeps_what_is_not_there(guest, probe):
    for _ in range(3):
        assert asked(probe, "nowhere.test").rcode() == dns.rcode.NXDOMAIN
        none = asked(probe, "one.test", "MX")
        assert none.rcode() == dns.rcode.NOERROR and not none.answer
    assert len(upstream_questions(guest, "nowhere.test")) == 1
    assert len([record for record in upstream_questions(guest, "one.test") if record["qtype"] == "MX"]) == 1


def test_service_records_carry_no_ech(probe):
    answer = asked(probe, "service.test", "HTTPS")
    assert len(texts(answer)) == 1
    record = texts(answer)[0]
    assert 'alpn="h2"' in record and f'ipv4hint="{SHARED}"' in record and "ech" not in record


def test_a_chain_of_names_leads_inside(guest, probe):
    """The answer is delivered, the connection denied."""
    assert texts(asked(probe, "alias.test")) == ["10.9.8.7", "private.test."]
    answer = probe.connect(host="10.9.8.7", port=80)
    assert answer["error"] == "ECONNREFUSED" and answer["seconds"] < 2
    record = guest.wait_for_record(event="egress_internal_deny", dst="10.9.8.7:80")
    assert record["reason"] == "inside"


def test_every_name_of_a_chain_is_bound(guest, probe):
    assert SHARED in texts(asked(probe, "chain.test"))
    hello = bytes.fromhex(probe.hello(name="chain.test")["data"])
    assert probe.say(SHARED, 443, hello) == (hello, None)
    assert "signal" not in guest.wait_for_record(event="egress_allow", host="chain.test")


@pytest.mark.parametrize("tcp", [False, True], ids=["udp", "tcp"])
def test_another_resolver_is_answered_by_ours(guest, probe, tcp):
    assert texts(asked(probe, "one.test", host=ELSEWHERE, tcp=tcp)) == [SHARED]
    guest.wait_for_record(event="egress_dns_allow", qname="one.test", signal="foreign-resolver")


def test_the_second_resolver_is_asked_when_the_first_is_dead(guest, probe, resolvers):
    resolvers(CLOSED, net.RESOLVER)
    began = time.monotonic()
    assert texts(asked(probe, "n1.many.test")) == [SHARED]
    assert time.monotonic() - began < 3
    resolvers(net.BLACKHOLE, net.RESOLVER)
    assert texts(asked(probe, "n2.many.test")) == [SHARED]


def test_servfail_when_all_are_dead(guest, probe, resolvers):
    resolvers(CLOSED)
    assert asked(probe, "n3.many.test").rcode() == dns.rcode.SERVFAIL
    guest.wait_for_record(event="egress_dns_error", qname="n3.many.test")
    resolvers(net.BLACKHOLE, CLOSED)
    began = time.monotonic()
    assert asked(probe, "n4.many.test").rcode() == dns.rcode.SERVFAIL
    assert time.monotonic() - began < 7
    # What was in the cache is answered all the same.
    assert texts(asked(probe, "one.test")) == [SHARED]


def test_what_a_resolver_does_not_answer(probe):
    """One question, and only questions."""
    for message, code in ((dns.message.make_query("one.test", "AXFR"), dns.rcode.REFUSED),
                          (dns.message.make_query("one.test", "ANY"), None)):
        answer = probe.ask(message, tcp=True)
        assert code is None or answer.rcode() == code, answer
    update = dns.message.make_query("one.test", "SOA")
    update.set_opcode(5)
    assert probe.ask(update).rcode() == dns.rcode.NOTIMP


def test_ten_thousand_questions_at_once(guest, probe):
    done = probe.ask_many(host="192.168.64.1", count=10_000, suffix="many.test")
    assert done["error"] is None and done["missing"] == 0, done
    assert done["codes"] == {"0": 10_000}, done
    assert texts(asked(probe, "two.test")) == [SHARED], "and it goes on"
