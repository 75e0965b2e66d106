#!/usr/bin/python3
"""bench/tls.py [--rounds N] [--seconds S] [--gib N] [--only NAME]...: TLS in and TLS out, by the mediator, HAProxy,
nginx and mitmproxy, the contenders alternated within each round. Client and upstream share one core, the contender has
another; what it did is told for each second of CPU that it used, which holds on a machine with other work.

A cell is the median of the rounds and half the distance between the extremes; a dash is what was not measured.
"""

import argparse
import os
import pathlib
import sys
import time

sys.dont_write_bytecode = True
HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "tests"))

from harness import container  # pylint: disable=wrong-import-position
from harness.certificates import Certificates  # pylint: disable=wrong-import-position
from harness.world import run  # pylint: disable=wrong-import-position
import tls_clients as clients  # pylint: disable=wrong-import-position
import tls_contenders as contenders  # pylint: disable=wrong-import-position
from table import Samples, render  # pylint: disable=wrong-import-position

OURS, PEERS = contenders.Microagent.name, [contenders.Haproxy.name, contenders.Nginx.name, contenders.Mitmproxy.name]
BULK_BYTES, SMALL_BYTES, IDLE = 64 << 20, 512, 400
CONNECTIONS, STREAMS, VISITS = 32, 16, 200  # visits for each second of a measurement

QUANTITIES = {
    "bulk1": Samples("bulk, HTTP/1.1, per core", "MB/s", "more"),
    "bulk2": Samples("bulk, HTTP/2, per core", "MB/s", "more"),
    "requests1": Samples("requests, HTTP/1.1, per core", "1/s", "more"),
    "requests2": Samples("requests, HTTP/2, per core", "1/s", "more"),
    "fresh": Samples("connections, each with an upstream's, per core", "1/s", "more"),
    "connections": Samples("visits of one request each, upstreams kept, per core", "1/s", "more"),
    "rate1": Samples("requests, HTTP/1.1, by the clock", "1/s", "more"),
    "rate2": Samples("requests, HTTP/2, by the clock", "1/s", "more"),
    "p50-1": Samples("one request after another, HTTP/1.1, p50", "us", "less"),
    "p99-1": Samples("the same, p99", "us", "less"),
    "p50-2": Samples("one request after another, HTTP/2, p50", "us", "less"),
    "p99-2": Samples("the same, p99", "us", "less"),
    "first-p50": Samples("first byte of a new connection's answer, p50", "us", "less"),
    "first-p99": Samples("the same, p99", "us", "less"),
    "event-p50": Samples("SSE event, from server to client, p50", "us", "less"),
    "event-p99": Samples("the same, p99", "us", "less"),
    "socket-p50": Samples("WebSocket message there and back, p50", "us", "less"),
    "socket-p99": Samples("the same, p99", "us", "less"),
    "idle": Samples("memory of an idle connection", "KiB", "less"),
    "down1": Samples("memory added by one long download, HTTP/1.1", "MiB", "less"),
    "down2": Samples("the same, HTTP/2", "MiB", "less"),
    "up1": Samples("memory added by one long upload, HTTP/1.1", "MiB", "less"),
    "up2": Samples("the same, HTTP/2", "MiB", "less"),
}

UPSTREAM = """
daemon off;
worker_processes 1;
pid upstream.pid;
error_log upstream-error.log;
events {{ worker_connections 8192; }}
http {{
    access_log off;
    sendfile on;
    keepalive_requests 1000000000;
    keepalive_timeout 1h;
    server {{
        listen 127.0.0.1:{port} ssl http2 backlog=1024;
        http2_max_concurrent_streams 1024;
        ssl_certificate {certificate};
        ssl_certificate_key {key};
        ssl_protocols TLSv1.2 TLSv1.3;
        ssl_ciphers {ciphers};
        ssl_conf_command Ciphersuites {suites};
        root {root};
        location = /fresh {{ try_files /small =404; }}
        location = /sink {{
            client_max_body_size 0;
            proxy_http_version 1.1;
            proxy_request_buffering off;
            proxy_pass http://127.0.0.1:{sink};
        }}
    }}
}}
"""


class Stage:
    """The upstreams, and what contenders need."""

    def __init__(self, directory, build, gib):
        self.directory, self.build, self.last_port = directory, build, 8100
        self.log = open(directory / "log", "wb")  # pylint: disable=consider-using-with
        self.certificates = Certificates(directory / "certificates")
        self.leaf = self.certificates.make("proxy", contenders.NAME)
        certificate, key = self.certificates.make("upstream", contenders.NAME)
        root = directory / "files"
        root.mkdir()
        (root / "small").write_bytes(os.urandom(SMALL_BYTES))
        (root / "bulk").write_bytes(os.urandom(1 << 20) * (BULK_BYTES >> 20))
        with open(root / "long", "wb") as file:
            file.truncate(gib << 30)
        for path in (directory, root, root / "small", root / "bulk", root / "long"):
            path.chmod(0o755)
        hosts = directory / "hosts"  # mitmproxy dials names only
        hosts.write_text(f"127.0.0.1 localhost {contenders.NAME}\n")
        run("mount", "--bind", hosts, "/etc/hosts")
        self.long = root / "long"
        self.web, self.streams, self.sink = self.next_port(), self.next_port(), self.next_port()
        configuration = directory / "upstream.conf"
        configuration.write_text(UPSTREAM.format(
            port=self.web, sink=self.sink, certificate=certificate, key=key, root=root, ciphers=contenders.CIPHERS,
            suites=contenders.SUITES))
        cpu = contenders.SERVER_CPU
        self.servers = [
            contenders.start(["nginx", "-p", directory, "-c", configuration], self.log, self.web, cpu),
            contenders.start([sys.executable, HERE / "tls_server.py", self.streams, certificate, key], self.log,
                             self.streams, cpu),
            contenders.start([sys.executable, HERE / "tls_sink.py", self.sink], self.log, self.sink, cpu)]

    def next_port(self):
        self.last_port += 1
        return self.last_port

    def close(self):
        for server in self.servers:
            contenders.end(server)
        self.log.close()


