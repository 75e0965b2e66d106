"""The audit log as people and programs read it; and that it is complete, whatever dies when."""

import contextlib
import hashlib
import json
import os
import random
import signal
import subprocess
import time

import pytest

from harness import world as net
from harness.cli import records_of
from harness.wait import wait_until

ROUNDS = int(os.environ.get("MICROAGENT_TEST_DEATHS", "3"))  # each costs a boot
OPENING = {"egress_allow": "egress_close", "egress_udp_allow": "egress_udp_close"}


@pytest.fixture(scope="module")
def guest(world, workspaces):
    workspace = workspaces("audited", "--egress-deny", "203.0.113.1")
    assert workspace.shell("wget -q -O - http://www.example/").strip() == "hello from the internet"
    workspace.exec("wget", "-q", "-O", "-", "http://203.0.113.1/", code=1)
    workspace.exec("nc", "10.1.2.3", "80", code=1)
    workspace.wait_for_record(event="egress_close", host="www.example")
    return workspace


@pytest.fixture(scope="module")
def trail(guest, microagent):
    return lambda *words: microagent.json("egress", "audited", *words)["egress"]


def test_a_flow_s_records_belong_together(guest):
    opened = guest.wait_for_record(event="egress_allow", host="www.example")
    closed = guest.wait_for_record(event="egress_close", flow=opened["flow"])
    assert opened["seq"] < closed["seq"] and opened["rule"] == "default: public addresses are allowed"
    assert closed["bytesOut"] > 0 and closed["bytesIn"] > 0 and closed["end"] == "finished"
    assert closed["durationMs"] >= 0 and closed["dst"] == f"{net.SERVER}:80"
    for record in (opened, closed):
        assert list(record)[:5] == ["seq", "ts", "event", "workspace", "flow"] and list(record)[-1] == "prev"


def test_filters(guest, trail, microagent):
    assert {record["event"] for record in trail("--event", "deny")} == {"egress_deny"}
    assert {record["event"] for record in trail("--event", "deny", "--event", "egress_allow")} == {
        "egress_deny", "egress_allow"}
    assert {record["host"] for record in trail("--host", "www.example") if "host" in record} == {"www.example"}
    assert trail("--host", ".example") and not trail("--host", "nobody.example")
    denied = trail("--denied")
    assert {record["dst"] for record in denied} == {"203.0.113.1:80", "10.1.2.3:80"}
    assert all(record["decision"] and record["rule"] for record in denied)
    assert trail("--since", "1h") == trail() and trail("--since", "2099-01-01") == []
    for words in (["--event", "nonsense"], ["--since", "yesterday-ish"]):
        microagent.refuses("egress", "audited", *words)
    assert "203.0.113.1:80" in microagent.run("egress", "audited", "--denied").text


def test_the_chain_can_be_followed_by_anybody(guest, trail):
    lines = [record["raw"] for record in trail()]
    before = "0" * 64
    for line in lines:
        record = json.loads(line)
        assert record["prev"] == before
        before = hashlib.sha256(line.encode()).hexdigest()


def test_verify_finds_an_edit_and_a_cut(guest, microagent):
    assert microagent.json("egress", "audited", "--verify")["verified"] is True
    log = guest.directory / "egress.jsonl"
    whole = log.read_bytes()
    lines = whole.splitlines(keepends=True)
    middle = len(lines) // 2
    edited = lines[:middle] + [lines[middle].replace(b'"seq":', b'"seq" :')] + lines[middle + 1:]
    try:
        for forged in (b"".join(edited), b"".join(lines[:middle] + lines[middle + 1:]), b"".join(lines[:-1])):
            log.write_bytes(forged)
            assert microagent.run("--json", "egress", "audited", "--verify", code=1).error()["message"]
    finally:
        log.write_bytes(whole)
    assert microagent.json("egress", "audited", "--verify")["verified"] is True


def test_follow_tells_as_it_comes(guest, microagent):
    with microagent.popen("--json", "egress", "audited", "--follow", "--host", "198.51.100.1", "--event", "allow",
                          stdout=subprocess.PIPE, stdin=subprocess.DEVNULL) as process:
        try:
            guest.shell("wget -q -O /dev/null http://198.51.100.1/")
            (record,) = records_of(process, [process.stdout.readline()])
            assert record["event"] == "egress_allow" and record["host"] == "198.51.100.1"
        finally:
            process.kill()


def test_what_repeats_itself_is_counted(guest):
    """Thirty tries of one kind are few records, and their counts add up."""
    guest.shell("for i in $(seq 30); do nc 10.7.7.7 7777; done; true")

    def all_counted():
        records = [record for record in guest.egress() if record.get("dst") == "10.7.7.7:7777"]
        return records if sum(record.get("count", 1) for record in records) == 30 else None

    records = wait_until(all_counted, "all tries are in the log", 25)
    assert len(records) < 10
    assert len({record["decision"] for record in records}) <= len([one for one in records if "count" not in one])


def assert_complete(records):
    """Each flow that was opened has ended once."""
    opened, closed = {}, {}
    for record in records:
        if record["event"] in OPENING:
            assert record["flow"] not in opened, record
            opened[record["flow"]] = record
        elif record["event"] in OPENING.values():
            closed.setdefault(record["flow"], []).append(record)
    assert set(opened) == set(closed)
    for flow, ends in closed.items():
        assert len(ends) == 1 and ends[0]["event"] == OPENING[opened[flow]["event"]], ends
    return opened, closed


def test_every_flow_has_its_end_whoever_dies(world, workspaces, build, microagent):
    """Processes are killed at random moments while the guest opens flows without end. (The same with the mediator alone
    and as many flows as MICROAGENT_TEST_FLOWS says is mediator.Completeness.)"""
    workspace = workspaces("mortal", start=False)
    chance = random.Random(4)
    for victim in chance.sample(["mediator", "netd", "qemu", "supervisor"] * ROUNDS, ROUNDS):
        workspace.start()
        workspace.install(build / "bench" / "netpipe", "/tmp/netpipe")
        workspace.background("sh", "-c", f"while :; do /tmp/netpipe connect {net.SERVER} {net.TCP_ECHO} 1000; done")
        workspace.background("sh", "-c", f"while :; do /tmp/netpipe ping-udp {net.SERVER} {net.UDP_ECHO} 3; done")
        seen = len(workspace.egress())
        wait_until(lambda: len(workspace.egress()) > seen + 50, "flows come and go", 30)
        time.sleep(chance.random() / 2)  # at no particular moment
        process = workspace.processes()[victim]
        with contextlib.suppress(ProcessLookupError):
            os.kill(process.pid, signal.SIGKILL)
        workspace.wait_for_state("failed")
        assert microagent.json("egress", "mortal", "--verify")["verified"] is True
    workspace.start()
    workspace.stop()
    assert microagent.json("egress", "mortal", "--verify")["verified"] is True
    opened, closed = assert_complete(microagent.json("egress", "mortal")["egress"])
    assert len(opened) > 20 * ROUNDS
    assert [ends for ends in closed.values() if ends[0]["end"] == "lost"], "nothing was open when somebody died"
