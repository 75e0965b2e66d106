"""Ends of one half of an intercepted connection: a guest that has said all gets its whole response, and a response that
only the end of the connection ends is whole where TLS says so, and nowhere else."""

import json
import pathlib

import pytest

from harness import half_closing_client
from harness import python_guest
from harness import secure_internet as secure

PACKAGES = ("ca-certificates", "curl", "openssl", "socat")
ONE = "one.test"
BODY = "one half and the other"


@pytest.fixture(scope="module")
def guest(upstream, prefix, microagent, workspaces):
    python_guest.install(prefix, microagent, PACKAGES)
    made = workspaces("halves", "--memory", "2GiB", "--egress", "mitm", "--egress-trust", str(upstream.root))
    made.exec("sh", "-c", "cat >/tmp/client.py", stdin=pathlib.Path(half_closing_client.__file__).read_bytes())
    return made


def url(path):
    return f"https://{ONE}:{secure.PLAIN}{path}"


def ask(guest, path, version, how):
    said = guest.exec("python3", "/tmp/client.py", ONE, str(secure.PLAIN), path, version, *how, timeout=60).text
    return json.loads(said)


NOTIFY, BOTH, FIN = ("close_notify",), ("close_notify", "FIN"), ("FIN",)


@pytest.mark.parametrize("path, version, how", [
    ("/halves", "TLSv1_2", BOTH), ("/halves", "TLSv1_3", NOTIFY), ("/halves", "TLSv1_3", FIN),
    ("/whole", "TLSv1_2", NOTIFY), ("/whole", "TLSv1_2", FIN), ("/whole", "TLSv1_3", BOTH)])
def test_a_guest_that_has_said_all_gets_the_whole_response(guest, path, version, how):
    assert ask(guest, path, version, how) == {"body": BODY, "end": "closed"}


@pytest.mark.parametrize("version, how", [("TLSv1_2", ()), ("TLSv1_3", BOTH)])
def test_a_response_that_breaks_off_is_told_from_a_whole_one(guest, version, how):
    before = guest.last_record()
    assert ask(guest, "/broken", version, how) == {"body": BODY, "end": "cut"}
    assert "cut off" in guest.wait_for_record(after=before, event="egress_request", path="/broken")["error"]


def in_halves(command):
    """A client that writes what it hears into a pipe, and the second half once the first one is there."""
    return f"""
mkfifo /tmp/halves
{{ {command} >/tmp/halves; echo "code $?" >/tmp/code; }} &
exec 3</tmp/halves
dd bs=1 count=9 status=none <&3 && curl -s {url("/next")} >/dev/null
cat <&3
wait
cat /tmp/code
rm /tmp/halves
"""


def request(path):
    return f"printf 'GET {path} HTTP/1.1\\r\\nHost: {ONE}:{secure.PLAIN}\\r\\n\\r\\n'"


def test_openssl_tells_them_apart(guest):
    for path in ("/whole", "/broken"):
        client = f"{request(path)} | openssl s_client -quiet -ign_eof -connect {ONE}:{secure.PLAIN} 2>/tmp/said"
        assert BODY in guest.shell(in_halves(client))
        assert ("unexpected eof" in guest.shell("cat /tmp/said")) == (path == "/broken"), path


def test_curl_gets_what_only_the_end_of_the_connection_ends(guest):
    assert guest.shell(in_halves(f"curl -sN --http1.1 {url('/whole')}")) == f"{BODY}code 0\n"


def test_socat_ends_its_half_and_reads_on(guest):
    """It says close_notify as soon as its input has ended."""
    client = f"{request('/whole')} | socat -t 60 - OPENSSL:{ONE}:{secure.PLAIN},cafile=$SSL_CERT_FILE"
    said = guest.shell(in_halves(client))
    assert said.startswith("HTTP/1.1 200 OK") and f"\r\n{BODY}" in said and said.endswith("code 0\n"), said
