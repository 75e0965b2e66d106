"""Browsers, which bring their own lists of whom to trust, in a guest whose TLS is intercepted. Chromium itself is not
among them: where processors are emulated and others are busy it takes longer for a handshake than anybody waits."""

import pytest

from harness import python_guest
from harness import secure_internet as secure

PACKAGES = ("ca-certificates", "chromium-headless-shell", "firefox-esr", "libnss3-tools")
MEMORY = "4GiB"  # the root file system with them lives in it
HOST = "one.test"
URL = f"https://{HOST}:{secure.NGINX}/"
TIMEOUT = 300  # where processors are emulated, a browser takes half a minute to begin

# What a browser does of its own accord asks servers that are not there.
CHROMIUM = ("--no-sandbox --disable-gpu --disable-dev-shm-usage --disable-background-networking --no-first-run"
            " --disable-component-update --disable-sync --user-data-dir=/tmp/profile --dump-dom")
DATABASE = "/root/.pki/nssdb"


@pytest.fixture(scope="module")
def guest(upstream, prefix, microagent, workspaces):
    python_guest.install(prefix, microagent, PACKAGES)
    return workspaces("browsing", "--memory", MEMORY, "--egress", "mitm", "--egress-trust", str(upstream.root))


def test_the_guest_says_that_its_browsers_trust(guest):
    assert guest.status()["readiness"]["trustReady"]["ready"]


def handshake(guest, database, code):
    """With a client of NSS, which verifies the server."""
    command = f"tstclnt -Q -h {HOST} -p {secure.NGINX} -d sql:{database} </dev/null 2>&1"
    return guest.exec("sh", "-c", command, code=code)


def test_nss_believes_what_intercepts_it(guest):
    """Once it has made its keys and signed with them what is trusted; but not in a database that it made itself."""
    guest.shell(f"cp -r {DATABASE} /tmp/ours && mkdir /tmp/theirs")
    for database in ("/tmp/ours", "/tmp/theirs"):
        guest.shell(f"certutil -d sql:{database} -N --empty-password")
    assert "microagent browsing" in handshake(guest, "/tmp/ours", 0).text
    assert "UNKNOWN_ISSUER" in handshake(guest, "/tmp/theirs", 254).text
    assert "microagent egress" in guest.shell("certutil -d sql:/tmp/ours -L")
    # As docs/egress-trust.md says.
    guest.shell("certutil -d sql:/tmp/theirs -A -t C,, -n microagent -i /etc/microagent/egress-ca.pem")
    handshake(guest, "/tmp/theirs", 0)


def test_sqlite_finds_nothing_wrong_with_the_database(guest):
    check = "import sqlite3; print(*sqlite3.connect('/tmp/ours/cert9.db').execute('pragma integrity_check'))"
    assert guest.exec("python3", "-c", check).text == "('ok',)\n"


def test_the_headless_shell_of_chromium(guest):
    """What Playwright starts. It heeds no policies, but the database of NSS."""
    said = guest.shell(f"chromium-headless-shell {CHROMIUM} {URL} 2>&1", timeout=TIMEOUT)
    assert "hello from nginx" in said, said
    assert guest.shell(f"ls {DATABASE}").split() == ["cert9.db", "key4.db", "pkcs11.txt"]


def test_firefox(guest):
    script = (f"mkdir /tmp/firefox; cd /tmp; firefox-esr --headless --no-remote --profile /tmp/firefox"
              f" --screenshot /tmp/page.png {URL}firefox >/tmp/said 2>&1; cat /tmp/said; ls /tmp/page.png")
    said = guest.shell(script, timeout=TIMEOUT)
    assert "/tmp/page.png" in said, said
    assert guest.wait_for_record(event="egress_request", host=HOST, path="/firefox")["status"] == 404
