#!/usr/bin/python3
"""Measures how long a boot takes, beside Debian's own way with the same root file system, by turns in one run.

    microagent       `microagent start` of a Debian image on its disk, until it returns: commands can be run then
    built-in base    the same of a workspace without an image
    Debian           QEMU's standard machine with Debian's kernel and the initramfs that Debian makes for it, until the
                     first program of that disk speaks; no network is set up, nothing serves commands

All with the same accelerator, processor model, memory and count of processors.
"""

import argparse
import os
import pathlib
import subprocess
import sys
import tarfile
import time

sys.dont_write_bytecode = True
HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "tests"))

from harness import container, images  # pylint: disable=wrong-import-position
from harness import prefix as installation  # pylint: disable=wrong-import-position
from harness.account import Account  # pylint: disable=wrong-import-position
from harness.cli import Microagent  # pylint: disable=wrong-import-position
from harness.workspace import Workspace  # pylint: disable=wrong-import-position
from table import Samples, render  # pylint: disable=wrong-import-position

PACKAGES = ("initramfs-tools", "linux-image-cloud-amd64")
OURS, BASE, THEIRS = "microagent", "built-in base", "Debian"
BOOT = Samples("boot", "ms", "less")
READY = b"the first program speaks"


def layer():
    """Debian with a kernel and the initramfs that was made for it; kept."""
    tool = HERE.parent / "tools" / "test-image"
    made = subprocess.run([tool, *PACKAGES], stdout=subprocess.PIPE, text=True, check=True)
    return pathlib.Path(made.stdout.strip())


def take_boot_files(path, directory):
    """The kernel and the initramfs of a layer."""
    found = {}
    with tarfile.open(path) as tar:
        for member in tar:
            for kind in ("vmlinuz-", "initrd.img-"):
                if member.isfile() and member.name.removeprefix("./").startswith(f"boot/{kind}"):
                    found[kind] = directory / kind.rstrip("-")
                    found[kind].write_bytes(tar.extractfile(member).read())
                    found[kind].chmod(0o644)
    return found["vmlinuz-"], found["initrd.img-"]


class Bench:
    def __init__(self, build, scratch):
        self.account = Account(scratch / "home")
        prefix = installation.lay_out(build, scratch / "prefix")
        self.microagent = Microagent(prefix, self.account.make_directory(scratch / "state"), self.account)
        place = scratch / "image"
        place.mkdir(mode=0o755)
        debian = layer()
        self.kernel, self.initrd = take_boot_files(debian, place)
        ready = images.Layer().script("sbin/ready", f"echo {READY.decode()}\nexec sleep 1000\n").finish()
        image = images.write_layout(place / "layout", [debian.read_bytes(), ready])
        self.ours, self.base = Workspace(self.microagent, "debian"), Workspace(self.microagent, "base")
        self.ours.create("--image", image, timeout=200)
        self.base.create()

    def start(self, workspace, contender):
        begun = time.monotonic()
        record = self.microagent.json("start", workspace.name, "--timings", timeout=200)
        BOOT.add(contender, (time.monotonic() - begun) * 1000)
        workspace.kill()
        return record

    def boot_debian(self, accelerator):
        words = ["qemu-system-x86_64", "-nodefaults", "-display", "none", "-no-reboot", "-serial", "stdio",
                 "-accel", accelerator, "-cpu", "max" if accelerator == "tcg" else "host", "-m", "512M", "-smp", "1",
                 "-kernel", str(self.kernel), "-initrd", str(self.initrd),
                 "-append", "console=ttyS0 quiet root=/dev/vda rw init=/sbin/ready",
                 "-drive", f"file={self.ours.directory / 'base'},format=raw,if=virtio,snapshot=on",
                 "-netdev", "user,id=net", "-device", "virtio-net-pci,netdev=net"]
        begun = time.monotonic()
        qemu = self.account.popen(words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
        for line in qemu.stdout:
            if READY in line:
                BOOT.add(THEIRS, (time.monotonic() - begun) * 1000)
                break
        qemu.kill()
        qemu.communicate()


def main():
    parser = argparse.ArgumentParser(prog="bench/boot.py", description=__doc__.split("\n\n", maxsplit=1)[0])
    parser.add_argument("--rounds", type=int, default=7)
    rounds = parser.parse_args().rounds
    build = pathlib.Path(os.environ.get("MICROAGENT_BUILD", HERE.parent / "build")).resolve()
    bench = Bench(build, pathlib.Path(os.environ["MICROAGENT_TEST_SCRATCH"]))
    for number in range(rounds):
        print(f"round {number + 1} of {rounds}", file=sys.stderr, flush=True)
        record = bench.start(bench.ours, OURS)
        bench.start(bench.base, BASE)
        bench.boot_debian(record["acceleration"])
    print(render([BOOT], [OURS, BASE, THEIRS], OURS, THEIRS))
    print(f"\nMedians, with half the range, of {rounds} rounds, with {record['acceleration']}. "
          f"The last start of {OURS}:\n")
    for stage in record["timings"]:
        print(f"{stage['ms']:8.1f} ms  {stage['stage']}")


if __name__ == "__main__":
    if "MICROAGENT_TEST_ALONE" not in os.environ and not {"-h", "--help"} & set(sys.argv):
        layer()  # while the network is there
    container.stay_only_alone(pathlib.Path(__file__).resolve())
    main()
