"""Measures the network of a workspace against QEMU's own user network, with the same guest, in the same run, the
contenders alternated. Started by bench/run.

    boot              from the command to a guest that is ready: isolated, user, and the reference
    guest to host     bytes per second over one TCP connection from the guest to a server outside
    host to guest     the same, the server sending
    published         the same over a published port, the host sending
    round trip        one byte there and back, over TCP and over UDP
    connect           connect, one byte there and back, close
    vsock             the first two, the fourth and the last over the mediation channel, to the same server, beside TCP
"""

import argparse
import contextlib
import json
import os
import pathlib
import statistics
import subprocess
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "tests"))

from harness import container  # pylint: disable=wrong-import-position
from harness import prefix as installation  # pylint: disable=wrong-import-position
from harness import world as net  # pylint: disable=wrong-import-position
from harness.account import Account  # pylint: disable=wrong-import-position
from harness.cli import Microagent  # pylint: disable=wrong-import-position
from harness.workspace import Workspace  # pylint: disable=wrong-import-position
import reference  # pylint: disable=wrong-import-position
from table import Samples, render  # pylint: disable=wrong-import-position

OURS, ISOLATED, THEIRS = "microagent", "isolated", "qemu user"
OUTSIDE_PORT, GUEST_PORT, OUR_PORT, THEIR_PORT = 9100, 9001, 18900, 18901
CHANNEL_PORT = 2048  # of the guest's vsock; it leads to OUTSIDE_PORT too
PINGS, CONNECTS = 200, 100

BOOT = Samples("boot", "ms", "less")
QUANTITIES = {
    "up": Samples("TCP guest to host", "Mbit/s", "more"),
    "down": Samples("TCP host to guest", "Mbit/s", "more"),
    "published": Samples("TCP into a published port", "Mbit/s", "more"),
    "ping": Samples("TCP round trip, median", "us", "less"),
    "ping-udp": Samples("UDP round trip, median", "us", "less"),
    "published-ping": Samples("round trip, published port", "us", "less"),
    "connect": Samples("connect, ask, close, median", "us", "less"),
}
VSOCK, TCP = "vsock", "TCP"
CHANNEL = {
    "up": Samples("guest to host", "Mbit/s", "more"),
    "down": Samples("host to guest", "Mbit/s", "more"),
    "ping": Samples("round trip, median", "us", "less"),
    "connect": Samples("connections, one after another", "1/s", "more"),
}


def say(text):
    print(text, file=sys.stderr, flush=True)


def record(contender, name, output, key):
    QUANTITIES[name].add(contender, json.loads(output.strip().splitlines()[-1])[key])


def measure_channel(run_in_guest, seconds):
    """The same server over the mediation channel and over TCP, by turns."""
    for name, mode, amount, key in (("up", "send", seconds, "mbps"), ("down", "receive", seconds, "mbps"),
                                    ("ping", "ping", PINGS, "p50us"), ("connect", "connect", CONNECTS, "p50us")):
        for contender, place in ((VSOCK, f"vsock {CHANNEL_PORT}"), (TCP, f"{net.SERVER} {OUTSIDE_PORT}")):
            value = json.loads(run_in_guest(f"netpipe {mode} {place} {amount}").strip().splitlines()[-1])[key]
            CHANNEL[name].add(contender, 1e6 / value if name == "connect" else value)


def measure_network(contender, run_in_guest, tool, host_port, seconds):
    """`run_in_guest` gives what a command in the guest writes; there, a server listens on GUEST_PORT."""
    outside = f"{net.SERVER} {OUTSIDE_PORT}"

    def from_host(mode, amount):
        words = [str(word) for word in (tool, mode, "127.0.0.1", host_port, amount)]
        return subprocess.run(words, capture_output=True, text=True, check=True, timeout=60).stdout

    record(contender, "up", run_in_guest(f"netpipe send {outside} {seconds}"), "mbps")
    record(contender, "down", run_in_guest(f"netpipe receive {outside} {seconds}"), "mbps")
    record(contender, "published", from_host("send", seconds), "mbps")
    record(contender, "ping", run_in_guest(f"netpipe ping {outside} {PINGS}"), "p50us")
    record(contender, "ping-udp", run_in_guest(f"netpipe ping-udp {outside} {PINGS}"), "p50us")
    record(contender, "published-ping", from_host("ping", PINGS), "p50us")
    record(contender, "connect", run_in_guest(f"netpipe connect {outside} {CONNECTS}"), "p50us")


