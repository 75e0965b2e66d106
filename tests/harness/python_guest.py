"""Guests with Python: a state directory whose guest image is the base image with a small Debian over it."""

import pathlib
import shutil
import subprocess
import sys

MEMORY = "1GiB"  # the root file system lives in it


def install(prefix, microagent):
    """Gives the state directory an image with Python; made once, kept outside the checkout (tools/test-root)."""
    tool = pathlib.Path(__file__).resolve().parents[2] / "tools" / "test-root"
    source = pathlib.Path(prefix) / "share" / "microagent" / "guest"
    guest = microagent.account.make_directory(microagent.state / "guest")
    shutil.copyfile(source / "vmlinuz", guest / "vmlinuz")
    subprocess.run([sys.executable, str(tool), "--base", str(source / "initramfs"), str(guest / "initramfs")],
                   check=True)
    for path in guest.iterdir():
        path.chmod(0o600)
        microagent.account.own(path)
