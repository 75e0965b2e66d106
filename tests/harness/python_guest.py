"""Guests with Python: a state directory whose guest image is the base image with a small Debian over it."""

import pathlib
import shutil
import subprocess
import sys

MEMORY = "1GiB"  # the root file system lives in it
TOOL = pathlib.Path(__file__).resolve().parents[2] / "tools" / "test-root"


def make_root(packages, *words):
    subprocess.run([sys.executable, str(TOOL), f"--with={','.join(packages)}", *map(str, words)], check=True)


def fetch(packages=()):
    """Fetches what the image is made of where that is not kept yet; without it, the tests that need it fail."""
    subprocess.run([sys.executable, str(TOOL), f"--with={','.join(packages)}"], check=False)


def install(prefix, microagent, packages=()):
    """Gives the state directory an image with Python, and more of Debian's packages; made once, kept outside the
    checkout (tools/test-root)."""
    source = pathlib.Path(prefix) / "share" / "microagent" / "guest"
    guest = microagent.account.make_directory(microagent.state / "guest")
    shutil.copyfile(source / "vmlinuz", guest / "vmlinuz")
    make_root(packages, "--base", source / "initramfs", guest / "initramfs")
    for path in guest.iterdir():
        path.chmod(0o600)
        microagent.account.own(path)
