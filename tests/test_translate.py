"""Clients that speak one version of HTTP and servers that speak the other one, with the mediator between them; and what
becomes of a server's connections of HTTP/2 when their guests are gone."""

import hashlib
import json
import pathlib
import re
import subprocess
import sys

import pytest

from harness import python_guest
from harness import secure_internet as secure
from harness.upstreams import Upstreams

PACKAGES = ("ca-certificates", "curl", "nghttp2-client", "nodejs", "python3-h2")
HERE = pathlib.Path(__file__).parent
ONE = "one.test"
HTTP2_ONLY = 8460
INTERNAL_ERROR = 2
POLICY = """
deny:
  - {host: one.test, paths: ["/private/*"]}
"""


@pytest.fixture(scope="module")
def upstream(world, scratch):
    made = secure.SecureInternet(world, scratch / "secure")
    http2 = Upstreams(world)
    http2.start(sys.executable, HERE / "harness" / "http2_servers.py", *made.certificates.make("http2", ONE),
                HTTP2_ONLY)
    http2.wait_for([HTTP2_ONLY], "the server of HTTP/2")
    yield made
    http2.close()
    made.close()


@pytest.fixture(scope="module")
def guest(upstream, prefix, microagent, workspaces, scratch):
    python_guest.install(prefix, microagent, PACKAGES)
    policy = scratch / "requests.yaml"
    policy.write_text(POLICY)
    policy.chmod(0o644)
    made = workspaces("translated", "--memory", "2GiB", "--egress", "mitm", "--egress-trust", str(upstream.root),
                      "--egress-policy", str(policy))
    made.exec("sh", "-c", "cat >/tmp/http2_client.py", stdin=(HERE / "harness" / "http2_client.py").read_bytes())
    return made


def url(port, path="/"):
    return f"https://{ONE}:{port}{path}"


def curl1(guest, *words, code=0, timeout=60):
    """A client that offers HTTP/1.1 alone."""
    return guest.exec("curl", "--silent", "--show-error", "--http1.1", *words, code=code, timeout=timeout).text


def nghttp(guest, *words, timeout=60):
    """A client that speaks HTTP/2 alone, and offers nothing else."""
    return guest.exec("nghttp", *words, timeout=timeout).text


def ask2(guest, port, *words):
    said = guest.exec("python3", "/tmp/http2_client.py", ONE, str(port), *words, timeout=120).text
    return json.loads(said)


def test_neither_side_speaks_the_others_version(upstream, world):
    """What the tests below stand on: without the mediator, these do not come together."""
    for port, offer in ((HTTP2_ONLY, "http/1.1"), (secure.HTTP1_ONLY, "h2")):
        words = world.inside("openssl", "s_client", "-connect", f"127.0.0.1:{port}", "-alpn", offer)
        client = subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
        assert "alert no application protocol" in client.stderr, client


# A client of HTTP/1.1, a server of HTTP/2

def test_http1_reaches_a_server_of_http2(guest):
    said = curl1(guest, "--write-out", "%{http_version}", "-H", "X-Odd: two", "-H", "Connection: close, X-Hop", "-H",
                 "X-Hop: 1", url(HTTP2_ONLY, "/head"))
    assert said.endswith("1.1")
    fields = json.loads(said[:-3])["fields"]
    assert fields[":authority"] == f"{ONE}:{HTTP2_ONLY}" and fields[":path"] == "/head" and fields["x-odd"] == "two"
    assert "x-hop" not in fields and "connection" not in fields
    allow = guest.wait_for_record(event="egress_allow", dst=f"203.0.113.1:{HTTP2_ONLY}")
    assert allow["translated"] == "http/1.1 to h2" and allow["mitm"] is True
    assert guest.wait_for_record(event="egress_request", path="/head")["status"] == 200


def test_one_connection_of_each_serves_many_requests(guest):
    said = curl1(guest, *[url(HTTP2_ONLY, "/head")] * 5)
    decoder, numbers = json.JSONDecoder(), set()
    while said:
        answer, end = decoder.raw_decode(said)
        numbers.add(answer["connection"])
        said = said[end:]
    assert len(numbers) == 1


