"""The clients of bench/tls.py: wrk and h2load for loads, and plain sockets where single bytes are timed or connections
only held."""

import re
import socket
import ssl
import statistics
import subprocess
import time

from tls_contenders import NAME

UNITS = {"us": 1, "ms": 1e3, "s": 1e6}
BYTES = {"": 1, "K": 1024, "M": 1024 ** 2, "G": 1024 ** 3}
PATIENCE = 120
ROUND_TRIPS = 300


def run(*words):
    return subprocess.run([str(word) for word in words], capture_output=True, text=True, check=True,
                          timeout=PATIENCE).stdout


class Load:
    """What a load came to: requests and bytes a second, and how many were no success."""

    def __init__(self, requests, megabytes, failed, seconds):
        self.requests, self.megabytes, self.failed, self.seconds = requests, megabytes, failed, seconds
        self.p50 = self.p99 = None  # microseconds


def wrk(port, path, seconds, connections, close=False):
    words = ["wrk", "--latency", "-t", 1, "-c", connections, "-d", f"{seconds}s"]
    if close:
        words += ["-H", "Connection: close"]
    said = run(*words, "-H", f"Host: {NAME}", f"https://127.0.0.1:{port}{path}")
    bad = sum(map(int, re.findall(r"Non-2xx or 3xx responses: (\d+)", said)))
    if errors := re.search(r"Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)", said):
        connect, read, write, late = map(int, errors.groups())
        bad += connect + write + late + (0 if close else read)  # it takes the end that it asked for as an error
    amount, unit = re.search(r"Transfer/sec:\s+([\d.]+)([KMG]?)B", said).groups()
    load = Load(float(re.search(r"Requests/sec:\s+([\d.]+)", said).group(1)), float(amount) * BYTES[unit] / 1e6, bad,
                float(re.search(r"requests in ([\d.]+)s", said).group(1)))
    load.p50, load.p99 = (float(value) * UNITS[unit] for value, unit in
                          (re.search(rf"{part}%\s+([\d.]+)(us|ms|s)", said).groups() for part in (50, 99)))
    return load


def h2load(port, path, seconds, connections, streams, log):
    """HTTP/2. Times of single requests go into the file `log`."""
    log.unlink(missing_ok=True)
    said = run("h2load", "-D", seconds, "-c", connections, "-m", streams, "-t", 1, "-w", 24, "-W", 26, "--log-file",
               log, "-H", f":authority: {NAME}", f"https://127.0.0.1:{port}{path}")
    succeeded, failed = map(int, re.search(r"(\d+) succeeded, (\d+) failed", said).groups())
    data = re.search(r"\(\d+\) data", said) and int(re.search(r"\((\d+)\) data", said).group(1))
    load = Load(succeeded / seconds, data / seconds / 1e6, failed, seconds)
    times = sorted(int(line.split("\t")[2]) for line in log.read_text(encoding="ascii").splitlines())
    if times:
        load.p50, load.p99 = times[len(times) // 2], times[len(times) * 99 // 100]
    return load


def visits(port, path, count):
    """So many clients one after the other, HTTP/1.1: each connects, asks once, and goes. They say nothing of going, so
    that what stands behind the proxy may stay."""
    begun = time.monotonic()
    said = run("h2load", "--h1", "-n", count, "-c", count, "-t", 1, "--rate", 10, "--rate-period", "20ms",
               f"https://127.0.0.1:{port}{path}")
    seconds = time.monotonic() - begun
    succeeded, failed = map(int, re.search(r"(\d+) succeeded, (\d+) failed", said).groups())
    return Load(succeeded / seconds, 0, failed, seconds)


def download(port, version, _file, size):
    """Takes a whole response, and yields many times a second meanwhile."""
    yield from body(size, version, "--output", "/dev/null", "--write-out", "%{size_download}",
                    f"https://127.0.0.1:{port}/long")


def upload(port, version, file, size):
    """The same for a whole request, whose server says how much it has had."""
    yield from body(size, version, "--request", "POST", "--upload-file", file, "-H", "Expect:",
                    f"https://127.0.0.1:{port}/sink")


def body(size, version, *words):
    words = ["curl", "--silent", "--show-error", "--insecure", version, "-H", f"Host: {NAME}", *words]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as client:
        while client.poll() is None:
            yield
            time.sleep(0.05)
        assert client.stdout.read() == str(size), f"curl {version} ended with {client.returncode}"


def context_of():
    """The proxy's certificate is not what is measured."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_alpn_protocols(["http/1.1"])
    return context


def connect(port, context):
    plain = socket.create_connection(("127.0.0.1", port), timeout=30)
    plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return context.wrap_socket(plain, server_hostname=NAME)


def ask(stream, path, *lines):
    stream.sendall("\r\n".join([f"GET {path} HTTP/1.1", f"Host: {NAME}", *lines, "", ""]).encode())


def hold(port, count):
    """So many connections, each of which has had its answer."""
    context, held = context_of(), []
    for _ in range(count):
        stream = connect(port, context)
        ask(stream, "/small")
        assert stream.recv(65536).startswith(b"HTTP/1.1 200")
        held.append(stream)
    return held


def first_bytes(port):
    """Microseconds from the first packet of a new connection until the first byte of its answer."""
    context, times = context_of(), []
    for _ in range(ROUND_TRIPS):
        begun = time.perf_counter_ns()
        with connect(port, context) as stream:
            ask(stream, "/small")
            assert stream.recv(65536).startswith(b"HTTP/1.1 200")
            times.append((time.perf_counter_ns() - begun) / 1000)
    return times


def event_delays(port):
    """Microseconds from when the server sends an event until it is here."""
    with connect(port, context_of()) as stream:
        ask(stream, "/events")
        delays = []
        while piece := stream.recv(65536):
            now = time.monotonic_ns()
            delays += [(now - int(sent)) / 1000 for sent in re.findall(rb"data: (\d+)\n", piece)]
            if piece.endswith(b"0\r\n\r\n"):
                break
    return delays


def websocket_round_trips(port):
    """Microseconds of one short message there and back."""
    with connect(port, context_of()) as stream:
        ask(stream, "/socket", "Upgrade: websocket", "Connection: Upgrade", "Sec-WebSocket-Version: 13",
            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==")
        assert stream.recv(65536).startswith(b"HTTP/1.1 101")
        text, mask, times = b"a short message", b"\1\2\3\4", []
        frame = bytes([0x81, 0x80 | len(text)]) + mask + bytes(byte ^ mask[at % 4] for at, byte in enumerate(text))
        for _ in range(ROUND_TRIPS):
            begun = time.perf_counter_ns()
            stream.sendall(frame)
            assert stream.recv(4096)[2:] == text
            times.append((time.perf_counter_ns() - begun) / 1000)
    return times


def median_and_p99(times):
    return statistics.median(times), sorted(times)[len(times) * 99 // 100]
