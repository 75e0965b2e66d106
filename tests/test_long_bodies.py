"""Bodies far longer than what may be held of them pass an intercepted connection both ways, in either version of HTTP.
MICROAGENT_TEST_BODY_MIB=10240 for ten gibibytes of each; 64 MiB otherwise."""

import hashlib
import os
import subprocess

import pytest

from harness import python_guest
from harness import secure_internet as secure
from harness.memory import Watch

PACKAGES = ("ca-certificates", "curl", "nghttp2-client", "openssl", "sslscan")
MIB = 1 << 20
SIZE = int(os.environ.get("MICROAGENT_TEST_BODY_MIB", "64")) * MIB
PATIENCE = 120 + SIZE // MIB  # seconds: an emulated guest may do no more than this with TLS
MAY_GROW = 24 * 1024  # KiB: two windows of HTTP/2 at their widest, 8 MiB each, and buffers
URL = f"https://one.test:{secure.NGINX}"
# No two blocks are the same: what is lost, doubled or moved shows. The same words run on the host and in the guest.
CONTENT = f"seq 10000000 9999999999 | head -c {SIZE}"
FITS = 512 * MIB  # into the guest's memory: a body of known length, which curl sends in fewer pieces than a pipe's
VERSIONS = pytest.mark.parametrize("version", ["--http1.1", "--http2"])


@pytest.fixture(scope="module")
def upstream(world, scratch):
    made = secure.SecureInternet(world, scratch / "secure")
    pages = scratch / "secure" / "pages"
    subprocess.run(["sh", "-c", f"{CONTENT} >{pages}/long"], check=True)
    (pages / "long").chmod(0o644)
    with open(pages / "long", "rb") as file:
        made.digest_of_long = hashlib.file_digest(file, "sha256").hexdigest()
    yield made
    made.close()


@pytest.fixture(scope="module")
def guest(upstream, prefix, microagent, workspaces):
    python_guest.install(prefix, microagent, PACKAGES)
    made = workspaces("long", "--memory", "2GiB", "--egress", "mitm", "--egress-trust", str(upstream.root))
    for version in ("--http1.1", "--http2"):  # what is there once for all is there before the first measurement
        made.exec("curl", "-sS", "-o", "/dev/null", version, f"{URL}/big", timeout=120)
    return made


@VERSIONS
def test_a_download_is_not_held(guest, upstream, version):
    with Watch(guest) as watch:
        said = guest.shell(f"curl -sS --fail {version} {URL}/long | sha256sum", timeout=PATIENCE)
    assert said.split()[0] == upstream.digest_of_long
    assert watch.growth() < MAY_GROW, f"{watch.before} KiB, then {watch.most}"


@VERSIONS
def test_an_upload_is_not_held(guest, upstream, version):
    feed, source = f"{CONTENT} |", "-"
    if SIZE <= FITS:
        guest.shell(f"[ -f /tmp/up ] || {CONTENT} >/tmp/up", timeout=PATIENCE)
        feed, source = "", "/tmp/up"
    with Watch(guest) as watch:
        said = guest.shell(f"{feed} curl -sS -X POST -T {source} -H Expect: {version} {URL}/up", timeout=PATIENCE)
    assert said.split() == [str(SIZE), upstream.digest_of_long]
    assert watch.growth() < MAY_GROW, f"{watch.before} KiB, then {watch.most}"


@VERSIONS
def test_a_guest_that_does_not_read_stops_its_upstream(guest, upstream, version):
    """It takes the first bytes, and nothing while another download runs; the whole arrives in the end."""
    script = f"""
mkfifo /tmp/body{version}
curl -sS {version} {URL}/long >/tmp/body{version} &
exec 3</tmp/body{version}
{{ head -c 4096 <&3
curl -sS -r 0-8388607 -o /dev/null {version} {URL}/big
cat <&3; }} | sha256sum
"""
    with Watch(guest) as watch:
        said = guest.shell(script, timeout=PATIENCE)
    assert said.split()[0] == upstream.digest_of_long
    assert watch.growth() < 2 * MAY_GROW, f"{watch.before} KiB, then {watch.most}"
