"""Runs in the guest: does with sockets what each line on standard input says (a JSON object), and tells, in one line,
what the guest's kernel said to it, and how long it took. What it opens stays open until it is told to close it.

Each answer has `error`, the name of the errno or "timeout", null where there was none, and `seconds`."""

import errno
import json
import select
import socket
import ssl
import struct
import sys
import time

OPEN = {}
KINDS = {"tcp": socket.SOCK_STREAM, "udp": socket.SOCK_DGRAM}


def keep(sock):
    OPEN[sock.fileno()] = sock
    return {"id": sock.fileno()}


def connect(host, port, protocol="tcp", timeout=30):
    """A UDP socket hears of the errors of ICMP because it is connected."""
    sock = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, KINDS[protocol])
    sock.settimeout(timeout)
    try:
        sock.connect((host, port))
    except OSError:
        sock.close()
        raise
    return keep(sock)


def resolve(host, port):
    return {"addresses": sorted({entry[4][0] for entry in socket.getaddrinfo(host, port, socket.AF_INET)})}


def send(id, data, piece=0, no_delay=True):
    """`piece` bytes at a time, each a segment of its own; all at once where it is 0."""
    sock, content = OPEN[id], bytes.fromhex(data)
    if sock.type == socket.SOCK_STREAM:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, no_delay)
    step = piece or len(content)
    for at in range(0, len(content), step):
        sock.sendall(content[at:at + step])
    return {}


def receive(id, count=65536, timeout=20):
    """What comes first; empty at the other side's end."""
    OPEN[id].settimeout(timeout)
    return {"data": OPEN[id].recv(count).hex()}


def receive_all(id, timeout=20):
    """All that comes until the other side's end."""
    parts = []
    OPEN[id].settimeout(timeout)
    while data := OPEN[id].recv(65536):
        parts.append(data)
    return {"data": b"".join(parts).hex()}


def shut(id):
    OPEN[id].shutdown(socket.SHUT_WR)
    return {}


def close(id):
    OPEN.pop(id).close()
    return {}


def hello(name=None):
    """The ClientHello of this guest's own OpenSSL."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    outgoing = ssl.MemoryBIO()
    client = context.wrap_bio(ssl.MemoryBIO(), outgoing, server_hostname=name)
    try:
        client.do_handshake()
    except ssl.SSLWantReadError:
        pass
    return {"data": outgoing.read().hex()}


def raw(host, protocol, count):
    """Packets of another protocol; nobody answers."""
    with socket.socket(socket.AF_INET, socket.SOCK_RAW, protocol) as sock:
        for _ in range(count):
            sock.sendto(b"x" * 40, (host, 0))
    return {}


def ask_many(host, count, suffix, sockets=64, timeout=60):
    """`count` questions at once, for A of n0.suffix, n1.suffix, ...; how many answers came, by response code."""
    clients = []
    for _ in range(sockets):
        sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
        sock.connect((host, 53))
        sock.setblocking(False)
        clients.append(sock)
    rest = b"".join(bytes([len(label)]) + label.encode() for label in suffix.split(".")) + b"\0\0\1\0\1"
    missing, codes, sent = set(range(count)), {}, 0
    deadline = time.monotonic() + timeout
    order = list(range(count))
    while missing and time.monotonic() < deadline:
        for number in order:
            label = b"n%d" % number
            question = struct.pack(">HHHHHH", number & 0xffff, 0x0100, 1, 0, 0, 0) + bytes([len(label)]) + label + rest
            try:
                clients[number % sockets].send(question)
                sent += 1
            except BlockingIOError:
                pass
        # As every client of UDP: what nobody answered within a while is asked again.
        quiet = time.monotonic() + 3
        while missing and time.monotonic() < min(quiet, deadline):
            ready, _, _ = select.select(clients, [], [], 0.5)
            for sock in ready:
                try:
                    while answer := sock.recv(4096):
                        number = struct.unpack(">H", answer[:2])[0]
                        if number in missing:
                            missing.discard(number)
                            code = str(answer[3] & 15)
                            codes[code] = codes.get(code, 0) + 1
                            quiet = time.monotonic() + 3
                except BlockingIOError:
                    continue
        order = sorted(missing)
    for sock in clients:
        sock.close()
    return {"codes": codes, "missing": len(missing), "sent": sent}


def connect_many(host, port, count):
    """So many connections, one after the other, each closed at once; how many were refused."""
    refused = 0
    for _ in range(count):
        try:
            socket.create_connection((host, port), 20).close()
        except OSError:
            refused += 1
    return {"refused": refused}


def obey(order):
    began = time.monotonic()
    answer = {"error": None}
    try:
        answer.update(globals()[order.pop("do")](**order))
    except TimeoutError:
        answer["error"] = "timeout"
    except OSError as failure:
        answer["error"] = errno.errorcode.get(failure.errno, str(failure))
    answer["seconds"] = time.monotonic() - began
    return answer


def main():
    for line in sys.stdin:
        print(json.dumps(obey(json.loads(line))), flush=True)


if __name__ == "__main__":
    main()
