"""Whom else a guest trusts where some of its TLS is intercepted: what its own tools add, and whom the host trusts
where it knows nobody by itself."""

import pathlib

import pytest

from harness import python_guest
from harness import secure_internet as secure

PACKAGES = ("ca-certificates", "curl", "openssl", "wget")
MEMORY = "2GiB"
BUNDLE, LIST = "/etc/microagent/egress-ca-bundle.pem", "/etc/ssl/certs/ca-certificates.crt"
HOSTS_LIST = pathlib.Path(LIST)
# One host is opened, the other is not.
POLICY = "allow:\n  - {host: one.test, methods: [GET]}\n"
OPENED, SPLICED = (f"https://{name}.test:{secure.NGINX}/" for name in ("one", "two"))
PAGE = "hello from nginx"
UPDATE = """set -e
test -s /etc/ca-certificates.conf ||
  (cd /usr/share/ca-certificates && find . -name '*.crt' | sed 's,^./,,') >/etc/ca-certificates.conf
update-ca-certificates {flags} >/tmp/update 2>&1 || { cat /tmp/update; exit 1; }
"""


@pytest.fixture(scope="module")
def flags(place, upstream):
    path = place / "opened.yaml"
    path.write_text(POLICY)
    path.chmod(0o644)
    return ["--egress-policy", str(path), "--egress-trust", str(upstream.root)]


@pytest.fixture(scope="module")
def bare(workspaces, flags):
    """The base image, which has no certificates."""
    return workspaces("bare", *flags)


def count(workspace, path):
    return int(workspace.shell(f"grep -c 'BEGIN CERTIFICATE' {path}"))


def update(workspace, option=""):
    workspace.shell(UPDATE.replace("{flags}", option), timeout=120)


def clients(url):
    """Told by variables, by the list, and by the directory of hashes."""
    without = "env -u SSL_CERT_FILE -u CURL_CA_BUNDLE"
    host = url.split("/")[2]
    verify = f"openssl s_client -verify_return_error -connect {host} -servername {host.split(':')[0]}"
    return {"curl": f"curl -sS {url}", "curl without variables": f"{without} curl -sS {url}",
            "wget, GnuTLS": f"{without} /usr/bin/wget -qO- {url}",
            "openssl": f"echo | {verify} && echo '{PAGE}'",
            "openssl with hashes": f"echo | {without} {verify} -CApath /etc/ssl/certs && echo '{PAGE}'"}


def refused(workspace, url):
    outcomes = {name: workspace.exec("sh", "-c", f"{command} 2>&1", code=None)
                for name, command in clients(url).items()}
    return {name: said.text[-300:] for name, said in outcomes.items() if said.code != 0 or PAGE not in said.text}


def test_a_guest_without_a_list_trusts_whom_its_host_does(bare):
    assert bare.status()["readiness"]["trustReady"]["ready"]
    assert bare.shell(f"readlink -f {BUNDLE}").strip() == LIST
    assert count(bare, BUNDLE) == HOSTS_LIST.read_text().count("BEGIN CERTIFICATE") + 1
    assert bare.shell("ls -d /microagent 2>/dev/null || true") == ""


def test_options_of_java_are_added_to(workspaces, flags):
    workspace = workspaces("options", *flags, "--env", "JAVA_TOOL_OPTIONS=-Xmx1g")
    store = "-Djavax.net.ssl.trustStore=/etc/microagent/egress-ca-trust.jks"
    said = workspace.shell("echo $JAVA_TOOL_OPTIONS")
    assert said.startswith("-Xmx1g ") and store in said, said
    said = workspace.exec("sh", "-c", "echo $JAVA_TOOL_OPTIONS", flags=("--env", "JAVA_TOOL_OPTIONS=-Xss1m")).text
    assert said.startswith("-Xss1m ") and store in said, said
    workspace.stop()


def test_a_guest_says_what_could_not_be_installed_and_lives(workspaces, flags):
    """The volume's mount stands where the list is written before it takes the old one's place."""
    workspace = workspaces("obstructed", *flags, "--volume", f"obstacle:{LIST}.microagent")
    ready = workspace.status()["readiness"]["trustReady"]
    assert not ready["ready"] and f"{LIST}.microagent: Is a directory" in ready["error"], ready
    assert "does not trust the certificates" in (workspace.directory / "supervisor.log").read_text()
    assert workspace.shell("echo $SSL_CERT_FILE").strip() == BUNDLE
    assert count(workspace, BUNDLE) > 1
    workspace.stop()


@pytest.fixture(scope="module")
def debian(bare, prefix, microagent, workspaces, flags):
    bare.stop()
    python_guest.install(prefix, microagent, PACKAGES)
    return workspaces("debian", "--memory", MEMORY, *flags)


def test_what_the_guests_tools_add_counts_for_all(debian, upstream):
    assert refused(debian, OPENED) == {}
    assert set(refused(debian, SPLICED)) == set(clients(SPLICED)), "nobody in the guest knows the root of the tests"
    debian.exec("sh", "-c", "cat >/usr/local/share/ca-certificates/company.crt", stdin=upstream.root.read_bytes())
    update(debian)
    assert refused(debian, OPENED) == {}
    assert refused(debian, SPLICED) == {}


def test_a_list_that_is_made_from_nothing_holds_the_authority(debian):
    debian.shell(f"rm {LIST}")
    update(debian, "--fresh")
    assert refused(debian, OPENED) == {}
    assert refused(debian, SPLICED) == {}
