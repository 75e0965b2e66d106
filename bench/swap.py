#!/usr/bin/python3
"""bench/swap.py [--rounds N] [--seconds S]: what a credential swap costs requests whose TLS is intercepted anyway. The
same interception without and with a swap, alternated within each round; client and upstream share one core, the
mediator has another. A cell is the median of the rounds and half the distance between the extremes.
"""

import argparse
import os
import pathlib
import sys

sys.dont_write_bytecode = True
HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "tests"))

from harness import container  # pylint: disable=wrong-import-position
from harness.world import run  # pylint: disable=wrong-import-position
import tls_clients as clients  # pylint: disable=wrong-import-position
import tls_contenders as contenders  # pylint: disable=wrong-import-position
from table import Samples, render  # pylint: disable=wrong-import-position
from tls import Stage, say  # pylint: disable=wrong-import-position

CONNECTIONS, STREAMS = 32, 16
QUANTITIES = {
    "requests1": Samples("requests, HTTP/1.1, per core", "1/s", "more"),
    "requests2": Samples("requests, HTTP/2, per core", "1/s", "more"),
    "rate1": Samples("requests, HTTP/1.1, by the clock", "1/s", "more"),
    "rate2": Samples("requests, HTTP/2, by the clock", "1/s", "more"),
    "p50-1": Samples("one request after another, HTTP/1.1, p50", "us", "less"),
    "p99-1": Samples("the same, p99", "us", "less"),
    "p50-2": Samples("one request after another, HTTP/2, p50", "us", "less"),
    "p99-2": Samples("the same, p99", "us", "less"),
    "bulk1": Samples("bulk, HTTP/1.1, per core", "MB/s", "more"),
    "bulk2": Samples("bulk, HTTP/2, per core", "MB/s", "more"),
}


class Plain(contenders.Microagent):
    name = "intercepted"


class Swapped(contenders.Microagent):
    name = "with a swap"

    def command(self):
        secret = self.write("secret", "sk-" + "0123456789abcdef" * 3 + "\n")
        return [*super().command(), secret]


KINDS = (Plain, Swapped)


def load(contender, name, unit, run_load):
    before = contender.cpu_seconds()
    done = run_load()
    if done.failed:
        say(f"bench: {contender.name}: {done.failed} requests of \"{QUANTITIES[name].name}\" failed")
    spent = contender.cpu_seconds() - before
    QUANTITIES[name].add(contender.name, getattr(done, unit) * done.seconds / spent)
    return done


def measure(kind, stage, seconds):
    contender, log = kind(stage, stage.web), stage.directory / "times"
    port = contender.port
    try:
        rate1 = load(contender, "requests1", "requests", lambda: clients.wrk(port, "/small", seconds, CONNECTIONS))
        rate2 = load(contender, "requests2", "requests",
                     lambda: clients.h2load(port, "/small", seconds, 4, STREAMS, log))
        load(contender, "bulk1", "megabytes", lambda: clients.wrk(port, "/bulk", seconds, 2))
        load(contender, "bulk2", "megabytes", lambda: clients.h2load(port, "/bulk", seconds, 1, 2, log))
        alone1, alone2 = clients.wrk(port, "/small", seconds, 1), clients.h2load(port, "/small", seconds, 1, 1, log)
    finally:
        contender.close()
    values = {"rate1": rate1.requests, "rate2": rate2.requests, "p50-1": alone1.p50, "p99-1": alone1.p99,
              "p50-2": alone2.p50, "p99-2": alone2.p99}
    for name, value in values.items():
        QUANTITIES[name].add(contender.name, value)


def main(options):
    directory = pathlib.Path(os.environ["MICROAGENT_TEST_SCRATCH"])
    build = pathlib.Path(os.environ.get("MICROAGENT_BUILD", HERE.parent / "build")).resolve()
    run("ip", "link", "set", "lo", "up")
    os.sched_setaffinity(0, {contenders.SERVER_CPU})
    stage = Stage(directory, build, gib=1)
    try:
        for number in range(options.rounds):
            for kind in KINDS if number % 2 == 0 else reversed(KINDS):
                say(f"bench: round {number + 1} of {options.rounds}: {kind.name}")
                measure(kind, stage, options.seconds)
    finally:
        stage.close()
    print(f"medians of {options.rounds} rounds of {options.seconds} s")
    print(render(QUANTITIES.values(), [kind.name for kind in KINDS], Swapped.name, Plain.name))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.partition(":")[2])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=3)
    given = parser.parse_args()
    container.stay_only_alone(pathlib.Path(__file__).resolve())
    main(given)
