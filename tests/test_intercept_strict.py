"""Requests that servers could read in more than one way, and floods, from a guest whose TLS is intercepted; and what is
kept of a connection for the next one."""

import json
import pathlib

import pytest

from harness import python_guest
from harness import raw_http
from harness import secure_internet as secure
from harness.memory import Watch

# As test_intercept.py, whose image this is, too.
PACKAGES = ("ca-certificates", "curl", "nghttp2-client", "openssl", "sslscan")
ONE = "one.test"
ENHANCE_YOUR_CALM = 11
MAY_GROW = 4 * 1024  # KiB, by what a flood brings in


@pytest.fixture(scope="module")
def guest(upstream, prefix, microagent, workspaces):
    python_guest.install(prefix, microagent, PACKAGES)
    made = workspaces("strict", "--memory", "2GiB", "--egress", "mitm", "--egress-trust", str(upstream.root))
    made.exec("sh", "-c", "cat >/tmp/raw_http.py", stdin=pathlib.Path(raw_http.__file__).read_bytes())
    return made


def url(port, path="/"):
    return f"https://{ONE}:{port}{path}"


def curl(guest, *words, **options):
    return guest.exec("curl", "--silent", "--show-error", "--http1.1", *words, timeout=60, **options).text


def raw(guest, *cases):
    said = guest.exec("python3", "/tmp/raw_http.py", ONE, str(secure.NGINX), *cases, timeout=180).text
    return {line["case"]: line for line in map(json.loads, said.splitlines())}


def test_what_servers_read_differently_goes_nowhere(guest):
    answers = raw(guest, *raw_http.SMUGGLING)
    assert answers.keys() == raw_http.SMUGGLING.keys()
    refused = {record["decision"]: record for record in guest.egress() if record["event"] == "egress_deny"}
    for case, answer in answers.items():
        why = raw_http.SMUGGLING[case][1]
        assert answer["status"] == 400 and why in answer["text"], (case, answer)
        record = next((one for decision, one in refused.items() if decision in answer["text"].split()), None)
        assert record and record["reason"].startswith("malformed: ") and why in record["reason"], (case, answer)
    assert not [record for record in guest.egress() if record["event"] == "egress_request" and not record.get("error")]


def test_floods_end_their_connection(guest):
    for name in raw_http.FLOODS:
        with Watch(guest) as watch:
            answer = raw(guest, name)[name]
        assert answer["error"] == ENHANCE_YOUR_CALM, (name, answer)
        assert watch.growth() < MAY_GROW, f"{name}: {watch.before} KiB, then {watch.most}"
    assert curl(guest, url(secure.NGINX)) == "hello from nginx\n"


def test_an_upload_that_is_refused_early_hears_the_answer(guest):
    """The server answers before it has read the body, and resets the stream behind that."""
    guest.shell("head -c 4000000 /dev/zero >/tmp/up")
    for _ in range(3):
        said = guest.exec("curl", "--silent", "--show-error", "--http2", "-X", "POST", "-T", "/tmp/up", "-H", "Expect:",
                          "-o", "/dev/null", "-w", "%{http_code}", url(secure.NGINX, "/limited"), timeout=60).text
        assert said == "413"


def test_a_client_that_expects_to_be_told_to_go_on(guest):
    guest.shell("head -c 100000 /dev/zero >/tmp/up")
    said = guest.shell(f"curl -sv --http1.1 -H 'Expect: 100-continue' --expect100-timeout 30 --data-binary @/tmp/up"
                       f" {url(secure.NGINX, '/up')} 2>&1", timeout=60)
    assert "< HTTP/1.1 100" in said and "\n100000 " in said, said


def test_requests_in_one_go_are_answered_in_their_order(guest):
    script = (f"printf 'GET /head?1 HTTP/1.1\\r\\nHost: {ONE}:{secure.PLAIN}\\r\\n\\r\\nGET /head?2 HTTP/1.1\\r\\n"
              f"Host: {ONE}:{secure.PLAIN}\\r\\nConnection: close\\r\\n\\r\\n'"
              f" | openssl s_client -quiet -connect {ONE}:{secure.PLAIN} -servername {ONE} -alpn http/1.1 2>/dev/null")
    said = guest.shell(script)
    assert 0 <= said.find("GET /head?1 ") < said.find("GET /head?2 "), said
    assert said.count("HTTP/1.1 200 OK") == 2, said


def test_the_next_client_takes_the_connection_that_the_last_one_left(guest):
    """The server says by which port it is reached."""
    first, second = (curl(guest, url(secure.PLAIN, f"/peer?{number}")) for number in range(2))
    assert first == second and first.isdigit()
    allowed = [record for record in guest.egress() if record["event"] == "egress_allow"
               and record["dst"].endswith(f":{secure.PLAIN}")]
    assert allowed[-1].get("reused") is True, allowed
    # One that the server has ended in the meantime costs its next client nothing.
    assert curl(guest, url(secure.PLAIN, "/peer?last")) == second
    assert curl(guest, "-H", "Connection: close", url(secure.PLAIN, "/peer?closing")) == second
    third = curl(guest, url(secure.PLAIN, "/peer?new"))
    assert third.isdigit() and third != second
