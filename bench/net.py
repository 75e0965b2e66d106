#!/usr/bin/python3
"""bench/net.py [--rounds N] [--seconds S] [--mtu MTU]... [--only NAME]...: netd's data plane on a tap, by itself and
with the mediator in its path, beside the kernel, pasta and slirp4netns, the contenders alternated within each round, in
network namespaces of their own.

A cell is the median of the rounds and half the distance between the extremes; a dash is what a contender cannot do.
"""

import argparse
import json
import os
import pathlib
import resource
import signal
import subprocess
import sys
import time

sys.dont_write_bytecode = True
HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "tests"))

from harness import container, tap  # pylint: disable=wrong-import-position
from harness.wait import wait_until  # pylint: disable=wrong-import-position
import net_contenders as contenders  # pylint: disable=wrong-import-position
from table import Samples, render  # pylint: disable=wrong-import-position

OURS = contenders.Mediated.name  # what a workspace has
PORT, ECHO_PORT, UDP_PORT, IDLE_PORT, IDLE = 9100, 9102, 9101, 7000, 2000
PINGS, CONNECTS, STREAMS, CLIENTS = 1000, 200, 4, 32
PATIENCE = 90  # seconds for one measurement
HOLD = """
import socket, sys
held = [socket.create_connection((sys.argv[1], int(sys.argv[2])), timeout=30) for _ in range(int(sys.argv[3]))]
print("open", flush=True)
sys.stdin.read()
"""

QUANTITIES = {
    "send1": Samples("TCP guest to host, 1 stream", "Gbit/s", "more"),
    "receive1": Samples("TCP host to guest, 1 stream", "Gbit/s", "more"),
    "send4": Samples("TCP guest to host, 4 streams", "Gbit/s", "more"),
    "receive4": Samples("TCP host to guest, 4 streams", "Gbit/s", "more"),
    "published-send": Samples("published port, to the guest", "Gbit/s", "more"),
    "published-receive": Samples("published port, from the guest", "Gbit/s", "more"),
    "cpu-send": Samples("CPU per GB, guest to host", "s", "less"),
    "cpu-receive": Samples("CPU per GB, host to guest", "s", "less"),
    "ping-p50": Samples("request and response, p50", "us", "less"),
    "ping-p99": Samples("request and response, p99", "us", "less"),
    "connect1": Samples("connect, ask, close, p50", "us", "less"),
    "connect32": Samples("the same, 32 clients", "1/s", "more"),
    "udp1400": Samples("UDP received, 1400 bytes", "kpps", "more"),
    "udp64": Samples("UDP received, 64 bytes", "kpps", "more"),
    "rest": Samples("memory at rest", "MiB", "less"),
    "idle": Samples("memory with 2,000 connections", "MiB", "less"),
}


