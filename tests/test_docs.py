"""Every command in README.md and docs/ is typed here, in the order in which its page has it, by a new user with a home
of their own; and every piece of YAML is read by `create`."""

import dataclasses
import itertools
import os
import pathlib
import signal
import subprocess

import pytest

from harness import images, pages
from harness.account import Account
from harness.certificates import Certificates
from harness.cli import Microagent

ROOT = pathlib.Path(__file__).resolve().parent.parent
PAGES = sorted([ROOT / "README.md", *(path for path in (ROOT / "docs").glob("*.md") if path.name != "cli.md")])
PATIENCE = 240

# What other tests run, or what a test cannot.
ELSEWHERE = {
    "make demo": "e2e/demo",
    "make test": "what runs this",
    "make guest": "what made the guest of this test",
    "make": "what built the programs of this test",
    "export PATH=$PWD/build/bin:$PATH": "done below",
    "git clone … microagent && cd microagent": "names no place",
    "microagent run debian:12 cat /etc/os-release": "needs a registry; test_images.py has one",
    "microagent create dev --image debian:12 --volume work:/work": "test_images.py, test_volumes.py",
    "microagent start dev": "of the same",
    "microagent exec -t dev -- bash": "of the same",
    "make install prefix=/usr/local": "test_install.py, below a prefix of its own",
    "make deb": "make test-deb",
    "certutil -d sql:$HOME/.pki/nssdb -A -t C,, -n microagent -i /etc/microagent/egress-ca.pem":
        "is for a guest; test_browsers.py",
    "sudo apt install ./build/microagent_*.deb": "make test-deb",
}
# What must fail, and with which code.
FAILURES = {
    "microagent exec web -- wget -q -O - http://10.0.0.5/": 1,
}
# What goes on until it is interrupted, and what is typed at a terminal.
ENDLESS = {"microagent logs --follow web", "microagent egress agent --follow", "microagent supervise web"}
AT_A_TERMINAL = {"microagent exec -t web -- sh": "exit\n", "microagent run --network isolated -t base sh": "exit\n"}
# What the reader has exported.
EXPORTED = {"OPENAI_API_KEY": "the-key-of-the-reader"}
# What a page takes for granted.
BEFORE = {
    "docs/exec.md": ["microagent create web", "microagent start web",
                     "microagent exec web -- mkdir -p /srv /opt /var/log",
                     "microagent exec web -- touch /var/log/app.log",
                     "microagent exec web -- sh -c 'echo \"#!/bin/sh\" >/bin/make && chmod 755 /bin/make'"],
}
# What it leaves to its reader to do in between.
AFTER = {
    "microagent create agent --egress-lock-allowlist --egress-allow api.example.com:443,.pypi.org:443":
        ["microagent start agent"],
}
# A page that makes one workspace in two ways shows alternatives: the one before is deleted.
CREATE = "microagent create "
ACCOUNTS = itertools.count()


@dataclasses.dataclass
class Reader:
    """Somebody who has installed microagent and follows a page."""

    prefix: pathlib.Path
    account: Account
    made: set = dataclasses.field(default_factory=set)

    @property
    def home(self):
        return self.account.home

    def popen(self, *argv, **options):
        path = f"{self.prefix / 'bin'}:/usr/local/bin:/usr/bin:/bin"
        environment = {"PATH": path, **EXPORTED}
        return self.account.popen(argv, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, **options)

    def type(self, text, code=0, stdin=None):
        shell = ["bash", "-o", "pipefail", "-c", text]
        words = ["script", "-qec", text, "/dev/null"] if text in AT_A_TERMINAL else shell
        with self.popen(*words, stdin=subprocess.PIPE) as process:
            out, _ = process.communicate((stdin or AT_A_TERMINAL.get(text, "")).encode(), timeout=PATIENCE)
        assert process.returncode == code, f"{text}: exit code {process.returncode}, not {code}\n{out.decode()}"
        return out.decode()

    def follow(self, text):
        """Reads what comes first, and interrupts it as Ctrl-C would."""
        with self.popen("bash", "-c", f"exec {text}", stdin=subprocess.DEVNULL) as process:
            first = process.stdout.readline()
            process.send_signal(signal.SIGINT)
            rest, _ = process.communicate(timeout=30)
        assert first, f"{text} says nothing\n{rest.decode()}"

    def obey(self, text):
        if text in ELSEWHERE:
            return
        if text in ENDLESS:
            return self.follow(text)
        if text.startswith(CREATE):
            self.make_room(text.split()[2])
        self.type(text, FAILURES.get(text, 0))
        for further in AFTER.get(text, []):
            self.type(further)

    def make_room(self, name):
        if name in self.made:
            self.type(f"microagent delete --force {name}")
        self.made.add(name)

    def tidy(self):
        for record in Microagent(self.prefix, self.home / ".microagent", self.account).json("list")["workspaces"]:
            self.type(f"microagent delete --force {record['name']}")


@pytest.fixture
def reader(world, guest_image, prefix, scratch):
    account = Account(scratch / f"reader-{next(ACCOUNTS)}")
    reader = Reader(prefix, account)
    lay_out(reader.home)
    for path in (reader.home, *reader.home.rglob("*")):
        account.own(path)
    yield reader
    reader.tidy()


def lay_out(home):
    """The reader's own files, which the pages speak of."""
    for directory in ("data", "app"):
        (home / directory).mkdir()
        (home / directory / "file").write_text("content\n")
    subprocess.run(["tar", "-cf", home / "tree.tar", "-C", home, "data"], check=True)
    images.write_layout(home / "image", [images.busybox_layer()])
    certificates = Certificates(home / "certificates")
    (home / "ca").mkdir()
    os.link(certificates.root, home / "ca" / "internal.pem")


def write_files(page, home):
    for name, text in pages.files(page).items():
        (home / name).write_text(text)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_command_of_the_page_does_what_it_says(page, reader):
    write_files(page, reader.home)
    for text in BEFORE.get(str(page.relative_to(ROOT)), []):
        reader.obey(text)
    for command in pages.commands(page, ROOT):
        print(command)  # pytest shows it where the test fails
        reader.obey(command.text)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_no_command_stands_where_it_is_not_tested(page):
    assert pages.unmarked_commands(page) == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_piece_of_a_spec_is_one(page, reader):
    for number, (line, text) in enumerate(pages.fragments(page)):
        (reader.home / "spec.yaml").write_text(text)
        print(f"{page.name}:{line}")
        reader.type(f"microagent create piece{number} --dry-run --file spec.yaml")
