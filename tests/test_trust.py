"""Whom a guest trusts: an authority of its workspace's own where TLS is intercepted, and nobody new where it is not."""

import stat

import pytest

from harness import python_guest

# Programs that speak TLS, each with a library or a list of its own.
PACKAGES = ("apt", "ca-certificates", "curl", "git", "nodejs", "openjdk-17-jre-headless", "openssl", "python3-requests",
            "rclone", "wget")
MEMORY = "3GiB"  # the root file system with them lives in it
CERTIFICATE, BUNDLE = "/etc/microagent/egress-ca.pem", "/etc/microagent/egress-ca-bundle.pem"
LIST = "/etc/ssl/certs/ca-certificates.crt"
KEY = "egress-ca-key.pem"
MOZILLA = "/usr/share/ca-certificates/mozilla/*.crt"  # what a guest of Debian trusts by itself

# Reading requests is what it takes.
POLICY = "allow:\n  - {host: api.test, methods: [GET]}\n"


@pytest.fixture(scope="module")
def policy(microagent, scratch):
    path = microagent.account.make_directory(scratch / "policies") / "requests.yaml"
    path.write_text(POLICY)
    path.chmod(0o644)
    return str(path)


@pytest.fixture(scope="module")
def guest(prefix, microagent, workspaces, policy):
    python_guest.install(prefix, microagent, PACKAGES)
    return workspaces("trusting", "--memory", MEMORY, "--egress-policy", policy, "--env",
                      "PIP_CERT=/mine.pem")


@pytest.fixture(scope="module")
def other(guest, workspaces):
    return workspaces("alone", "--memory", MEMORY)


def readiness(workspace):
    return workspace.status()["readiness"]["trustReady"]


def kept_certificate(workspace):
    return "-----BEGIN CERTIFICATE-----" + (workspace.directory / KEY).read_text().split(
        "-----BEGIN CERTIFICATE-----")[1]


def test_the_guest_says_that_it_trusts(guest):
    ready = readiness(guest)
    assert ready["ready"] and "error" not in ready and ready["observedAt"], ready


def test_the_key_stays_with_the_host_and_its_owner(guest):
    kept = guest.directory / KEY
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    assert "PRIVATE KEY" in kept.read_text()
    assert guest.shell(f"cat {CERTIFICATE}") == kept_certificate(guest)
    assert guest.shell("grep -rl 'PRIVATE KEY' /etc/microagent /etc/ssl /usr/local/share || true") == ""


def test_openssl_finds_it_wherever_it_looks(guest):
    for where in (f"-CAfile {CERTIFICATE}", f"-CAfile {BUNDLE}", f"-CAfile {LIST}", "-CApath /etc/ssl/certs"):
        guest.shell(f"env -u SSL_CERT_FILE openssl verify -no-CAfile -no-CAstore {where} {CERTIFICATE}")
    subject = guest.shell(f"openssl x509 -in {CERTIFICATE} -noout -subject -ext basicConstraints")
    assert "microagent trusting" in subject and "pathlen:0" in subject, subject


def test_java_finds_it_with_all_that_the_guest_trusts(guest):
    java = "/usr/lib/jvm/java-17-openjdk-amd64/bin"
    store = "/etc/microagent/egress-ca-trust.jks"
    assert f"trustStore={store}" in guest.shell("echo $JAVA_TOOL_OPTIONS")
    # With the password it verifies the whole of the store.
    listed = guest.shell(f"unset JAVA_TOOL_OPTIONS; {java}/keytool -list -v -keystore {store} -storepass changeit",
                         timeout=180)
    assert listed.count("Entry type: trustedCertEntry") == int(guest.shell(f"grep -c BEGIN {BUNDLE}"))
    assert "CN=microagent trusting" in listed


def test_the_guest_goes_on_trusting_what_it_did(guest):
    count = f"grep -c BEGIN {LIST}; grep -c BEGIN {BUNDLE}; cat {MOZILLA} | grep -c BEGIN"
    in_list, in_bundle, own = map(int, guest.shell(count).split())
    assert own > 100 and in_list == in_bundle == own + 1


def test_programs_are_told_by_variables_and_the_workspace_has_the_last_word(guest):
    environment = dict(line.split("=", 1) for line in guest.exec("env").text.splitlines())
    for name in ("SSL_CERT_FILE", "CURL_CA_BUNDLE", "REQUESTS_CA_BUNDLE", "GIT_SSL_CAINFO", "CARGO_HTTP_CAINFO",
                 "AWS_CA_BUNDLE"):
        assert environment[name] == BUNDLE, name
    for name in ("NODE_EXTRA_CA_CERTS", "DENO_CERT"):
        assert environment[name] == CERTIFICATE, name
    assert environment["PIP_CERT"] == "/mine.pem"


def test_nobody_new_is_trusted_where_nothing_is_intercepted(other):
    assert readiness(other) == {"ready": False}
    assert not (other.directory / KEY).exists()
    assert other.shell("ls -d /etc/microagent 2>/dev/null || true") == ""
    assert "SSL_CERT_FILE" not in other.exec("env").text
    assert other.shell(f"cat {LIST} | grep -c BEGIN") == other.shell(
        f"cat {MOZILLA} | grep -c BEGIN")


def test_a_guest_that_is_started_again_trusts_the_same(guest):
    before = guest.shell(f"cat {CERTIFICATE}")
    guest.stop()
    guest.start()
    assert guest.shell(f"cat {CERTIFICATE}") == before == kept_certificate(guest)
    assert readiness(guest)["ready"]


def test_a_damaged_key_is_replaced_and_said_so(guest):
    before = kept_certificate(guest)
    guest.stop()
    (guest.directory / KEY).write_text("scribble")
    guest.start()
    assert kept_certificate(guest) != before
    assert guest.shell(f"cat {CERTIFICATE}") == kept_certificate(guest)
    assert "is replaced by a new one: there is no private key in it" in (guest.directory / "supervisor.log").read_text()


def test_files_of_trust_are_checked_before_anything_is_recorded(microagent, policy, scratch):
    path = scratch / "policies" / "trust.pem"
    path.write_text("a note\n-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n")
    path.chmod(0o644)
    error = microagent.refuses("create", "careless", "--egress-trust", str(path))
    assert "--egress-trust" in error["message"] and f"{path}: line 2: a private key" in error["message"], error
    assert not (microagent.workspaces / "careless").exists()