def record(contender, quantity, value):
    QUANTITIES[quantity].add(contender.name, value)


def per_core(contender, quantity, unit, load):
    """What `load` runs, for each second that the contender's core has worked on it."""
    before = contender.cpu_seconds() if contender.process else 0
    done = load()
    if done.failed:
        say(f"bench: {contender.name}: {done.failed} requests of \"{QUANTITIES[quantity].name}\" failed")
    if contender.process and done.requests:
        spent = contender.cpu_seconds() - before
        record(contender, quantity, getattr(done, unit) * done.seconds / spent)
    return done


def measure_idle(contender):
    for stream in clients.hold(contender.port, 8):  # what the first ones make it load
        stream.close()
    before = contender.resident_kib()
    held = clients.hold(contender.port, IDLE)
    record(contender, "idle", (contender.resident_kib() - before) / IDLE)
    for stream in held:
        stream.close()


def measure_long_bodies(kind, stage, gib):
    """How far memory grows while one body goes through; each time that of a process that has held nothing before."""
    for version, words in (("1", "--http1.1"), ("2", "--http2")):
        for way, client in (("down", clients.download), ("up", clients.upload)):
            contender = kind(stage, stage.web)
            try:
                watch(contender, f"{way}{version}", client(contender.port, words, stage.long, gib << 30))
            finally:
                contender.close()


def watch(contender, quantity, body):
    begun, before = time.monotonic(), contender.resident_kib()
    highest = before
    for _ in body:
        highest = max(highest, contender.resident_kib())
    record(contender, quantity, (highest - before) / 1024)
    took = time.monotonic() - begun
    say(f"bench: {contender.name}: long body, {quantity}: {took:.1f} s, {before} KiB before, {highest} at most")


def measure_web(contender, seconds, log):
    port = contender.port
    per_core(contender, "bulk1", "megabytes", lambda: clients.wrk(port, "/bulk", seconds, 2))
    per_core(contender, "bulk2", "megabytes", lambda: clients.h2load(port, "/bulk", seconds, 1, 2, log))
    done = per_core(contender, "requests1", "requests", lambda: clients.wrk(port, "/small", seconds, CONNECTIONS))
    record(contender, "rate1", done.requests)
    done = per_core(contender, "requests2", "requests",
                    lambda: clients.h2load(port, "/small", seconds, 4, STREAMS, log))
    record(contender, "rate2", done.requests)
    per_core(contender, "fresh", "requests", lambda: clients.wrk(port, "/fresh", seconds, 8, close=True))
    per_core(contender, "connections", "requests", lambda: clients.visits(port, "/small", VISITS * seconds))
    for version, load in (("1", clients.wrk(port, "/small", seconds, 1)),
                          ("2", clients.h2load(port, "/small", seconds, 1, 1, log))):
        record(contender, f"p50-{version}", load.p50)
        record(contender, f"p99-{version}", load.p99)
    record_times(contender, "first", clients.first_bytes(port))


def record_times(contender, name, times):
    median, worst = clients.median_and_p99(times)
    record(contender, f"{name}-p50", median)
    record(contender, f"{name}-p99", worst)


def measure_streams(contender):
    record_times(contender, "event", clients.event_delays(contender.port))
    record_times(contender, "socket", clients.websocket_round_trips(contender.port))


def measure(kind, stage, seconds, gib):
    if gib:
        measure_long_bodies(kind, stage, gib)
    contender = kind(stage, stage.web)
    try:
        if contender.process:
            measure_idle(contender)
        measure_web(contender, seconds, stage.directory / "times")
    finally:
        contender.close()
    contender = kind(stage, stage.streams)
    try:
        measure_streams(contender)
    finally:
        contender.close()


def say(text):
    print(text, file=sys.stderr, flush=True)


def main(options):
    directory = pathlib.Path(os.environ["MICROAGENT_TEST_SCRATCH"])
    build = pathlib.Path(os.environ.get("MICROAGENT_BUILD", HERE.parent / "build")).resolve()
    run("ip", "link", "set", "lo", "up")
    os.sched_setaffinity(0, {contenders.SERVER_CPU})
    stage = Stage(directory, build, options.gib)
    names = [name for name in contenders.ALL if not options.only or name in options.only]
    try:
        for number in range(options.rounds):
            for name in names:
                say(f"bench: round {number + 1} of {options.rounds}: {name}")
                # The long bodies are worth their time once, and only of ours.
                measure(contenders.ALL[name], stage, options.seconds, 0 if number or name != OURS else options.gib)
    finally:
        stage.close()
    print(f"medians of {options.rounds} rounds of {options.seconds} s")
    print(render(QUANTITIES.values(), names, OURS, *(peer for peer in PEERS if peer in names)))


def parse():
    parser = argparse.ArgumentParser(description=__doc__.partition(":")[2])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=int, default=3)
    parser.add_argument("--gib", type=int, default=10, help="the size of the long bodies")
    parser.add_argument("--only", action="append", choices=contenders.ALL)
    return parser.parse_args()


if __name__ == "__main__":
    given = parse()
    container.stay_only_alone(pathlib.Path(__file__).resolve())
    main(given)