def test_bodies_of_http1_go_up_and_down(guest):
    size = 8 * 1024 * 1024
    guest.shell(f"head -c {size} /dev/zero >/tmp/up")
    digest = hashlib.sha256(bytes(size)).hexdigest()
    for framing in ("Expect:", "Transfer-Encoding: chunked"):
        said = curl1(guest, "-H", framing, "--data-binary", "@/tmp/up", url(HTTP2_ONLY, "/digest"), timeout=120)
        assert said.split() == [str(size), digest], framing
    said = guest.shell(f"curl -s --http1.1 {url(HTTP2_ONLY, f'/bytes?{size}')} | sha256sum", timeout=120)
    assert said.split()[0] == digest


def test_trailers_of_http2_arrive_behind_chunks(guest):
    raw = curl1(guest, "--raw", "--include", url(HTTP2_ONLY, "/trailers"))
    assert raw.endswith("5\r\nhello\r\n0\r\nx-after: yes\r\n\r\n"), raw


@pytest.mark.parametrize("version", ["--http1.1", "--http2"])
def test_events_of_http2_arrive_as_they_are_sent(guest, version):
    script = f"""
rm -f /tmp/events && mkfifo /tmp/events
curl -sN {version} {url(HTTP2_ONLY, "/events")} >/tmp/events &
exec 3</tmp/events
for number in 0 1 2; do
  curl -s {version} {url(HTTP2_ONLY, "/next")} >/dev/null
  read -r line <&3 && read -r empty <&3 && echo "$line"
done
"""
    assert guest.shell(script) == "data: 0\ndata: 1\ndata: 2\n"


def test_a_stream_that_is_reset_is_told(guest):
    said = curl1(guest, "--write-out", "%{http_code}", url(HTTP2_ONLY, "/reset"))
    assert said.endswith("502") and "INTERNAL_ERROR" in said, said
    curl1(guest, url(HTTP2_ONLY, "/cut"), code=18)
    assert "INTERNAL_ERROR" in guest.wait_for_record(event="egress_request", path="/cut")["error"]


def test_a_connection_that_goes_away_is_replaced(guest):
    assert curl1(guest, url(HTTP2_ONLY, "/goaway"), url(HTTP2_ONLY)) == "hello" + "hello over HTTP/2\n"
    for _ in range(2):  # every other time it is turned away at first, and nobody notices
        assert curl1(guest, url(HTTP2_ONLY), url(HTTP2_ONLY, "/turned-away")).endswith("looked at\n")


def test_rules_hold_for_what_is_translated_up(guest):
    said = curl1(guest, "--path-as-is", "--write-out", "%{http_code}", url(HTTP2_ONLY, "/x/../private/x"))
    assert said.endswith("403") and "one.test" in said, said
    assert guest.wait_for_record(event="egress_deny", path="/x/../private/x")


WEBSOCKET_CLIENT = """
import socket, ssl, sys
raw = socket.create_connection((sys.argv[1], int(sys.argv[2])), 20)
context = ssl.create_default_context()
context.set_alpn_protocols(["http/1.1"])
chat = context.wrap_socket(raw, server_hostname=sys.argv[1])
chat.sendall(f"GET /chat HTTP/1.1\\r\\nHost: {sys.argv[1]}:{sys.argv[2]}\\r\\nConnection: Upgrade\\r\\n"
             "Upgrade: websocket\\r\\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\\r\\n"
             "Sec-WebSocket-Version: 13\\r\\n\\r\\n".encode())
reader = chat.makefile("rb")
while (line := reader.readline().strip()):
    if line.lower().startswith(b"sec-websocket-accept"):
        print(line.decode())
for word in (b"first", b"second"):
    chat.sendall(bytes([0x81, 0x80 | len(word)]) + bytes(4) + word)
    size = reader.read(2)[1]
    print(reader.read(size).decode())
"""


def test_a_websocket_of_http1_reaches_a_server_of_http2(guest):
    lines = guest.exec("python3", "-c", WEBSOCKET_CLIENT, ONE, str(HTTP2_ONLY)).text.splitlines()
    assert lines == ["sec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=", "first", "second"]


# A client of HTTP/2, a server of HTTP/1.1

