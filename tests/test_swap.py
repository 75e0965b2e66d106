"""Credential swap: clients in a guest that hold no secret, servers that get it, and a search for where else it is."""

import base64
import json
import subprocess
import urllib.parse

import pytest

from harness import python_guest, secret_scan
from harness import swap_internet as internet
from harness.processes import processes_of
from harness.swap_servers import CLIENT_SECRET, TOKEN
from harness.wait import wait_until

PACKAGES = ("ca-certificates", "curl", "python3-h2", "python3-websockets")
# Of curl's exit codes.
HANDSHAKE_FAILED = (35, 55)
CUT_OFF = (18, 56, 92)
KEY, BEARER = "sk-file-63f1b0a7c2e94d58", "sk-env-0b7d5e2a91c84f63"
PASSWORD, PARAMETER = "pw-1c9e7a3f5b2d", "qk-7e4/9+d2=a6"
ROTATED = "sk-file-rotated-5d2c9a71"
PLACEHOLDER = "PLACEHOLDER-OF-THE-TEST"
ENVIRONMENT = {"SWAP_BEARER": BEARER, "SWAP_PASSWORD": PASSWORD, "SWAP_PARAMETER": PARAMETER, "SWAP_ID": "me",
               "SWAP_SECRET": CLIENT_SECRET}
AGAIN, LATER = "sk-helper-8a1f6c3d9e02", "sk-helper-later-41c7b9d0"
SECRETS = (KEY, BEARER, PASSWORD, PARAMETER, ROTATED, AGAIN, LATER, CLIENT_SECRET, TOKEN.format(1))
# As they go over the wire, too.
WRITTEN = (base64.b64encode(f"robot:{PASSWORD}".encode()).decode(), urllib.parse.quote(PARAMETER, safe=""))
SWAPS = """
swaps:
  key: {{type: static, domains: [key.many.test], header: X-Api-Key, key_ref: "file:{secrets}/key"}}
  bearer: {{type: static, domains: [bearer.many.test], format: "Bearer {{key}}", key_ref: "env:SWAP_BEARER"}}
  basic: {{type: static, domains: [basic.many.test], basic: robot, key_ref: "env:SWAP_PASSWORD"}}
  query: {{type: static, domains: [query.many.test], query: key, key_ref: "env:SWAP_PARAMETER"}}
  place: {{type: static, domains: [place.many.test], placeholder: {placeholder}, inBody: true,
           key_ref: "helper:/bin/cat {secrets}/key"}}
  oauth: {{type: oauth2-cc, domains: [oauth.many.test], token_url: "https://token.many.test:{port}/token",
           client_id_ref: "env:SWAP_ID", client_secret_ref: "env:SWAP_SECRET", scopes: [read, write]}}
  jwt: {{type: jwt-bearer, domains: [jwt.many.test], signing_key_ref: "file:{secrets}/jwt.pem", key_id: k1,
         claims: {{iss: me, aud: them}}}}
  again: {{type: static, domains: [again.many.test], header: X-Api-Key, key_ref: "helper:/bin/cat {secrets}/again"}}
  broken: {{type: static, domains: [broken.many.test], key_ref: "file:{secrets}/gone"}}
"""


@pytest.fixture(scope="module")
def upstream(world, scratch):
    made = internet.SwapInternet(world, scratch / "swapped")
    yield made
    made.close()


@pytest.fixture(scope="module")
def secrets(account, scratch):
    """A directory of the user's with what the references name."""
    directory = account.make_directory(scratch / "swap-secrets")
    subprocess.run(["openssl", "genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048", "-out",
                    directory / "jwt.pem"], check=True, capture_output=True)
    (directory / "key").write_text(KEY + "\n")
    (directory / "again").write_text(AGAIN + "\n")
    (directory / "gone").write_text("sk-that-will-be-gone\n")
    for path in directory.iterdir():
        path.chmod(0o600)
        account.own(path)
    yield directory
    for path in directory.iterdir():
        path.unlink()
    directory.rmdir()


