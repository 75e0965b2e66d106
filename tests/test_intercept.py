"""What real clients in a guest see of TLS that is intercepted, and what their servers see: nothing but each other."""

import hashlib
import json

import pytest

from harness import python_guest
from harness import secure_internet as secure
from harness.wait import wait_until

PACKAGES = ("ca-certificates", "curl", "nghttp2-client", "openssl", "sslscan")
MEMORY = "2GiB"  # the root file system with them lives in it
POLICY = """
deny:
  - {host: one.test, paths: ["/private/*"]}
  - {host: one.test, methods: [DELETE]}
"""
ONE = "one.test"


@pytest.fixture(scope="module")
def guest(upstream, prefix, microagent, workspaces, scratch):
    python_guest.install(prefix, microagent, PACKAGES)
    policy = scratch / "requests.yaml"
    policy.write_text(POLICY)
    policy.chmod(0o644)
    return workspaces("opened", "--memory", MEMORY, "--egress", "mitm", "--egress-trust", str(upstream.root),
                      "--egress-passthrough", "two.test", "--egress-policy", str(policy))


def url(port, path="/", host=ONE):
    return f"https://{host}:{port}{path}"


def curl(guest, *words, code=0, timeout=60):
    return guest.exec("curl", "--silent", "--show-error", *words, code=code, timeout=timeout).text


# HTTP/1.1

def test_a_page_over_http1(guest):
    answer = curl(guest, "--http1.1", "--write-out", "%{http_version} %{ssl_verify_result}", url(secure.NGINX))
    assert answer == "hello from nginx\n1.1 0"
    record = guest.wait_for_record(event="egress_request", path="/", host=ONE)
    assert (record["method"], record["status"], record["bytesIn"]) == ("GET", 200, 17)
    allow = guest.wait_for_record(event="egress_allow", dst=f"203.0.113.1:{secure.NGINX}")
    assert allow["mitm"] is True and allow["host"] == ONE and allow["flow"] == record["flow"]


def test_the_head_arrives_as_the_client_wrote_it(guest):
    head = curl(guest, "--http1.1", "-H", "X-ODD:  two  ", "-H", "User-Agent:", "-H", "accept;", "-H", "b: 1", "-H",
                "a: 2", url(secure.PLAIN, "/head?query=yes"))
    assert head.split("\r\n")[:6] == ["GET /head?query=yes HTTP/1.1", f"Host: {ONE}:{secure.PLAIN}", "X-ODD: two",
                                      "accept: ", "b: 1", "a: 2"]
    assert "query" not in json.dumps(guest.wait_for_record(event="egress_request", path="/head"))


@pytest.mark.parametrize("version", ["--http1.1", "--http2"])
def test_a_large_download(guest, upstream, version):
    command = f"curl -s {version} {url(secure.NGINX, '/big')} | sha256sum"
    assert guest.shell(command, timeout=120).split()[0] == upstream.digest.hexdigest()


@pytest.mark.parametrize("version", ["--http1.1", "--http2"])
def test_a_large_upload(guest, version):
    size = 16 * 1024 * 1024
    guest.shell(f"head -c {size} /dev/zero >/tmp/up")
    answer = curl(guest, version, "--data-binary", "@/tmp/up", url(secure.NGINX, "/up"), timeout=120)
    assert answer.split() == [str(size), hashlib.sha256(bytes(size)).hexdigest()]


@pytest.mark.parametrize("tls", ["--tlsv1.2 --tls-max 1.2", "--tlsv1.3"])
@pytest.mark.parametrize("http", ["1.1", "2"])
def test_a_matrix_of_requests(guest, tls, http):
    """Each kind of request and response, in each version of HTTP, and of TLS on the guest's side."""
    page, up = url(secure.NGINX), url(secure.NGINX, "/up")
    cases = {
        f"-I {page}": "200 0",
        f"-r 6-9 {page}": "206 4",
        f"-H 'If-Modified-Since: Fri, 01 Jan 2100 00:00:00 GMT' {page}": "304 0",
        url(secure.NGINX, "/nothing"): "204 0",
        url(secure.NGINX, "/missing"): "404",
        f"-d hello {up}": "200",
        f"-X POST -T /proc/version {up}": "200",  # of unknown length
        f"-X OPTIONS {page}": "405",
        page: "200 17",
    }
    told = "-o /dev/null -w '%{http_code} %{size_download} %{http_version}\\n'"
    script = "".join(f"curl -sS {tls} --http{http} {told} {words}\n" for words in cases)
    said = guest.exec("sh", stdin=script.encode(), timeout=120).text.splitlines()
    assert len(said) == len(cases), said
    for (words, expected), line in zip(cases.items(), said):
        assert line.startswith(expected) and line.endswith(f" {http}"), (words, line)


def test_one_connection_serves_many_requests(guest):
    urls = [url(secure.PLAIN, f"/page{number}") for number in range(5)]
    assert curl(guest, "--http1.1", *urls) == "hello over TLS\n" * 5
    flows = {guest.wait_for_record(event="egress_request", path=f"/page{number}")["flow"] for number in range(5)}
    assert len(flows) == 1


