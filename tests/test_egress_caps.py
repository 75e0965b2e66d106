"""Ceilings: bytes are charged before they move, so none is overstepped; the guest is told at once, the operator by
name."""

import subprocess

import pytest

from harness import world as net

KIB = 1024
CAP = 256 * KIB


@pytest.fixture(scope="module")
def capped(world, workspaces):
    return workspaces("capped", "--egress-max-total-bytes", str(CAP), start=False)


def bytes_moved(workspace):
    closes = [one for one in workspace.egress() if one["event"] == "egress_close" and one.get("proto") == "tcp"]
    return sum(one["bytesIn"] + one["bytesOut"] for one in closes)


def fetch(workspace, size):
    """How many bytes of a page of `size` a guest gets, and how its client ended."""
    got, code = workspace.shell(f": >/tmp/page; wget -q -O /tmp/page http://{net.SERVER}/bytes/{size}; code=$?; "
                                "wc -c </tmp/page; echo $code", timeout=60).split()
    return int(got), int(code)


def test_the_workspace_s_bytes(capped):
    capped.start()
    assert fetch(capped, 64 * KIB) == (64 * KIB, 0), "below the ceiling nothing is felt"
    got, code = fetch(capped, 4 * CAP)
    assert got < CAP and code != 0
    close = capped.wait_for_record(event="egress_close", end="capped")
    assert close["bytesIn"] < CAP
    assert capped.wait_for_record(event="egress_cap_exceeded")["cap"] == "maxTotalBytes"
    assert CAP // 2 < bytes_moved(capped) <= CAP


def test_across_a_restart(capped):
    """A ceiling that a restart lifts is none; what a crash may cost is a part of it."""
    capped.kill()
    capped.start()
    got, code = fetch(capped, CAP)
    assert got == 0 and code != 0
    assert bytes_moved(capped) <= CAP


def test_anew_when_the_operator_says_so(capped, microagent):
    capped.kill()
    microagent.json("start", "capped", "--reset-caps")
    assert fetch(capped, 64 * KIB) == (64 * KIB, 0)
    capped.kill()


def test_connections_at_once(workspaces):
    workspace = workspaces("few", "--egress-max-conns", "2")
    held = [workspace.spawn("nc", net.SERVER, str(net.TCP_ECHO), stdin=subprocess.PIPE) for _ in range(2)]
    for one in held:
        one.stdin.write(b"hello\n")
        one.stdin.flush()
        assert one.stdout.readline() == b"hello\n"
    assert "refused" in workspace.exec("nc", net.SERVER, str(net.TCP_ECHO), code=1).err_text.lower()
    assert workspace.wait_for_record(event="egress_cap_exceeded")["cap"] == "maxConnections"
    held.pop().communicate(timeout=30)
    workspace.wait_for_record(event="egress_close")
    assert workspace.shell(f"echo again | nc {net.SERVER} {net.TCP_ECHO}") == "again\n", "one has ended"
    held.pop().communicate(timeout=30)