@pytest.fixture(scope="module")
def guest(upstream, secrets, prefix, microagent, workspaces, scratch):
    python_guest.install(prefix, microagent, PACKAGES)
    swaps = scratch / "swaps.yaml"
    swaps.write_text(SWAPS.format(secrets=secrets, placeholder=PLACEHOLDER, port=internet.HTTP1))
    swaps.chmod(0o644)
    made = workspaces("swapped", "--memory", "1GiB", "--egress-trust", str(upstream.root), "--egress-swap-config",
                      str(swaps), start=False)
    made.start(env=ENVIRONMENT)
    (secrets / "gone").unlink()
    return made


def url(host, path="/", port=internet.HTTP1, scheme="https"):
    return f"{scheme}://{host}.many.test:{port}{path}"


def curl(guest, *words, timeout=90):
    """A handshake in an emulated guest, on a busy machine, may take longer than one may take: then once more."""
    for _ in range(5):
        outcome = guest.exec("curl", "--silent", "--show-error", "--max-time", "60", *words, code=None, timeout=timeout)
        if outcome.code not in HANDSHAKE_FAILED:
            break
    assert outcome.code == 0, outcome
    return outcome.text


def raw(guest, request):
    """What comes back for these bytes within TLS, until it ends or says nothing more for a while."""
    script = f"""
import socket, ssl
raw = socket.create_connection(("key.many.test", {internet.HTTP1}), 30)
end = ssl.create_default_context().wrap_socket(raw, server_hostname="key.many.test")
end.sendall(b"{request}")
end.settimeout(5)
try:
    while data := end.recv(4096):
        print(data.decode(), end="", flush=True)
except TimeoutError:
    pass
"""
    return guest.exec("python3", "-c", script).text


VERSIONS = pytest.mark.parametrize("port, version", [(internet.HTTP1, "1.1"), (internet.HTTP2, "HTTP/2.0")])


# Where it goes.

@VERSIONS
def test_a_header_is_set_whatever_the_guest_sends(guest, upstream, port, version):
    path = f"/header/{port}"
    assert curl(guest, "-H", "X-Api-Key: mine", url("key", path, port)) == "hello\n"
    assert curl(guest, url("key", path, port)) == "hello\n"
    heard = upstream.heard(path)
    assert [request["headers"]["X-Api-Key"] for request in heard] == [KEY, KEY]
    assert {request["version"] for request in heard} == {version}
    record = guest.wait_for_record(event="egress_swap", swap="key")
    assert (record["host"], record["type"]) == ("key.many.test", "static")
    assert guest.wait_for_record(event="egress_request", path=path)["swap"] == "key"


@VERSIONS
def test_every_other_placement(guest, upstream, port, version):
    path = f"/placed/{port}"
    for host in ("bearer", "basic", "query"):
        curl(guest, "-u", "mine:too", url(host, path + "?key=mine&a=b", port))
    bearer, basic, query = upstream.heard(path)
    assert bearer["headers"]["Authorization"] == f"Bearer {BEARER}"
    assert base64.b64decode(basic["headers"]["Authorization"].removeprefix("Basic ")).decode() == f"robot:{PASSWORD}"
    assert query["target"] == path + "?key=qk-7e4%2F9%2Bd2%3Da6&a=b"
    assert version in (bearer["version"], "1.1")


@VERSIONS
def test_a_placeholder_is_replaced_in_headers_and_bodies(guest, upstream, port, version):
    path = f"/place/{port}"
    body = json.dumps({"key": PLACEHOLDER, "text": "ü" * 100})
    curl(guest, "-H", f"X-A: a {PLACEHOLDER} b", "-H", "Content-Type: application/json", "-u", f"me:{PLACEHOLDER}",
         "--data-binary", body, url("place", path, port))
    curl(guest, "-H", "Content-Type: application/octet-stream", "--data-binary", PLACEHOLDER, url("place", path, port))
    first, second = upstream.heard(path)
    assert first["headers"]["X-A"] == f"a {KEY} b"
    assert base64.b64decode(first["headers"]["Authorization"].removeprefix("Basic ")).decode() == f"me:{KEY}"
    assert json.loads(first["body"].encode("latin-1")) == {"key": KEY, "text": "ü" * 100}
    assert second["body"] == PLACEHOLDER
    assert version in (first["version"], "1.1")


