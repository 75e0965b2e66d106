"""What a guest reaches, and what it is told of what it cannot reach: TCP, UDP, ICMP echo, DNS; no process has any
privilege (test_processes.py)."""

import hashlib

import pytest

from harness import world as net
from harness.internet import body

MIB = 1 << 20


@pytest.fixture(scope="module")
def guest(world, workspaces, build):
    workspace = workspaces("guest")
    workspace.install(build / "bench" / "netpipe", "/tmp/netpipe")
    return workspace


def ends(workspace, **fields):
    """The record that closes a flow, and the one that opened it."""
    close = workspace.wait_for_record(**fields)
    opened = [record for record in workspace.egress() if record.get("flow") == close["flow"]][0]
    return opened, close


def test_tcp(guest):
    assert guest.shell(f"wget -q -O - http://{net.SERVER}/").strip() == "hello from the internet"
    opened, close = ends(guest, event="egress_close", dst=f"{net.SERVER}:80")
    assert opened["event"] == "egress_allow" and opened["proto"] == "tcp" and opened["workspace"] == "guest"
    assert close["bytesOut"] > 0 and close["bytesIn"] > len("hello from the internet\n") and close["end"] == "finished"


def test_the_server_sees_the_host(guest):
    """user mode is NAT: the host's own address asks."""
    assert guest.shell(f"wget -q -O - http://{net.SERVER}/peer").strip() == net.HOST


@pytest.mark.parametrize("server", net.OTHER_SERVERS)
def test_other_servers(guest, server):
    assert guest.shell(f"wget -q -O - http://{server}/").strip() == "hello from the internet"


def test_a_large_body_down(guest):
    size = 16 * MIB
    wanted = hashlib.sha256(body(size)).hexdigest()
    assert guest.shell(f"wget -q -O - http://{net.SERVER}/bytes/{size} | sha256sum").split()[0] == wanted


def test_a_large_body_up(guest):
    size = 16 * MIB
    guest.shell(f"wget -q -O /tmp/body http://{net.SERVER}/bytes/{size}")
    answer = guest.shell(f"nc {net.SERVER} {net.DIGEST_PORT} </tmp/body; rm /tmp/body").split()
    assert answer == [str(size), hashlib.sha256(body(size)).hexdigest()]


def test_the_guest_closes_its_half_first(guest):
    """The server answers only what is complete, after the guest's end."""
    answer = guest.shell(f"echo hello | nc {net.SERVER} {net.DIGEST_PORT}")
    assert answer.split() == ["6", hashlib.sha256(b"hello\n").hexdigest()]


def test_the_server_closes_its_half_first(guest):
    """The guest hears the end, and can still speak."""
    guest.shell("cat >/tmp/late.sh", stdin=b"cat >/tmp/got\necho after the end\n")
    guest.shell(f"nc {net.SERVER} {net.SOURCE_PORT} -e sh /tmp/late.sh; cat /tmp/got")
    assert guest.shell("cat /tmp/got") == "first\n"
    assert guest.shell(f"for i in $(seq 50); do wget -q -O - http://{net.SERVER}/heard | grep . && exit; usleep 50000;"
                       " done") == "after the end\n"


def test_twenty_connections_at_once(guest):
    script = (f"for i in $(seq 20); do (wget -q -O - http://{net.SERVER}/bytes/65536 | sha256sum) & done; wait")
    sums = {line.split()[0] for line in guest.shell(script).splitlines()}
    assert sums == {hashlib.sha256(body(65536)).hexdigest()}


def test_a_closed_port_is_refused_at_once(guest):
    outcome = guest.exec("sh", "-c", f"time nc {net.SERVER} {net.CLOSED_PORT}", code=1)
    assert "refused" in outcome.err_text.lower(), outcome
    record = guest.wait_for_record(event="egress_dial_error", dst=f"{net.SERVER}:{net.CLOSED_PORT}")
    assert "refused" in record["error"]


def test_an_unreachable_host_is_told(guest):
    outcome = guest.exec("nc", net.UNREACHABLE, "80", code=1)
    assert "unreachable" in outcome.err_text.lower() or "no route" in outcome.err_text.lower(), outcome
    guest.wait_for_record(event="egress_dial_error", dst=f"{net.UNREACHABLE}:80")


def test_a_silent_host_does_not_hold_up_others(guest):
    guest.background("nc", "-w", "5", net.BLACKHOLE, "80")
    assert guest.shell(f"wget -q -O - http://{net.SERVER}/").strip() == "hello from the internet"


def test_udp(guest):
    for server in (net.SERVER, *net.OTHER_SERVERS):
        assert '"count": 20' in guest.shell(f"/tmp/netpipe ping-udp {server} {net.UDP_ECHO} 20")
    record = guest.wait_for_record(event="egress_udp_allow", dst=f"{net.SERVER}:{net.UDP_ECHO}")
    assert record["proto"] == "udp"