def test_http2_reaches_a_server_of_http1(guest):
    assert nghttp(guest, url(secure.HTTP1_ONLY)) == "hello from nginx\n"
    allow = guest.wait_for_record(event="egress_allow", dst=f"203.0.113.1:{secure.HTTP1_ONLY}", mitm=True)
    assert allow["translated"] == "h2 to http/1.1"
    head = nghttp(guest, "--header=x-odd: two", url(secure.PLAIN, "/head?query=yes")).split("\r\n")
    assert head[:2] == ["GET /head?query=yes HTTP/1.1", f"host: {ONE}:{secure.PLAIN}"], head
    assert "x-odd: two" in head and not [line for line in head if line.startswith(":")], head


def test_many_streams_reach_a_server_of_http1(guest):
    said = guest.exec("h2load", "-n", "500", "-c", "2", "-m", "50", "--npn-list=h2", url(secure.HTTP1_ONLY),
                      timeout=120).text
    assert "500 succeeded, 0 failed, 0 errored" in said, said
    assert "Application protocol: h2" in said, said
    said = guest.exec("nghttp", "--null-out", "--stat", "--multiply=40", url(secure.HTTP1_ONLY)).text
    assert said.count(" 200 ") == 40, said


def test_bodies_of_http2_go_up_and_down(guest, upstream):
    size = 8 * 1024 * 1024
    guest.shell(f"head -c {size} /dev/zero >/tmp/up")
    said = nghttp(guest, "--data=/tmp/up", url(secure.PLAIN, "/up"), timeout=120)
    assert said.split() == [str(size), hashlib.sha256(bytes(size)).hexdigest()]
    said = guest.shell(f"nghttp {url(secure.HTTP1_ONLY, '/big')} | sha256sum", timeout=120)
    assert said.split()[0] == upstream.digest.hexdigest()


def test_half_an_answer_of_http1_is_no_whole_one(guest):
    before = guest.last_record()
    said = ask2(guest, secure.PLAIN, "get", "/cut")
    assert said == {"status": "200", "body": "half", "reset": INTERNAL_ERROR}
    assert "cut off" in guest.wait_for_record(after=before, event="egress_request", path="/cut", host=ONE)["error"]


def test_rules_hold_for_what_is_translated_down(guest):
    said = ask2(guest, secure.HTTP1_ONLY, "get", "/%70rivate/y")
    assert said["status"] == "403" and ONE in said["body"], said
    call = ask2(guest, secure.HTTP1_ONLY, "get", "/private/z", "content-type", "application/grpc")
    assert call["status"] == "200" and guest.wait_for_record(event="egress_deny", path="/private/z"), call
    assert guest.wait_for_record(event="egress_deny", path="/%70rivate/y")


def test_a_websocket_of_http2_reaches_a_server_of_http1(guest):
    before = guest.last_record()
    assert ask2(guest, secure.PLAIN, "chat", "first", "second") == {"status": "200", "heard": ["first", "second"]}
    assert guest.wait_for_record(after=before, event="egress_request", path="/chat")["status"] == 101


def test_a_websocket_of_http2_reaches_a_server_of_http2(guest):
    assert ask2(guest, HTTP2_ONLY, "chat", "first", "second") == {"status": "200", "heard": ["first", "second"]}


# A client of HTTP/2 whose WebSockets are another library's (RFC 8441).
NODE_CLIENT = """
const [, host, port, ...words] = process.argv;
const session = require("http2").connect(`https://${host}:${port}`);
session.on("remoteSettings", settings => {
  if (!settings.enableConnectProtocol) return;  // it may be offered later than at the beginning
  const chat = session.request({":method": "CONNECT", ":protocol": "websocket", ":path": "/chat",
                                "sec-websocket-version": "13"});
  const say = word => chat.write(Buffer.concat([Buffer.from([0x81, 0x80 | word.length, 0, 0, 0, 0]),
                                                Buffer.from(word)]));
  let heard = Buffer.alloc(0);
  chat.on("response", headers => { console.log(headers[":status"]); say(words[0]); });
  chat.on("data", data => {
    heard = Buffer.concat([heard, data]);
    if (heard.length < 2 || heard.length < 2 + heard[1]) return;
    console.log(heard.toString("utf8", 2));
    heard = Buffer.alloc(0);
    words.shift();
    if (words.length) say(words[0]); else session.destroy();
  });
});
"""


