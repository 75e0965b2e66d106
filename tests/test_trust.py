"""Whom a guest trusts: an authority of its workspace's own where TLS is intercepted, and nobody new where it is not."""

import io
import stat
import zipfile

import pytest

from harness import python_guest
from harness import secure_internet as secure

# Programs that speak TLS, each with a library or a list of its own.
PACKAGES = ("apt", "awscli", "ca-certificates", "curl", "git", "nodejs", "openjdk-17-jre-headless", "openssl",
            "python3-pip", "python3-requests", "rclone", "wget")
MODULES = ("deno@2.9.6", "undici@6.29.1")
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
    python_guest.install(prefix, microagent, PACKAGES, MODULES)
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
                 "AWS_CA_BUNDLE", "GRPC_DEFAULT_SSL_ROOTS_FILE_PATH"):
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


# Real clients, each of another family.

JAVA = "/usr/lib/jvm/java-17-openjdk-amd64/bin"
URL = f"https://one.test:{secure.NGINX}/"
PAGE = "hello from nginx"
REFERENCE = "0123456789abcdef0123456789abcdef01234567\trefs/heads/main"
UNDICI = 'const {Agent, request} = require("/opt/npm/node_modules/undici")'
DENO = "/opt/npm/node_modules/@deno/linux-x64-glibc/deno"
# By default the bucket is a part of the host's name.
AWS = ("printf '[default]\\ns3 =\\n  addressing_style = path\\n' >/tmp/aws;"
       " AWS_CONFIG_FILE=/tmp/aws aws --region us-east-1")
OBJECT = "what aws has fetched"
SHOW = "page => page.body.text().then(console.log)"
PARCEL = "print('what pip has fetched')"
CLIENTS = {
    "curl, OpenSSL": (f"curl -sS {URL}", PAGE),
    "openssl": (f"echo | openssl s_client -verify_return_error -connect one.test:{secure.NGINX} -servername one.test",
                "Verify return code: 0 (ok)"),
    "wget, GnuTLS": (f"/usr/bin/wget -qO- {URL}", PAGE),
    "git, curl with GnuTLS": (f"git ls-remote {URL}repository", REFERENCE),
    "apt, GnuTLS": (f"/usr/lib/apt/apt-helper -o APT::Sandbox::User=root download-file {URL} /tmp/page >/dev/null"
                    " && cat /tmp/page", PAGE),
    "python, urllib": (f"python3 -c 'import urllib.request as u; print(u.urlopen(\"{URL}\").read())'", PAGE),
    "python, requests": (f"python3 -c 'import requests; print(requests.get(\"{URL}\").text)'", PAGE),
    "node, fetch": (f"node -e 'fetch(\"{URL}\").then(page => page.text()).then(console.log)'", PAGE),
    "node, https": (f"node -e 'require(\"https\").get(\"{URL}\", page => page.pipe(process.stdout))'", PAGE),
    "node, undici of npm": (f"node -e '{UNDICI}; request(\"{URL}\").then({SHOW})'", PAGE),
    "node, undici with HTTP/2": (f"node -e '{UNDICI}; request(\"{URL}\", {{dispatcher: new Agent({{allowH2: true}})}})"
                                 f".then({SHOW})'", PAGE),
    "pip": (f"pip install --no-deps --target /tmp/pip --index-url {URL}simple/ parcel && cat /tmp/pip/parcel.py",
            PARCEL),
    "aws": (f"{AWS} s3api get-object --no-sign-request --endpoint-url {URL} --bucket bucket --key object /tmp/object"
            " && cat /tmp/object", OBJECT),
    "deno": (f"{DENO} eval 'console.log(await (await fetch(\"{URL}\")).text())'", PAGE),
    # The one client of the web that a JRE brings along.
    "java": (f"{JAVA}/keytool -printcrl -file {URL}list.crl", "CN=root of the tests"),
    "go": (f"rclone --config /dev/null copyurl --stdout {URL}", PAGE),
}


def wheel():
    """The package that pip installs: its name, and the file."""
    about, content = "parcel-1.0.dist-info", io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        archive.writestr("parcel.py", PARCEL + "\n")
        archive.writestr(f"{about}/METADATA", "Metadata-Version: 2.1\nName: parcel\nVersion: 1.0\n")
        archive.writestr(f"{about}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr(f"{about}/RECORD", f"parcel.py,,\n{about}/METADATA,,\n{about}/WHEEL,,\n{about}/RECORD,,\n")
    return "parcel-1.0-py3-none-any.whl", content.getvalue()


@pytest.fixture(scope="module")
def upstream(world, scratch):
    directory = scratch / "trusted"
    made = secure.SecureInternet(world, directory)
    name, package = wheel()
    made.add_pages({
        "repository/info/refs": REFERENCE + "\n",
        "repository/HEAD": "ref: refs/heads/main\n",
        "list.crl": made.certificates.make_revocation_list(),
        "simple/parcel/index.html": f'<!DOCTYPE html><a href="/{name}">{name}</a>',
        name: package,
        "bucket/object": OBJECT + "\n",
    })
    yield made
    made.close()


@pytest.fixture(scope="module")
def intercepted(guest, other, upstream, workspaces):
    guest.stop()  # they are large
    other.stop()
    return workspaces("read", "--memory", MEMORY, "--egress", "mitm", "--egress-trust", str(upstream.root))


@pytest.mark.parametrize("command, answer", CLIENTS.values(), ids=CLIENTS.keys())
def test_a_client_believes_what_intercepts_it(intercepted, command, answer):
    said = intercepted.exec("sh", "-c", f"({command}) 2>&1", code=None, timeout=180)
    assert said.code == 0 and answer in said.text, said
    with_ours = intercepted.shell(f"echo | openssl s_client -connect one.test:{secure.NGINX} -servername one.test"
                                  " 2>/dev/null | openssl x509 -noout -issuer")
    assert "microagent read" in with_ours, "it was not intercepted"


def test_without_the_trust_file_the_server_is_not_believed(intercepted, workspaces):
    intercepted.stop()
    workspace = workspaces("wary", "--memory", MEMORY, "--egress", "mitm")
    said = workspace.shell(f"curl -s --write-out '%{{http_code}}' {URL}")
    assert said.endswith("502"), said
    record = workspace.wait_for_record(event="egress_mitm_upstream_error")
    assert record["fault"] in ("unknown-issuer", "self-signed"), record


def test_files_of_trust_are_checked_before_anything_is_recorded(microagent, policy, scratch):
    path = scratch / "policies" / "trust.pem"
    path.write_text("a note\n-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n")
    path.chmod(0o644)
    error = microagent.refuses("create", "careless", "--egress-trust", str(path))
    assert "--egress-trust" in error["message"] and f"{path}: line 2: a private key" in error["message"], error
    assert not (microagent.workspaces / "careless").exists()
