#!/usr/bin/python3
"""bench/tls_server.py PORT CERTIFICATE KEY: the server of bench/tls.py for what must not wait in anybody's buffer.
/events is an SSE stream, each event with the time at which it was sent; /socket a WebSocket that says what it hears."""

import base64
import hashlib
import socketserver
import ssl
import sys
import time

EVENTS, PACE = 300, 0.003  # seconds from one event to the next
WEBSOCKET = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


class Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = daemon_threads = True


class Handler(socketserver.BaseRequestHandler):
    def handle(self):
        try:
            with CONTEXT.wrap_socket(self.request, server_side=True) as stream:
                self.answer(stream)
        except (OSError, ssl.SSLError):
            pass  # a client that goes away

    def answer(self, stream):
        head = b""
        while b"\r\n\r\n" not in head:
            piece = stream.recv(4096)
            if not piece:
                return
            head += piece
        if head.startswith(b"GET /events "):
            self.send_events(stream)
        else:
            self.echo(stream, head)

    @staticmethod
    def send_events(stream):
        stream.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n")
        for _ in range(EVENTS):
            time.sleep(PACE)
            event = b"data: %020d\n\n" % time.monotonic_ns()
            stream.sendall(b"%x\r\n%s\r\n" % (len(event), event))
        stream.sendall(b"0\r\n\r\n")

    @staticmethod
    def echo(stream, head):
        key = next(line.partition(b":")[2].strip() for line in head.split(b"\r\n")
                   if line.lower().startswith(b"sec-websocket-key:"))
        accept = base64.b64encode(hashlib.sha1(key + WEBSOCKET).digest())
        stream.sendall(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                       b"Sec-WebSocket-Accept: " + accept + b"\r\n\r\n")
        while frame := stream.recv(4096):  # a whole short one: the client waits for its echo
            mask, text = frame[2:6], frame[6:]
            stream.sendall(bytes([0x81, len(text)]) + bytes(byte ^ mask[at % 4] for at, byte in enumerate(text)))


if __name__ == "__main__":
    CONTEXT = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    CONTEXT.load_cert_chain(sys.argv[2], sys.argv[3])
    CONTEXT.set_alpn_protocols(["http/1.1"])
    with Server(("127.0.0.1", int(sys.argv[1])), Handler) as server:
        server.serve_forever()