def test_python_needs_to_know_nothing_of_it(guest, upstream):
    script = (f"import urllib.request as u; r = u.Request('{url('bearer', '/python')}', "
              "headers={'Authorization': 'Bearer sk-none'}); print(u.urlopen(r).read().decode())")
    assert guest.exec("python3", "-c", script).text == "hello\n\n"
    assert upstream.heard("/python")[0]["headers"]["Authorization"] == f"Bearer {BEARER}"


CHAT = """
import asyncio, sys, websockets
async def chat():
    async with websockets.connect(sys.argv[1]) as server:
        for word in ("hello", "headers"):
            await server.send(word)
            print(await server.recv())
        print(await server.recv())
asyncio.run(chat())
"""


def test_a_websocket_carries_it_and_does_not_show_it(guest, upstream):
    """The client asks for permessage-deflate, as most do, and gets none."""
    out = guest.exec("python3", "-c", CHAT, url("key", "/chat", scheme="wss"), timeout=90).text
    heard = upstream.heard("/chat")[0]["headers"]
    assert heard["X-Api-Key"] == KEY and "Sec-Websocket-Extensions" not in heard
    assert out.startswith("hello\n") and KEY not in out and out.count(len(KEY) * "*") == 2, out


# Where it does not go.

def test_other_hosts_are_not_even_intercepted(guest, upstream):
    curl(guest, "--insecure", "-H", f"X-Api-Key: {PLACEHOLDER}", url("other", "/other"))
    assert upstream.heard("/other")[0]["headers"]["X-Api-Key"] == PLACEHOLDER
    record = guest.wait_for_record(event="egress_allow", host="other.many.test")
    assert not record.get("mitm")


def test_nothing_goes_over_plain_http(guest, upstream):
    page = curl(guest, "--write-out", "%{http_code}", url("key", "/plain", internet.CLEAR, "http"))
    assert page.endswith("403") and "use https" in page
    assert upstream.heard("/plain") == []


def test_nothing_goes_to_another_host_of_the_same_server(guest, upstream):
    page = curl(guest, "--write-out", "%{http_code}", "-H", "Host: place.many.test", url("key", "/other-host"))
    assert page.endswith("421")
    assert upstream.heard("/other-host") == []


def test_nothing_follows_a_redirect(guest, upstream):
    target = url("other", "/redirected")
    assert curl(guest, "--insecure", "--location", url("key", f"/redirect?{target}")) == "hello\n"
    assert KEY not in json.dumps(upstream.heard("/redirected"))
    assert upstream.heard("/redirect")[0]["headers"]["X-Api-Key"] == KEY


# What comes back.

@pytest.mark.parametrize("compressed", [False, True])
@VERSIONS
def test_an_echo_is_masked(guest, port, version, compressed):
    words = ("--compressed",) if compressed else ()
    answer = curl(guest, "--include", *words, url("key", "/echo", port))
    assert KEY not in answer
    head, body = answer.split("\r\n\r\n", 1)
    stars = "*" * len(KEY)
    assert f"x-echo: {stars}" in head.lower()
    heard = json.loads(body)
    assert heard["headers"]["X-Api-Key"] == stars and version in (heard["version"], "1.1")


@VERSIONS
def test_a_late_echo_within_what_is_compressed_is_cut_off(guest, port, version):
    path = f"/late/{port}"
    file = f"/tmp/late-{port}"
    ended = guest.exec("curl", "--silent", "--compressed", "--output", file, url("key", path, port), code=None)
    assert ended.code in CUT_OFF, (version, ended)
    # Of a stream that was reset a client may keep nothing at all.
    got = base64.b64decode(guest.shell(f"touch {file} && base64 {file}"))
    assert len(got) < 65536 + 100 and KEY.encode() not in got
    record = guest.wait_for_record(event="egress_request", path=path)
    assert "sent the credential back" in record["error"]


