"""Guests with Python: a state directory whose guest image is the base image with a small Debian over it."""

import pathlib
import shutil
import subprocess
import sys

MEMORY = "1GiB"  # the root file system lives in it
TOOL = pathlib.Path(__file__).resolve().parents[2] / "tools" / "test-root"


def command(packages, modules, *words):
    return [sys.executable, str(TOOL), f"--with={','.join(packages)}", f"--npm={','.join(modules)}", *map(str, words)]


def fetch(packages=(), modules=()):
    """Fetches what the image is made of where that is not kept yet; without it, the tests that need it fail."""
    subprocess.run(command(packages, modules), check=False)


def install(prefix, microagent, packages=(), modules=()):
    """Gives the state directory an image with Python, and more of Debian's packages and npm's modules; made once, kept
    outside the checkout (tools/test-root)."""
    source = pathlib.Path(prefix) / "share" / "microagent" / "guest"
    guest = microagent.account.make_directory(microagent.state / "guest")
    shutil.copyfile(source / "vmlinuz", guest / "vmlinuz")
    subprocess.run(command(packages, modules, "--base", source / "initramfs", guest / "initramfs"), check=True)
    for path in guest.iterdir():
        path.chmod(0o600)
        microagent.account.own(path)
