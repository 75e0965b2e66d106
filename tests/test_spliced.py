"""TLS that nobody opens, the default: the upstream's own certificate, clients that pin it, and mutual TLS; in a guest
that trusts the workspace's authority, since another of its hosts is intercepted."""

import pytest

from harness import python_guest
from harness import secure_internet as secure

# As test_intercept.py, whose image this is, too.
PACKAGES = ("ca-certificates", "curl", "nghttp2-client", "openssl", "sslscan")
OPENED, SPLICED = "one.test", "two.test"
POLICY = f"""
deny:
  - {{host: {OPENED}, paths: ["/private/*"]}}
"""


@pytest.fixture(scope="module")
def guest(upstream, prefix, microagent, workspaces, scratch):
    python_guest.install(prefix, microagent, PACKAGES)
    policy = scratch / "requests.yaml"
    policy.write_text(POLICY)
    policy.chmod(0o644)
    made = workspaces("spliced", "--memory", "2GiB", "--egress-trust", str(upstream.root), "--egress-policy",
                      str(policy))
    made.exec("sh", "-c", "cat >/tmp/root.pem", stdin=upstream.root.read_bytes())
    return made


def curl(guest, *words, code=0):
    return guest.exec("curl", "--silent", "--show-error", *words, code=code, timeout=60).text


def url(host, port, path="/"):
    return f"https://{host}:{port}{path}"


def fingerprint(guest, host):
    return guest.shell(f"openssl s_client -connect {host}:{secure.NGINX} -servername {host} </dev/null 2>/dev/null"
                       " | openssl x509 -noout -fingerprint -sha256").strip()


def test_a_host_without_a_rule_for_requests_shows_its_own_certificate(guest, upstream):
    own = upstream.certificates.fingerprint("good")
    assert fingerprint(guest, SPLICED) == own
    assert fingerprint(guest, OPENED) != own
    assert curl(guest, url(OPENED, secure.NGINX)) == "hello from nginx\n", "trusted by what the guest was told"
    allowed = guest.wait_for_record(event="egress_allow", dst=f"203.0.113.1:{secure.NGINX}", host=SPLICED)
    assert "mitm" not in allowed, allowed


def test_the_guest_judges_it_by_what_it_trusts_itself(guest):
    """The authority of the workspace vouches for nobody whose TLS is not opened."""
    curl(guest, url(SPLICED, secure.NGINX), code=60)
    assert curl(guest, "--cacert", "/tmp/root.pem", url(SPLICED, secure.NGINX)) == "hello from nginx\n"


def test_a_client_that_pins_works(guest, upstream):
    pin = ["--cacert", "/tmp/root.pem", "--pinnedpubkey", f"sha256//{upstream.certificates.pin('good')}"]
    assert curl(guest, *pin, url(SPLICED, secure.NGINX)) == "hello from nginx\n"


def test_mutual_tls_works(guest, upstream):
    certificate, key = upstream.certificates.make("client", client=True)
    guest.exec("sh", "-c", "cat >/tmp/client.pem", stdin=certificate.read_bytes() + key.read_bytes())
    words = ["--cacert", "/tmp/root.pem", url(SPLICED, secure.MUTUAL)]
    assert curl(guest, "--cert", "/tmp/client.pem", *words) == "hello over TLS\n"
    without = guest.exec("curl", "-sS", *words, code=None)
    assert without.code != 0 and without.text == "", without
