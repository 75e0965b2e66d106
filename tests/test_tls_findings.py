"""What testssl.sh, which looks for all that was ever found wrong with a server's TLS, says of what a guest is shown.
The guest is a network namespace: the program starts thousands of others, which an emulated guest has no time for."""

import json
import subprocess

import pytest

from harness import mediated
from harness import secure_internet as secure
from harness import world as net
from harness.wait import wait_until

HARMLESS = ("OK", "INFO", "LOW")
# What it finds, and why that stays.
EXPECTED = {
    "cert_expirationStatus": "a certificate is made for a week, and anew before that is over",
    "cert_notAfter": "the same",
    "cert_revocation": "nobody but this guest is ever shown the certificate: there is no list to put it on",
    "cipher_order": "all that is offered is strong, so that the client may choose what its processor is good at",
    "secure_renego": "it asks without a name, for which the upstream has no certificate; asked with one below",
}
# All but what looks at the page, which is the upstream's, and what plays browsers, which have tests of their own.
CHECKS = ("--protocols", "--standard", "--fs", "--server-preference", "--server-defaults", "--vulnerable")
TIMEOUT = 600  # seconds, where others are busy; by itself it takes one minute


@pytest.fixture(scope="module")
def guest(upstream, build, scratch):
    made = mediated.MediatedGuest(build, scratch / "secure", {"mode": "mitm"}, resolvers=[net.RESOLVER],
                                  trust=[upstream.root.read_text()])
    wait_until(lambda: made.authority.exists() and "END CERT" in made.authority.read_text(), "there is an authority")
    yield made
    made.close()


@pytest.fixture(scope="module")
def findings(guest, scratch):
    """By their names, each a list."""
    directory = scratch / "findings"
    directory.mkdir()
    authority = directory / "authority.pem"
    kept = guest.authority.read_text()
    authority.write_text(kept[kept.index("-----BEGIN CERTIFICATE-----"):])
    report = directory / "findings.json"
    words = ["testssl", "--quiet", "--color", "0", "--warnings", "batch", "--nodns", "min", "--add-ca", authority,
             "--jsonfile", report, *CHECKS, f"one.test:{secure.NGINX}"]
    said = subprocess.run(guest.inside(*words), capture_output=True, text=True, check=False, timeout=TIMEOUT,
                          stdin=subprocess.DEVNULL, cwd=directory)
    found = {}
    for finding in json.loads(report.read_text()):
        found.setdefault(finding["id"], []).append(finding)
    assert len(found) > 50, said.stdout + said.stderr
    return found


def test_no_finding_is_worse_than_low(findings):
    worse = {name: [found["finding"] for found in those if found["severity"] not in HARMLESS]
             for name, those in findings.items()}
    worse = {name: those for name, those in worse.items() if those}
    assert worse.keys() == EXPECTED.keys(), worse


def test_renegotiation_is_secure(guest):
    words = ["openssl", "s_client", "-tls1_2", "-connect", f"one.test:{secure.NGINX}", "-servername", "one.test"]
    said = subprocess.run(guest.inside(*words), capture_output=True, text=True, check=False, timeout=TIMEOUT,
                          stdin=subprocess.DEVNULL)
    assert "Secure Renegotiation IS supported" in said.stdout, said


def test_it_has_seen_the_workspace_s_own_certificate(findings):
    assert findings["cert_caIssuers"][0]["finding"] == "microagent tap", findings["cert_caIssuers"]
    assert findings["cert_chain_of_trust"][0]["severity"] == "OK"
    assert findings["TLS1_3"][0]["severity"] == "OK" and findings["TLS1_1"][0]["finding"] == "not offered"