class Bench:
    def __init__(self, build, scratch, seconds):
        self.tool = build / "bench" / "netpipe"
        self.seconds = seconds
        self.scratch = scratch
        self.prefix = installation.lay_out(build, scratch / "prefix")
        self.account = Account(scratch / "home")
        self.microagent = Microagent(self.prefix, self.account.make_directory(scratch / "state"), self.account)
        self.initrd = scratch / "reference.initrd"
        guest = self.prefix / "share" / "microagent" / "guest"
        reference.compose_initrd(guest / "initramfs", self.tool, self.initrd)
        self.user = Workspace(self.microagent, "user")
        self.user.create("--publish", f"{OUR_PORT}:{GUEST_PORT}", "--mediation",
                         f"{CHANNEL_PORT}={net.SERVER}:{OUTSIDE_PORT}")
        self.plain = Workspace(self.microagent, "plain")
        self.plain.create()
        self.isolated = Workspace(self.microagent, "isolated")
        self.isolated.create("--network", "isolated")
        self.workspaces = (self.user, self.plain, self.isolated)
        self.reference_words = None

    def measure_boots(self, count):
        """The two by turns, each first every other time."""
        contenders = [(self.isolated, ISOLATED), (self.plain, OURS)]
        for _ in range(count):
            for workspace, contender in contenders:
                begun = time.monotonic()
                workspace.start()
                BOOT.add(contender, (time.monotonic() - begun) * 1000)
                workspace.kill()
            contenders.reverse()

    def measure_ours(self):
        self.user.start()
        qemu = self.user.processes()["qemu"]
        self.reference_words = reference.command(reference.words_of(qemu.pid), self.initrd,
                                                  {THEIR_PORT: GUEST_PORT})
        self.user.install(self.tool, "/tmp/netpipe")
        self.user.background("/tmp/netpipe", "serve", "0.0.0.0", str(GUEST_PORT))
        self.user.wait_for_listener(GUEST_PORT)
        measure_network(OURS, lambda command: self.user.shell(f"/tmp/{command}"), self.tool, OUR_PORT, self.seconds)
        measure_channel(lambda command: self.user.shell(f"/tmp/{command}"), self.seconds)
        self.user.kill()

    def measure_reference(self):
        self.measure_peer(THEIRS, self.reference_words, THEIR_PORT)

    def measure_peer(self, contender, words, host_port):
        """The same guest with another network: QEMU's `words`, a port of the host's that leads to GUEST_PORT."""
        guest = reference.ReferenceGuest(self.account, words)
        try:
            BOOT.add(contender, guest.wait_until_ready() * 1000)
            guest.run(f"/bench/netpipe serve 0.0.0.0 {GUEST_PORT} >/dev/null 2>&1 </dev/null &")
            guest.run(f"until grep -q ':{GUEST_PORT:04X} ' /proc/net/tcp; do usleep 20000; done")
            measure_network(contender, lambda command: guest.run(f"/bench/{command}"), self.tool, host_port,
                            self.seconds)
        finally:
            guest.end()


def arguments():
    parser = argparse.ArgumentParser(prog="bench/run", description=__doc__.split("\n\n", maxsplit=1)[0])
    parser.add_argument("--rounds", type=int, default=3, help="how often each contender has its turn")
    parser.add_argument("--boots", type=int, default=11, help="how often a workspace of either mode boots")
    parser.add_argument("--seconds", type=int, default=3, help="length of each measurement of throughput")
    return parser.parse_args()


@contextlib.contextmanager
def stage(kind, seconds):
    """A Bench of this kind, in networks of its own, with a server outside."""
    scratch = pathlib.Path(os.environ["MICROAGENT_TEST_SCRATCH"])
    build = pathlib.Path(os.environ.get("MICROAGENT_BUILD", HERE.parent / "build")).resolve()
    world = net.World(scratch)
    server = subprocess.Popen(world.inside(str(build / "bench" / "netpipe"), "serve", net.SERVER, str(OUTSIDE_PORT)))
    bench = kind(build, scratch, seconds)
    try:
        yield bench
    finally:
        for workspace in bench.workspaces:
            workspace.delete()
        server.kill()
        world.close()


def alternate(turns, rounds):
    for number in range(rounds):
        for turn in turns:
            say(f"round {number + 1} of {rounds}: {turn.__name__.removeprefix('measure_')}")
            turn()


def main():
    wanted = arguments()
    with stage(Bench, wanted.seconds) as bench:
        say(f"{wanted.boots} boots each of two workspaces")
        bench.measure_boots(wanted.boots)
        alternate((bench.measure_ours, bench.measure_reference), wanted.rounds)
    print(render([BOOT, *QUANTITIES.values()], [OURS, ISOLATED, THEIRS], OURS, THEIRS))
    print("\nThe mediation channel beside TCP, of the same guest to the same server:\n")
    print(render(CHANNEL.values(), [VSOCK, TCP], VSOCK, TCP))
    differences = [ours - isolated for ours, isolated in zip(BOOT.values[OURS], BOOT.values[ISOLATED])]
    quartiles = statistics.quantiles(differences, n=4) if len(differences) > 1 else differences * 3
    print(f"\nMedians, with half the range; {wanted.rounds} rounds and {wanted.boots} boots. "
          f"The network's share of a boot: {quartiles[1]:.0f} ms "
          f"(half of all pairs lie between {quartiles[0]:.0f} and {quartiles[2]:.0f}).")


if __name__ == "__main__":
    container.stay_only_alone(pathlib.Path(__file__).resolve())
    main()