def test_udp_to_a_closed_port(guest):
    outcome = guest.exec("/tmp/netpipe", "ping-udp", net.SERVER, str(net.CLOSED_PORT), "1", code=1)
    assert "refused" in outcome.err_text.lower(), outcome


def test_ping(guest):
    answer = guest.shell(f"ping -c 3 -i 0.2 -W 5 {net.SERVER}")
    assert "3 packets received" in answer, answer
    answer = guest.shell(f"ping -c 1 -s 1400 -W 5 {net.OTHER_SERVERS[0]}")
    assert "1 packets received" in answer, answer
    guest.wait_for_record(event="egress_allow", proto="icmp", dst=net.SERVER)


def test_ping_of_the_gateway(guest):
    assert "1 packets received" in guest.shell("ping -c 1 -W 5 192.168.64.1")


def test_traceroute(guest):
    """The gateway is the first hop; the server says by an ICMP error that it is the last."""
    hops = guest.shell(f"traceroute -n -q 1 -w 3 -m 5 {net.SERVER}").splitlines()[1:]
    assert "192.168.64.1" in hops[0] and net.SERVER in hops[-1] and len(hops) == 2, hops


def test_names(guest):
    # One question at a time: busybox mixes answers up when two of its questions get the same identifier.
    assert net.SERVER in guest.shell("nslookup -type=a www.example")
    assert net.SERVER6 in guest.shell("nslookup -type=aaaa www.example")
    assert guest.shell("wget -q -O - http://www.example/").strip() == "hello from the internet"
    answer = guest.shell("nslookup -type=a two.example")
    assert all(address in answer for address in net.OTHER_SERVERS)
    guest.wait_for_record(event="egress_dns_allow", qname="www.example")


def test_a_name_that_is_not_there(guest):
    outcome = guest.exec("nslookup", "-type=a", "nowhere.example", code=1)
    assert "NXDOMAIN" in outcome.text + outcome.err_text


def test_an_answer_too_long_for_a_datagram(guest):
    """Truncated over UDP, whole over TCP; both are the mediator's answers."""
    script = (r"printf '\0\35\22\64\1\0\0\1\0\0\0\0\0\0\3big\7example\0\0\1\0\1' >/tmp/question;"
              " (cat /tmp/question; sleep 1) | nc 192.168.64.1 53 | wc -c")
    length = int(guest.shell(script))
    assert length >= 2 + 12 + net.BIG_ANSWERS * 16, length


@pytest.mark.parametrize("address", [net.HOST, "192.168.64.1", "10.0.0.1", "169.254.169.254", "192.168.64.77"])
def test_the_inside_is_denied_at_once(guest, address):
    outcome = guest.exec("nc", address, "81", code=1, timeout=20)
    said = outcome.err_text.lower()
    assert any(word in said for word in ("refused", "unreachable", "no route")), outcome


def test_a_denial_is_recorded(guest):
    guest.exec("nc", "10.1.2.3", "80", code=1, timeout=20)
    record = guest.wait_for_record(event="egress_internal_deny", dst="10.1.2.3:80")
    assert record["internal"] is True and record["rule"]


def test_a_name_that_leads_inside(guest):
    """The answer is delivered, the connection is not."""
    assert "10.9.8.7" in guest.shell("nslookup -type=a inside.example")
    guest.exec("wget", "-q", "-O", "-", "http://inside.example/", code=1, timeout=20)
    guest.wait_for_record(event="egress_internal_deny", dst="10.9.8.7:80")


def test_the_host_s_loopback_is_not_the_guest_s(guest):
    """127.0.0.1 in the guest is the guest; the host's is nowhere."""
    outcome = guest.exec("nc", "127.0.0.1", "53", code=1)
    assert "refused" in outcome.err_text.lower()


def test_an_allowed_inside_address(workspaces, world):
    """The rule names the host's own address and one port; only that is open."""
    import http.server
    import threading

    class Page(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"from the host\n")

        def log_message(self, *args):
            pass

    server = http.server.ThreadingHTTPServer((net.HOST, 18000), Page)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    workspace = workspaces("allowed", "--egress-allow", f"{net.HOST}:18000")
    assert workspace.shell(f"wget -q -O - http://{net.HOST}:18000/").strip() == "from the host"
    record = workspace.wait_for_record(event="egress_allow", dst=f"{net.HOST}:18000")
    assert net.HOST in str(record["rule"])
    assert "refused" in workspace.exec("nc", net.HOST, "18001", code=1).err_text.lower()
    workspace.wait_for_record(event="egress_internal_deny", dst=f"{net.HOST}:18001")
    server.shutdown()
    server.server_close()


def test_the_log_is_a_chain(guest):
    """Each record holds the digest of the line before."""
    lines = (guest.directory / "egress.jsonl").read_bytes().splitlines()
    records = guest.egress()
    assert [record["seq"] for record in records[:len(lines)]] == list(range(1, len(records) + 1))[:len(lines)]
    for before, record in zip(lines, records[1:]):
        assert record["prev"] == hashlib.sha256(before).hexdigest()
