#!/usr/bin/python3
"""bench/net_guest.py [--rounds N] [--seconds N]: the data plane with a real guest kernel under QEMU: netd through
vhost-user, QEMU's own `-netdev user`, and passt through `-netdev stream`, alternated; the same kernel, base image,
machine and processor (reference.py)."""

import argparse
import pathlib
import shutil
import subprocess
import sys

sys.dont_write_bytecode = True
HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "tests"))

from harness import container  # pylint: disable=wrong-import-position
from harness.wait import wait_until  # pylint: disable=wrong-import-position
import measure  # pylint: disable=wrong-import-position
import reference  # pylint: disable=wrong-import-position
from table import render  # pylint: disable=wrong-import-position

NETD, USER, PASST = measure.OURS, measure.THEIRS, "passt"
PASST_PORT = 18902


class GuestBench(measure.Bench):
    def measure_user(self):
        self.measure_peer(USER, self.reference_words, measure.THEIR_PORT)

    def measure_passt(self):
        path = self.scratch / "home" / "passt.socket"
        path.unlink(missing_ok=True)
        words = ["passt", "--foreground", "--one-off", "--ipv4-only", "--socket", path, "--address", reference.ADDRESS,
                 "--netmask", "255.255.255.0", "--gateway", "10.0.2.2", "--mtu", 65520,
                 "--tcp-ports", f"127.0.0.1/{PASST_PORT}:{measure.GUEST_PORT}"]
        passt = self.account.popen(list(map(str, words)), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            wait_until(path.exists, "passt listens")
            network = f"stream,id=net,server=off,addr.type=unix,addr.path={path}"
            words = [network if word.startswith("user,id=net") else word for word in self.reference_words]
            self.measure_peer(PASST, words, PASST_PORT)
        finally:
            passt.kill()
            passt.wait()


def main(options):
    with measure.stage(GuestBench, options.seconds) as bench:
        turns = [bench.measure_ours, bench.measure_user]
        if shutil.which("passt"):
            turns.append(bench.measure_passt)
        else:
            measure.say("bench: passt is left out: it is not installed")
        measure.alternate(turns, options.rounds)
    quantities = list(measure.QUANTITIES.values())
    print(render(quantities, [NETD, USER], NETD, USER))
    if bench.measure_passt in turns:
        print()
        print(render(quantities, [NETD, PASST], NETD, PASST))


def parse():
    parser = argparse.ArgumentParser(prog="bench/net_guest.py")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=int, default=3)
    return parser.parse_args()


if __name__ == "__main__":
    given = parse()
    container.stay_only_alone(pathlib.Path(__file__).resolve())
    main(given)
