"""The servers of the tests' internet: a program that moves into a network namespace of its own, says "alone", waits to
be connected, and serves until its standard input ends.

    TCP 7, 443  echoes, and half-closes when its client does
    TCP 25      greets with "220 ready\\r\\n" before it hears anything, then echoes
    UDP 7       echoes each datagram
    TCP 80      HTTP: GET /bytes/N gives N bytes, POST anything gives "COUNT SHA256" of the body, GET /peer who asks,
                GET /heard what the source heard last
    TCP 9000    digests: reads to the client's half-close, then answers "COUNT SHA256\\n" and closes
    TCP 9001    a source: sends "first\\n", half-closes, then answers nothing, and reads to the client's end
"""

import contextlib
import ctypes
import hashlib
import http.server
import signal
import socket
import socketserver
import sys
import threading

CLONE_NEWNET = 0x40000000
PR_SET_PDEATHSIG = 1


def body(size):
    """The first `size` bytes of an endless text that repeats nowhere near."""
    block, parts, have = 0, [], 0
    while have < size:
        parts.append(hashlib.sha256(block.to_bytes(8, "big")).digest() * 64)
        have += len(parts[-1])
        block += 1
    return b"".join(parts)[:size]


class Echo(socketserver.BaseRequestHandler):
    def handle(self):
        with contextlib.suppress(ConnectionError):  # clients may end as they like
            while data := self.request.recv(65536):
                self.request.sendall(data)


class Greeter(Echo):
    def handle(self):
        self.request.sendall(b"220 ready\r\n")
        super().handle()


class Digest(socketserver.BaseRequestHandler):
    def handle(self):
        digest, count = hashlib.sha256(), 0
        while data := self.request.recv(65536):
            digest.update(data)
            count += len(data)
        self.request.sendall(f"{count} {digest.hexdigest()}\n".encode())


class Source(socketserver.BaseRequestHandler):
    heard = b""

    def handle(self):
        self.request.sendall(b"first\n")
        self.request.shutdown(socket.SHUT_WR)
        received = b""
        while data := self.request.recv(65536):
            received += data
        Source.heard = received


class DatagramEcho(socketserver.BaseRequestHandler):
    def handle(self):
        data, sock = self.request
        sock.sendto(data, self.client_address)


class Pages(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        if self.path.startswith("/bytes/"):
            return self.answer(body(int(self.path.removeprefix("/bytes/"))))
        if self.path == "/peer":
            return self.answer(self.client_address[0].removeprefix("::ffff:").encode() + b"\n")
        if self.path == "/heard":
            return self.answer(Source.heard)
        return self.answer(b"hello from the internet\n")

    def do_POST(self):
        size, digest = 0, hashlib.sha256()
        for piece in self.pieces():
            size += len(piece)
            digest.update(piece)
        self.answer(f"{size} {digest.hexdigest()}\n".encode())

    def pieces(self):
        """The body, however long, as it comes."""
        chunked = self.headers["Transfer-Encoding"] == "chunked"
        while left := int(self.rfile.readline(), 16) if chunked else int(self.headers["Content-Length"]):
            while left > 0 and (piece := self.rfile.read1(min(left, 65536))):
                yield piece
                left -= len(piece)
            if not chunked:
                return
            self.rfile.readline()
        if chunked:
            self.rfile.readline()

    def answer(self, content):
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *args):
        pass


class Server(socketserver.ThreadingTCPServer):
    address_family = socket.AF_INET6
    allow_reuse_address = allow_reuse_port = daemon_threads = True
    request_queue_size = 128

    def server_bind(self):
        self.socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        super().server_bind()


class DatagramServer(socketserver.UDPServer):
    max_packet_size = 65536


class DatagramServer6(DatagramServer):
    address_family = socket.AF_INET6


def main():
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if libc.unshare(CLONE_NEWNET) != 0:
        sys.exit("cannot unshare the network")
    print("alone", flush=True)
    sys.stdin.readline()
    for port, handler in ((7, Echo), (25, Greeter), (80, Pages), (443, Echo), (9000, Digest), (9001, Source)):
        threading.Thread(target=Server(("::", port), handler).serve_forever, daemon=True).start()
    # One socket an address, so that each answers from the one that was asked.
    for address in ("192.0.2.1", "203.0.113.1", "198.51.100.1"):
        server = DatagramServer((address, 7), DatagramEcho)
        threading.Thread(target=server.serve_forever, daemon=True).start()
    server = DatagramServer6(("2001:db8::1", 7), DatagramEcho)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    print("serving", flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    main()
