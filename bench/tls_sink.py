#!/usr/bin/python3
"""bench/tls_sink.py PORT: what takes the long requests of bench/tls.py behind its upstream, in the clear, and says how
many bytes their bodies had."""

import socketserver
import sys


class Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = daemon_threads = True


class Handler(socketserver.StreamRequestHandler):
    def handle(self):
        left = None
        while (line := self.rfile.readline()) not in (b"\r\n", b""):
            name, _, value = line.partition(b":")
            if name.lower() == b"content-length":
                left = int(value)
        if left is None:
            return  # whoever only looks whether this listens
        count, buffer = 0, bytearray(1 << 20)
        while count < left and (taken := self.rfile.readinto1(buffer)):
            count += taken
        said = b"%d" % count
        self.wfile.write(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%s" % (len(said), said))


if __name__ == "__main__":
    with Server(("127.0.0.1", int(sys.argv[1])), Handler) as server:
        server.serve_forever()
