#!/usr/bin/python3
"""bench/net_guest.py [--rounds N] [--seconds N]: the data plane with a real guest kernel under QEMU: netd through
vhost-user, QEMU's own `-netdev user`, and passt through `-netdev stream`, alternated; the same kernel, base image,
machine and processor (reference.py)."""

import argparse
import os
import pathlib
import shutil
import subprocess
import sys

sys.dont_write_bytecode = True
HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "tests"))

from harness import container  # pylint: disable=wrong-import-position
from harness import world as net  # pylint: disable=wrong-import-position
from harness.wait import wait_until  # pylint: disable=wrong-import-position
import measure  # pylint: disable=wrong-import-position
import reference  # pylint: disable=wrong-import-position
from table import render  # pylint: disable=wrong-import-position

NETD, USER, PASST = measure.OURS, measure.THEIRS, "passt"
PASST_PORT = 18902


class GuestBench(measure.Bench):
    def measure_user(self):
        self._measure_reference(USER, self.reference_words, measure.THEIR_PORT)

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
            self._measure_reference(PASST, words, PASST_PORT)
        finally:
            passt.kill()
            passt.wait()

    def _measure_reference(self, contender, words, host_port):
        guest = reference.ReferenceGuest(self.account, words)
        try:
            guest.wait_until_ready()
            guest.run(f"/bench/netpipe serve 0.0.0.0 {measure.GUEST_PORT} >/dev/null 2>&1 </dev/null &")
            guest.run(f"until grep -q ':{measure.GUEST_PORT:04X} ' /proc/net/tcp; do usleep 20000; done")
            measure.measure_network(contender, lambda command: guest.run(f"/bench/{command}"), self.tool, host_port,
                                    self.seconds)
        finally:
            guest.end()


def main(options):
    scratch = pathlib.Path(os.environ["MICROAGENT_TEST_SCRATCH"])
    build = pathlib.Path(os.environ.get("MICROAGENT_BUILD", HERE.parent / "build")).resolve()
    world = net.World(scratch)
    server = subprocess.Popen(world.inside(str(build / "bench" / "netpipe"), "serve", net.SERVER,
                                           str(measure.OUTSIDE_PORT)))
    bench = GuestBench(build, scratch, options.seconds)
    turns = [bench.measure_ours, bench.measure_user]
    names = [NETD, USER]
    if shutil.which("passt"):
        turns.append(bench.measure_passt)
        names.append(PASST)
    else:
        measure.say("bench: passt is left out: it is not installed")
    try:
        for number in range(options.rounds):
            for turn in turns:
                measure.say(f"round {number + 1} of {options.rounds}: {turn.__name__.removeprefix('measure_')}")
                turn()
    finally:
        for workspace in bench.workspaces:
            workspace.delete()
        server.kill()
        world.close()
    quantities = [samples for name, samples in measure.QUANTITIES.items() if not name.startswith("vsock")]
    print(render(quantities, names, NETD, USER))
    if PASST in names:
        print()
        print(render(quantities, [NETD, PASST], NETD, PASST))


def parse():
    parser = argparse.ArgumentParser(prog="bench/net_guest.py")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=int, default=3)
    return parser.parse_args()


if __name__ == "__main__":
    given = parse()
    if "MICROAGENT_TEST_ALONE" not in os.environ:
        sys.exit(container.run_alone([str(HERE / "net_guest.py"), *sys.argv[1:]]))
    if os.environ["MICROAGENT_TEST_ALONE"]:
        sys.exit(f"bench: no namespaces of our own: {os.environ['MICROAGENT_TEST_ALONE']}")
    main(given)