def test_what_streams_goes_on_streaming(guest):
    script = f"""
import urllib.request as u
events = u.urlopen('{url('key', '/events')}')
for _ in range(3):
    u.urlopen('{url('key', '/next')}').read()
    print(events.readline().decode()[:7])
    events.readline()
"""
    assert guest.exec("python3", "-c", script, timeout=90).text.splitlines() == ["data: 1", "data: 2", "data: 3"]


def test_trailers_are_masked(guest):
    out = raw(guest, "GET /trailers HTTP/1.1\\r\\nHost: key.many.test:9443\\r\\n\\r\\n")
    assert f"X-Trailer: {'*' * len(KEY)}" in out, out


def test_no_secret_is_anywhere_else_while_it_is_used(guest, account, upstream):
    """A request that carries it is under way: its answer has begun, and is held up."""
    with guest.spawn("curl", "--silent", "--no-buffer", url("key", "/events")) as streaming:
        curl(guest, url("key", "/next"))
        assert streaming.stdout.readline() == b"data: 1 \n"
        assert secret_scan.findings(guest, account.uid, (*SECRETS, *WRITTEN)) == []
        for _ in range(2):
            curl(guest, url("key", "/next"))
        assert streaming.wait(60) == 0
    assert upstream.heard("/events")[-1]["headers"]["X-Api-Key"] == KEY


# Credentials that are made, and that change.

def test_an_assertion_is_signed(guest, upstream, secrets, scratch):
    curl(guest, url("jwt", "/assertion"))
    kind, token = upstream.heard("/assertion")[0]["headers"]["Authorization"].split(" ")
    head, claims, signature = token.split(".")

    def decode(part):
        return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))

    assert kind == "Bearer" and json.loads(decode(head)) == {"alg": "RS256", "typ": "JWT", "kid": "k1"}
    assert {name: json.loads(decode(claims))[name] for name in ("iss", "aud")} == {"iss": "me", "aud": "them"}
    public, signed = scratch / "jwt.pub", scratch / "jwt.sig"
    subprocess.run(["openssl", "pkey", "-in", secrets / "jwt.pem", "-pubout", "-out", public], check=True)
    signed.write_bytes(decode(signature))
    subprocess.run(["openssl", "dgst", "-sha256", "-verify", public, "-signature", signed],
                   input=f"{head}.{claims}".encode(), check=True, capture_output=True)


def test_a_file_is_read_again_when_it_has_changed(guest, secrets):
    (secrets / "key").write_text(ROTATED + "\n")

    def masks_the_new_one():
        answer = curl(guest, "--include", url("key", "/echo"))
        assert ROTATED not in answer and KEY not in answer
        return "*" * len(ROTATED) in answer

    wait_until(masks_the_new_one, "the new secret is used", 30)


def test_a_helper_is_asked_again_when_its_answer_is_refused(guest, upstream, secrets):
    upstream.accepted.write_text(AGAIN)
    (secrets / "again").write_text(AGAIN + "\n")
    assert curl(guest, url("again", "/guarded")) == "welcome\n"
    (secrets / "again").write_text(LATER + "\n")
    assert curl(guest, url("again", "/guarded")) == "welcome\n"  # nobody asks for what nobody has refused
    upstream.accepted.write_text(LATER)
    answers = [curl(guest, "--write-out", "%{http_code}", url("again", "/guarded")) for _ in range(2)]
    assert answers == ["no\n401", "welcome\n200"]


