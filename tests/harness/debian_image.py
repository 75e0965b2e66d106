"""The layer of an image that is a real Debian: with Python, Node, systemd, and a file that has capabilities."""

import pathlib
import subprocess
import sys

PACKAGES = ("iputils-ping", "kmod", "libcap2-bin", "nodejs", "python3", "systemd-sysv")
TOOL = pathlib.Path(__file__).resolve().parents[2] / "tools" / "test-image"


def fetch():
    """Makes it where it is not kept yet; without it, the tests that need it fail."""
    subprocess.run([sys.executable, str(TOOL), *PACKAGES], stdout=subprocess.DEVNULL, check=False)


def layer():
    """The path of its tar file, which gzip has compressed."""
    made = subprocess.run([sys.executable, str(TOOL), *PACKAGES], capture_output=True, text=True, check=True)
    return pathlib.Path(made.stdout.strip())
