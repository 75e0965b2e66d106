"""Bodies far longer than what may be held of them pass an intercepted connection both ways, in either version of HTTP.
MICROAGENT_TEST_BODY_MIB=10240 for ten gibibytes of each; 64 MiB otherwise."""

import os
import re
import threading

import pytest

from harness import python_guest
from harness import secure_internet as secure

PACKAGES = ("ca-certificates", "curl", "nghttp2-client", "openssl", "sslscan")
MIB = 1 << 20
SIZE = int(os.environ.get("MICROAGENT_TEST_BODY_MIB", "64")) * MIB
PATIENCE = 120 + SIZE // MIB  # seconds: an emulated guest may do no more than this with TLS
MAY_GROW = 24 * 1024  # KiB: two windows of HTTP/2 at their widest, 8 MiB each, and buffers
URL = f"https://one.test:{secure.NGINX}"
VERSIONS = pytest.mark.parametrize("version", ["--http1.1", "--http2"])


@pytest.fixture(scope="module")
def upstream(world, scratch):
    made = secure.SecureInternet(world, scratch / "secure")
    pages = scratch / "secure" / "pages"
    with open(pages / "long", "wb") as file:
        file.truncate(SIZE)
    (pages / "long").chmod(0o644)
    yield made
    made.close()


@pytest.fixture(scope="module")
def guest(upstream, prefix, microagent, workspaces):
    python_guest.install(prefix, microagent, PACKAGES)
    made = workspaces("long", "--memory", "2GiB", "--egress", "mitm", "--egress-trust", str(upstream.root))
    for version in ("--http1.1", "--http2"):  # what is there once for all is there before the first measurement
        made.exec("curl", "-sS", "-o", "/dev/null", version, f"{URL}/big", timeout=120)
    return made


class Watch:
    """The most memory that the mediator holds meanwhile, in KiB."""

    def __init__(self, guest):
        self.status = f"/proc/{guest.processes()['mediator'].pid}/status"
        self.done = threading.Event()
        self.thread = threading.Thread(target=self.look)
        self.before = self.most = self.now()

    def now(self):
        with open(self.status, encoding="ascii") as file:
            return int(re.search(r"VmRSS:\s+(\d+)", file.read())[1])

    def look(self):
        while not self.done.wait(0.05):
            self.most = max(self.most, self.now())

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.done.set()
        self.thread.join()

    def growth(self):
        return self.most - self.before


@VERSIONS
def test_a_download_is_not_held(guest, version):
    with Watch(guest) as watch:
        said = guest.exec("curl", "-sS", "-o", "/dev/null", "-w", "%{http_code} %{size_download}", version,
                          f"{URL}/long", timeout=PATIENCE)
    assert said.text == f"200 {SIZE}"
    assert watch.growth() < MAY_GROW, f"{watch.before} KiB, then {watch.most}"


@VERSIONS
def test_an_upload_is_not_held(guest, version):
    guest.shell(f"truncate -s {SIZE} /tmp/up")
    with Watch(guest) as watch:
        said = guest.exec("curl", "-sS", "-X", "POST", "-T", "/tmp/up", "-H", "Expect:", version, f"{URL}/up",
                          timeout=PATIENCE)
    assert said.text.split()[0] == str(SIZE)
    assert watch.growth() < MAY_GROW, f"{watch.before} KiB, then {watch.most}"


@VERSIONS
def test_a_guest_that_does_not_read_stops_its_upstream(guest, version):
    """It takes the first bytes, and nothing while another download runs; the whole arrives in the end."""
    script = f"""
mkfifo /tmp/body{version}
curl -sS {version} {URL}/long >/tmp/body{version} &
exec 3</tmp/body{version}
head -c 4096 <&3 >/dev/null
curl -sS -r 0-8388607 -o /dev/null {version} {URL}/big
wc -c <&3
"""
    with Watch(guest) as watch:
        said = guest.shell(script, timeout=PATIENCE)
    assert int(said) == SIZE - 4096
    assert watch.growth() < 2 * MAY_GROW, f"{watch.before} KiB, then {watch.most}"