class Bench:
    def __init__(self, options, build):
        self.options, self.netpipe = options, build / "bench" / "netpipe"
        contenders.Netd.build = contenders.Mediated.build = build

    def clients(self, contender, mode, amount, count, where=None):
        """Runs netpipe in the guest, `count` at once; what each says."""
        host, port = where or (contender.server, ECHO_PORT if mode in ("ping", "connect") else PORT)
        words = [self.netpipe, mode, host, port, amount]
        runner = (lambda *command: list(map(str, command))) if where else contender.inside
        started = [subprocess.Popen(runner(*words), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
                   for _ in range(count)]
        said = []
        for client in started:
            try:
                output, _ = client.communicate(timeout=PATIENCE)
            except subprocess.TimeoutExpired:
                client.kill()
                client.wait()
                continue
            if client.returncode == 0:
                said.append(json.loads(output.strip().splitlines()[-1]))
        return said

    def record(self, contender, quantity, value):
        QUANTITIES[quantity].add(contender.name, value)

    def throughput(self, contender, mode, streams):
        pids = contender.pids()
        before = contenders.cpu_seconds(pids)
        said = self.clients(contender, mode, self.options.seconds, streams)
        spent = contenders.cpu_seconds(pids) - before
        gigabytes = sum(one["bytes"] for one in said) / 1e9
        self.record(contender, f"{mode}{streams}", sum(one["mbps"] for one in said) / 1000)
        if streams == 1 and pids and gigabytes > 0:
            self.record(contender, f"cpu-{mode}", spent / gigabytes)

    def published(self, contender):
        """The server is in the guest, the client on the host."""
        server = subprocess.Popen(contender.inside(self.netpipe, "serve", "0.0.0.0", contenders.GUEST_PORT),
                                  start_new_session=True)
        try:
            def answers():
                return self.clients(contender, "ping", 1, 1, contender.published)
            wait_until(answers, "the guest serves", 30)
            for mode in ("send", "receive"):
                said = self.clients(contender, mode, self.options.seconds, 1, contender.published)
                self.record(contender, f"published-{mode}", sum(one["mbps"] for one in said) / 1000)
        finally:
            os.killpg(server.pid, signal.SIGKILL)  # with its children
            server.wait()

    def latency(self, contender):
        for said in self.clients(contender, "ping", PINGS, 1):
            self.record(contender, "ping-p50", said["p50us"])
            self.record(contender, "ping-p99", said["p99us"])
        for said in self.clients(contender, "connect", CONNECTS, 1):
            self.record(contender, "connect1", said["p50us"])
        start = time.monotonic()
        said = self.clients(contender, "connect", CONNECTS, CLIENTS)
        self.record(contender, "connect32", sum(one["count"] for one in said) / (time.monotonic() - start))

    def datagrams(self, contender):
        for size in (1400, 64):
            server = subprocess.Popen(["iperf3", "--server", "--one-off", "--json", "--bind", contender.server,
                                       "--port", str(UDP_PORT)], stdout=subprocess.PIPE, text=True)
            wait_until(lambda: f":{UDP_PORT}" in subprocess.run(["ss", "-Hnlt"], text=True, capture_output=True,
                                                               check=True).stdout, "iperf3 listens")
            words = ["iperf3", "--client", contender.server, "--port", UDP_PORT, "--udp", "--bitrate", 0,
                     "--length", size, "--time", self.options.seconds]
            client = subprocess.run(contender.inside(*words),
                                    stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=PATIENCE, check=False)
            try:
                report = json.loads(server.communicate(timeout=10)[0])
            except subprocess.TimeoutExpired:
                server.kill()
                server.wait()
                continue
            if client.returncode == 0:
                total = report["end"]["sum"]
                received = total["packets"] - total["lost_packets"]
                self.record(contender, f"udp{size}", received / total["seconds"] / 1000)

    def memory(self, contender):
        if not contender.process:
            return
        holder = tap.Holder(IDLE_PORT)
        client = subprocess.Popen(contender.inside("python3", "-c", HOLD, contender.server, IDLE_PORT, IDLE),
                                  stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        if client.stdout.readline() == "open\n":
            self.record(contender, "idle", contender.resident_mib())
        client.communicate()
        holder.close()

    def measure(self, name, mtu):
        contender = contenders.ALL[name](mtu)
        try:
            if contender.process:
                self.record(contender, "rest", contender.resident_mib())
            for streams in (1, STREAMS):
                for mode in ("send", "receive"):
                    self.throughput(contender, mode, streams)
            self.published(contender)
            self.latency(contender)
            self.datagrams(contender)
            self.memory(contender)
        finally:
            contender.close()


def say(text):
    print(text, file=sys.stderr, flush=True)


def main(options):
    build = pathlib.Path(os.environ.get("MICROAGENT_BUILD", HERE.parent / "build")).resolve()
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    sink = tap.Namespace()
    contenders.prepare(sink)
    bench = Bench(options, build)
    names = [name for name in contenders.ALL if not options.only or name in options.only]
    for name in list(names):
        if why := contenders.missing(name):
            say(f"bench: {name} is left out: {why}")
            names.remove(name)
    servers = [subprocess.Popen([bench.netpipe, "serve", "0.0.0.0", str(PORT)]),
               subprocess.Popen([build / "bench" / "netecho", "0.0.0.0", str(ECHO_PORT)])]
    try:
        for mtu in options.mtu:
            for quantity in QUANTITIES.values():
                quantity.values.clear()
            for number in range(options.rounds):
                for name in names:
                    say(f"bench: MTU {mtu}, round {number + 1} of {options.rounds}: {name}")
                    bench.measure(name, mtu)
            print(f"\nMTU {mtu}, medians of {options.rounds} rounds of {options.seconds} s")
            print(render(QUANTITIES.values(), names, OURS, "pasta"), flush=True)
    finally:
        for server in servers:
            server.kill()
            server.wait()
        sink.close()


def parse():
    parser = argparse.ArgumentParser(description=__doc__.partition(":")[2])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=3)
    parser.add_argument("--mtu", type=int, action="append")
    parser.add_argument("--only", action="append", choices=contenders.ALL)
    options = parser.parse_args()
    options.mtu = options.mtu or [1500, 65520]
    return options


if __name__ == "__main__":
    given = parse()
    container.stay_only_alone(pathlib.Path(__file__).resolve())
    main(given)