def test_events_arrive_as_they_are_sent(guest):
    """The server sends the next one only when the guest, having seen the last, has asked for it."""
    script = f"""
mkfifo /tmp/events
curl -sN {url(secure.PLAIN, "/events")} >/tmp/events &
exec 3</tmp/events
for number in 0 1 2; do
  curl -s {url(secure.PLAIN, "/next")} >/dev/null
  read -r line <&3 && read -r empty <&3 && echo "$line"
done
"""
    assert guest.shell(script) == "data: 0\ndata: 1\ndata: 2\n"


WEBSOCKET_CLIENT = """
import os, socket, ssl, sys
raw = socket.create_connection((sys.argv[1], int(sys.argv[2])), 20)
chat = ssl.create_default_context().wrap_socket(raw, server_hostname=sys.argv[1])
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


def test_a_websocket(guest):
    lines = guest.exec("python3", "-c", WEBSOCKET_CLIENT, ONE, str(secure.PLAIN)).text.splitlines()
    assert lines == ["Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=", "first", "second"]
    assert guest.wait_for_record(event="egress_request", path="/chat")["status"] == 101


def test_half_an_answer_is_no_whole_one(guest):
    guest.exec("curl", "-sS", url(secure.PLAIN, "/cut"), code=18)
    assert guest.wait_for_record(event="egress_request", path="/cut")["error"]


# HTTP/2

def test_a_page_over_http2(guest):
    answer = curl(guest, "--http2", "--write-out", "%{http_version}", url(secure.NGINX))
    assert answer == "hello from nginx\n2"


def test_an_upstream_without_http2_is_shown_as_it_is(guest):
    answer = curl(guest, "--http2", "--write-out", "%{http_version}", url(secure.HTTP1_ONLY))
    assert answer == "hello from nginx\n1.1"


def test_many_streams_at_once(guest):
    said = guest.exec("h2load", "-n", "500", "-c", "2", "-m", "50", url(secure.NGINX), timeout=120).text
    assert "500 succeeded, 0 failed, 0 errored" in said, said
    assert "Application protocol: h2" in said, said


def test_nghttp_reuses_a_connection(guest):
    said = guest.exec("nghttp", "--null-out", "--stat", "--multiply=10", url(secure.NGINX)).text
    assert said.count(" 200 ") == 10, said


# Rules for requests

def test_a_path_is_denied_in_the_middle_of_a_connection(guest):
    words = ["--http1.1", "--write-out", "%{http_code}\n"]
    said = curl(guest, *words, url(secure.NGINX), url(secure.NGINX, "/private/"), url(secure.NGINX))
    assert said.startswith("hello from nginx\n200\nmicroagent refused")
    assert said.endswith("403\nhello from nginx\n200\n")
    denied = guest.wait_for_record(event="egress_deny", path="/private/")
    assert denied["method"] == "GET" and "one.test" in denied["rule"]
    assert denied["decision"] in said


def test_a_path_in_disguise_is_denied(guest):
    for disguise in ("/x/../private/", "/%70rivate/", "//private/", "/private%2findex.html"):
        code = curl(guest, "--path-as-is", "--output", "/dev/null", "--write-out", "%{http_code}",
                    url(secure.NGINX, disguise))
        assert code == "403", disguise


def test_a_method_is_denied_over_http2_in_json(guest):
    said = curl(guest, "--http2", "-X", "DELETE", "-H", "Accept: application/json", url(secure.NGINX))
    answer = json.loads(said)
    assert answer["error"] == "egress_denied" and "DELETE" in answer["rule"]


def test_another_host_on_the_connection_is_refused(guest):
    code = curl(guest, "--http1.1", "-H", "Host: two.test", "--output", "/dev/null", "--write-out", "%{http_code}",
                url(secure.NGINX))
    assert code == "421"
    assert guest.wait_for_record(event="egress_deny", signal="name-destination-mismatch", path="/")


# Upstreams that are not to be believed

@pytest.mark.parametrize("port, fault, words", [(secure.EXPIRED, "expired", "expired"),
                                               (secure.WRONG_NAME, "wrong-name", "other.test"),
                                               (secure.SELF_SIGNED, "self-signed", "signed by itself")])
def test_a_bad_certificate_is_never_papered_over(guest, port, fault, words):
    said = curl(guest, "--write-out", "%{http_code}", url(port))
    assert said.endswith("502") and words in said, said
    record = guest.wait_for_record(event="egress_mitm_upstream_error", dst=f"203.0.113.1:{port}")
    assert record["fault"] == fault and record["host"] == ONE
    # A client that offers no protocol may not read pages: it gets the alert that says the same.
    said = guest.shell(f"openssl s_client -connect {ONE}:{port} -servername {ONE} </dev/null 2>&1", code=1)
    assert "alert" in said and "BEGIN CERTIFICATE" not in said, said


def test_a_server_that_wants_a_certificate_is_one_for_passthrough(guest):
    said = curl(guest, "--write-out", "%{http_code}", url(secure.MUTUAL))
    allow = guest.wait_for_record(event="egress_allow", dst=f"203.0.113.1:{secure.MUTUAL}")
    assert allow["asksCertificate"] is True
    record = guest.wait_for_record(event="egress_mitm_upstream_error", dst=f"203.0.113.1:{secure.MUTUAL}")
    assert said.endswith("502") and "--egress-passthrough" in said and "--egress-passthrough" in record["error"]


# Passthrough

def fingerprint(guest, host, port):
    return guest.shell(f"openssl s_client -connect {host}:{port} -servername {host} </dev/null 2>/dev/null"
                       " | openssl x509 -noout -fingerprint -sha256").strip()


def test_a_passthrough_host_shows_its_own_certificate(guest, upstream):
    own = upstream.certificates.fingerprint("good")
    assert fingerprint(guest, "two.test", secure.NGINX) == own
    assert fingerprint(guest, ONE, secure.NGINX) != own


def test_mutual_tls_works_through_passthrough(guest, upstream):
    """The guest's own certificate, which nobody else could show, for a server that wants it."""
    certificate, key = upstream.certificates.make("client", client=True)
    guest.exec("sh", "-c", "cat >/tmp/client.pem", stdin=certificate.read_bytes() + key.read_bytes())
    words = ["--cert", "/tmp/client.pem", "--cacert", "/tmp/root.pem", url(secure.MUTUAL, host="two.test")]
    guest.exec("sh", "-c", "cat >/tmp/root.pem", stdin=upstream.root.read_bytes())
    assert curl(guest, *words) == "hello over TLS\n"
    without = guest.exec("curl", "-sS", *words[2:], code=None)
    assert without.code != 0 and without.text == "", without


