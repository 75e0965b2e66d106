"""Small Debian roots for tests, made by mmdebstrap from the sources that this machine's own apt uses, and kept."""

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

SUITE = "bookworm"


class Failure(Exception):
    """What was wrong, and what to do about it."""


def sources():
    """Files that name this machine's own Debian archives."""
    found = [Path("/etc/apt/sources.list"), *sorted(Path("/etc/apt/sources.list.d").glob("*debian*"))]
    usable = [path for path in found if path.suffix in (".list", ".sources") and path.is_file()]
    if not usable:
        raise Failure("apt of this machine has no Debian sources; add /etc/apt/sources.list")
    return usable


def bootstrap(tar, packages, variant, *options):
    """A tar file of the packages. Of the variant "extract" they are unpacked and not configured, and nothing runs."""
    if shutil.which("mmdebstrap") is None:
        raise Failure("there is no mmdebstrap; run: tools/setup mmdebstrap")
    print(f"fetching a small Debian with {', '.join(packages)}", file=sys.stderr, flush=True)
    mode = "root" if os.getuid() == 0 else "unshare"
    command = ["mmdebstrap", "--quiet", f"--mode={mode}", f"--variant={variant}", f"--include={','.join(packages)}",
               "--format=tar", *options, SUITE, str(tar), *map(str, sources())]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    if done.returncode != 0:
        lines = done.stderr.strip().splitlines() or [f"exit code {done.returncode}"]
        raise Failure(f"mmdebstrap: {lines[-1]}; check the network and run: sudo apt-get update")


def cached(recipe, suffix, make):
    """The file of a recipe, made if it is not there yet, in $XDG_CACHE_HOME/microagent/test-root (~/.cache by default).
    `make` is given a directory for its own use, and the path to write."""
    name = hashlib.sha256(repr(recipe).encode()).hexdigest()[:16]
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "microagent" / "test-root"
    kept = cache / f"{name}{suffix}"
    if kept.exists():
        return kept
    cache.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=cache, prefix=".making-") as scratch:
        made = Path(scratch, f"made{suffix}")
        make(Path(scratch), made)
        made.rename(kept)
    return kept