@pytest.mark.parametrize("port", [secure.PLAIN, HTTP2_ONLY], ids=["http/1.1", "h2"])
def test_a_websocket_of_node(guest, port):
    said = guest.exec("node", "-e", NODE_CLIENT, ONE, str(port), "first", "second", timeout=180).text
    assert said == "200\nfirst\nsecond\n"


# Streams that end early

def test_a_reset_reaches_a_client_of_http2(guest):
    assert ask2(guest, HTTP2_ONLY, "get", "/reset") == {"body": "", "reset": INTERNAL_ERROR}
    assert ask2(guest, HTTP2_ONLY, "get", "/cut")["reset"] == INTERNAL_ERROR  # it may overtake what came before it


# A server's connection from one guest's connection to the next

def number_of(guest, client):
    """Which of the server's connections a new connection of the guest's leads to."""
    if client == "h2":
        return json.loads(ask2(guest, HTTP2_ONLY, "get", "/head")["body"])["connection"]
    return json.loads(curl1(guest, url(HTTP2_ONLY, "/head")))["connection"]


CLIENTS = pytest.mark.parametrize("client, other", [("h2", "http/1.1"), ("http/1.1", "h2")])


@CLIENTS
def test_one_connection_serves_one_guest_after_the_other(guest, client, other):
    first = number_of(guest, client)
    assert [number_of(guest, client) for _ in range(3)] == [first] * 3
    assert number_of(guest, other) != first, "another offer may be answered in another way"
    assert guest.wait_for_record(event="egress_allow", dst=f"203.0.113.1:{HTTP2_ONLY}", reused=True)


@CLIENTS
def test_bodies_go_over_a_connection_that_was_anothers(guest, client, other):
    del other
    size = 1024 * 1024
    number_of(guest, client)
    guest.shell(f"head -c {size} /dev/zero >/tmp/up")
    ask = nghttp if client == "h2" else curl1
    data = "--data=/tmp/up" if client == "h2" else "--data-binary=@/tmp/up"
    words = [data] if client == "h2" else data.split("=")
    said = ask(guest, *words, url(HTTP2_ONLY, "/digest"), timeout=120)
    assert said.split() == [str(size), hashlib.sha256(bytes(size)).hexdigest()]


@CLIENTS
@pytest.mark.parametrize("how", ["leave", "drop"])
def test_a_connection_that_ends_while_idle_is_not_missed(guest, client, other, how):
    first = number_of(guest, client)
    path = f"/{how}?{first}"
    if other == "h2":
        assert ask2(guest, HTTP2_ONLY, "get", path)["status"] == "200"
    else:
        curl1(guest, "--fail", url(HTTP2_ONLY, path))
    assert number_of(guest, client) != first


@CLIENTS
def test_a_new_policy_makes_new_connections(guest, microagent, client, other):
    del other
    first = number_of(guest, client)
    microagent.run("egress", "deny", "translated", "two.test")
    try:
        assert number_of(guest, client) != first
    finally:
        microagent.run("egress", "remove", "translated", "two.test")


def test_a_client_of_http2_hears_that_its_server_goes_away(guest):
    """The stream that the server has looked at is answered whole, and the client opens no other one there."""
    said = nghttp(guest, "--verbose", "--no-dep", url(HTTP2_ONLY, "/goaway"))
    assert "recv GOAWAY frame" in said and "last_stream_id=1, error_code=NO_ERROR" in said, said
    assert nghttp(guest, url(HTTP2_ONLY, "/goaway")) == "hello"


def test_what_a_server_that_goes_away_did_not_look_at_is_refused(guest):
    """Three streams at once: the first one completes behind GOAWAY, and the client may try the others elsewhere."""
    said = guest.exec("nghttp", "--verbose", "--no-dep", "--no-push",
                      *(url(HTTP2_ONLY, path) for path in ("/first?3", "/wait?1", "/wait?2")), code=None).text
    reset = re.findall(r"recv RST_STREAM frame <[^>]*stream_id=(\d+)>\s+\(error_code=(\w+)", said)
    assert sorted(reset) == [("3", "REFUSED_STREAM"), ("5", "REFUSED_STREAM")], said
    assert "recv GOAWAY frame" in said and "last_stream_id=5, error_code=NO_ERROR" in said, said
    record = guest.wait_for_record(event="egress_request", path="/first")
    assert record["status"] == 200 and record["bytesIn"] == 5 and "error" not in record, record