def test_a_client_that_pins_its_server_is_recorded_and_works_through_passthrough(guest, upstream):
    """curl ends the handshake, looks at the key, and is gone."""
    pin = ["--pinnedpubkey", f"sha256//{upstream.certificates.pin('good')}"]
    before = guest.last_record()
    curl(guest, *pin, url(secure.NGINX), code=90)
    record = guest.wait_for_record(after=before, event="egress_mitm_handshake_error", host=ONE)
    assert "--egress-passthrough" in record["error"]
    guest.exec("sh", "-c", "cat >/tmp/root.pem", stdin=upstream.root.read_bytes())
    assert curl(guest, *pin, "--cacert", "/tmp/root.pem", url(secure.NGINX, host="two.test")) == "hello from nginx\n"


def test_a_client_that_trusts_nobody_else_is_recorded(guest):
    before = guest.last_record()
    guest.exec("curl", "-sS", "--capath", "/nonexistent", "--cacert",
               "/usr/share/ca-certificates/mozilla/ISRG_Root_X1.crt", url(secure.NGINX), code=60)
    record = guest.wait_for_record(after=before, event="egress_mitm_handshake_error", host=ONE)
    assert "--egress-passthrough" in record["error"]


# What the guest's side of TLS offers

def test_no_weak_finding(guest):
    said = guest.exec("sslscan", "--no-colour", "--show-certificate", f"{ONE}:{secure.NGINX}", timeout=240).text
    protocols = {line.split()[0]: line.split()[-1] for line in said.splitlines() if line.startswith(("SSLv", "TLSv1"))
                 and line.endswith(("enabled", "disabled"))}
    assert protocols == {"SSLv2": "disabled", "SSLv3": "disabled", "TLSv1.0": "disabled", "TLSv1.1": "disabled",
                         "TLSv1.2": "enabled", "TLSv1.3": "enabled"}, said
    for weak in ("vulnerable to", "Compression enabled", "Insecure"):
        assert weak not in said.replace("not vulnerable to", ""), (weak, said)
    accepted = [line for line in said.splitlines() if line.startswith(("Accepted", "Preferred"))]
    assert accepted and all("GCM" in line or "CHACHA20" in line for line in accepted), accepted


def test_sessions_are_resumed(guest):
    script = (f"openssl s_client -connect {ONE}:{secure.NGINX} -servername {ONE} -sess_out /tmp/session -tls1_2"
              " </dev/null >/dev/null 2>&1;"
              f"openssl s_client -connect {ONE}:{secure.NGINX} -servername {ONE} -sess_in /tmp/session -tls1_2"
              " </dev/null 2>/dev/null")
    assert "Reused, TLSv1.2" in guest.shell(script)


# The policy on a running workspace

def test_a_live_denial_ends_the_next_request(guest, microagent):
    assert curl(guest, url(secure.NGINX, "/index.html")) == "hello from nginx\n"
    policy = "one.test"
    microagent.run("egress", "deny", "opened", policy)
    try:
        ended = guest.exec("curl", "-sS", "--max-time", "10", url(secure.NGINX), code=None)
        assert ended.code not in (0, 28), ended  # refused, and at once
    finally:
        microagent.run("egress", "remove", "opened", policy)

    def works():
        return "hello" in guest.shell(f"curl -s {url(secure.NGINX)} || true")

    wait_until(works, "the rule is gone")