CROWD, STREAMS = 5, 100
CROWDED = f"""
import socket, ssl, urllib.request
import h2.connection, h2.events

class Connection:
    def __init__(self):
        context = ssl.create_default_context()
        context.set_alpn_protocols(["h2"])
        raw = socket.create_connection(("oauth.many.test", {internet.HTTP2}), 60)
        self.socket = context.wrap_socket(raw, server_hostname="oauth.many.test")
        self.http2 = h2.connection.H2Connection()
        self.http2.initiate_connection()
        self.statuses, self.ended = [], 0

    def ask(self):
        for _ in range({STREAMS}):
            self.http2.send_headers(self.http2.get_next_available_stream_id(), [
                (":method", "GET"), (":scheme", "https"), (":path", "/crowd"),
                (":authority", "oauth.many.test:{internet.HTTP2}")], end_stream=True)
        self.socket.sendall(self.http2.data_to_send())

    def read(self):
        while self.ended < {STREAMS}:
            for event in self.http2.receive_data(self.socket.recv(65536)):
                if isinstance(event, h2.events.ResponseReceived):
                    self.statuses.append(dict(event.headers)[b":status"].decode())
                self.ended += isinstance(event, (h2.events.StreamEnded, h2.events.StreamReset))
            self.socket.sendall(self.http2.data_to_send())
        return self.statuses

connections = [Connection() for _ in range({CROWD})]
for connection in connections:
    connection.ask()
urllib.request.urlopen("http://other.many.test:{internet.CLEAR}/issue").read()
print(*[status for connection in connections for status in connection.read()])
"""


def test_a_crowd_waits_for_one_token(guest, upstream):
    """The token is issued when all the requests are on their way: whoever asked for one more would be counted, and
    would wait for ever."""
    statuses = guest.exec("python3", "-c", CROWDED, timeout=180).text.split()
    assert statuses == ["200"] * CROWD * STREAMS
    assert len(upstream.heard("/token")) == 1
    heard = upstream.heard("/crowd")
    assert {request["headers"]["Authorization"] for request in heard} == {f"Bearer {TOKEN.format(1)}"}
    assert len(heard) == CROWD * STREAMS


# When it cannot be had.

@VERSIONS
def test_a_failure_names_the_swap_and_never_the_secret(guest, upstream, secrets, port, version):
    path = f"/broken/{port}"
    page = curl(guest, "--write-out", "%{http_code}", url("broken", path, port))
    assert page.endswith("502") and "credential swap broken" in page and "sk-that" not in page
    assert upstream.heard(path) == []
    assert str(secrets) not in page  # where the user keeps what is none of the guest's business
    record = guest.wait_for_record(event="egress_request", path=path)
    assert record["status"] == 502 and "credential swap broken" in record["error"], version
    record = guest.wait_for_record(event="egress_swap_error", swap="broken")
    assert record["type"] == "static" and record["signal"] == "unresolved-secret-ref"
    assert str(secrets / "gone") in record["error"]


def test_failures_that_repeat_themselves_are_counted(guest):
    curl(guest, url("broken", "/again"), url("broken", "/once-more"))
    wait_until(lambda: any("count" in record for record in guest.egress() if record["event"] == "egress_swap_error"),
               "a count of them", 20)


def test_no_secret_is_anywhere_else(guest, account):
    """After all of the above; and that the search finds what is there."""
    guest.shell("echo canary-$((40+2))-of-the-search >/tmp/canary; sync")
    assert secret_scan.findings(guest, account.uid, ["canary-42-of-the-search"])
    assert secret_scan.findings(guest, account.uid, (*SECRETS, *WRITTEN)) == []
    mediators = [process for process in processes_of(account.uid) if process.program() == "microagent-mediator"]
    assert mediators
    for process in mediators:
        with pytest.raises(PermissionError):
            read_as(account, f"/proc/{process.pid}/mem")


def read_as(account, path):
    script = f"import sys\ntry: open({path!r}, 'rb')\nexcept PermissionError: sys.exit(13)"
    with account.popen(["python3", "-c", script]) as process:
        if process.wait(30) == 13:
            raise PermissionError(path)
