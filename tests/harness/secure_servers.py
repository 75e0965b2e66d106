"""TLS servers of the tests' internet that do what nginx does not: a program, given a JSON object of its ports.

    usage: secure_servers.py '{"8444": {"certificate": FILE, "key": FILE, "clients": FILE?}, ...}'

Every port speaks HTTP/1.1: GET /head answers with the request's head as it came, GET /events sends three events, each
when the guest has asked for it with GET /next, POST anything answers "COUNT SHA256", GET /chat is a WebSocket that
echoes text, GET /cut ends within its body, GET /peer answers with the port of whoever asks. Three send one half of a
body, and the other when somebody has asked for it with GET /next: /halves says how long it is; /whole ends it with
close_notify of TLS, and /broken with the end of the connection alone.
"""

import base64
import ctypes
import hashlib
import json
import signal
import socketserver
import ssl
import sys
import threading

PR_SET_PDEATHSIG = 1
WEBSOCKET = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"  # RFC 6455, 1.3
NEXT_EVENT = threading.Semaphore(0)


class Handler(socketserver.StreamRequestHandler):
    def handle(self):
        try:
            while self.answer_one():
                pass
        except (OSError, ssl.SSLError):  # clients may end as they like
            pass

    def answer_one(self):
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            line = self.rfile.readline()
            if not line:
                return False
            head += line
        method, target, _ = head.split(b"\r\n")[0].split(b" ")
        fields = (line.split(b":", 1) for line in head.split(b"\r\n")[1:-2])
        headers = {name.lower(): value.strip() for name, value in fields}
        if method == b"POST":
            return self.digest(headers)
        answer = {b"/events": self.events, b"/chat": self.chat, b"/cut": self.cut,
                  b"/halves": self.halves, b"/whole": self.whole, b"/broken": self.broken,
                  }.get(target.split(b"?")[0])
        if answer:
            return answer(headers)
        if target == b"/next":
            NEXT_EVENT.release()
        if target.startswith(b"/peer"):
            self.page(b"%d" % self.client_address[1])
            return headers.get(b"connection") != b"close"
        return self.page(head if target.startswith(b"/head") else b"hello over TLS\n")

    def page(self, content):
        self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(content), content))
        return True

    def digest(self, headers):
        digest, left = hashlib.sha256(), int(headers[b"content-length"])
        count = left
        while left > 0:
            data = self.rfile.read(min(left, 65536))
            digest.update(data)
            left -= len(data)
        return self.page(f"{count} {digest.hexdigest()}\n".encode())

    def events(self, _headers):
        self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n")
        for number in range(3):
            NEXT_EVENT.acquire(timeout=30)
            self.wfile.write(b"data: %d\n\n" % number)
        return False

    def cut(self, _headers):
        self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf")
        return False

    def in_halves(self, field):
        self.wfile.write(b"HTTP/1.1 200 OK\r\n%s\r\n\r\none half " % field)
        NEXT_EVENT.acquire(timeout=30)
        self.wfile.write(b"and the other")

    def halves(self, _headers):
        self.in_halves(b"Content-Length: 22")
        return True

    def whole(self, _headers):
        self.in_halves(b"Connection: close")
        self.request.unwrap()
        return False

    def broken(self, _headers):
        self.in_halves(b"Connection: close")
        return False

    def chat(self, headers):
        key = hashlib.sha1(headers[b"sec-websocket-key"] + WEBSOCKET).digest()
        self.wfile.write(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                         b"Sec-WebSocket-Accept: " + base64.b64encode(key) + b"\r\n\r\n")
        while frame := self.rfile.read(6):  # short text of a client: two bytes, and four of the mask
            size, mask = frame[1] & 0x7f, frame[2:]
            text = bytes(byte ^ mask[at % 4] for at, byte in enumerate(self.rfile.read(size)))
            self.wfile.write(bytes([0x81, size]) + text)
        return False


class Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = daemon_threads = True
    request_queue_size = 128

    def __init__(self, port, identity):
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(identity["certificate"], identity["key"])
        self.context.set_alpn_protocols(["http/1.1"])
        if "clients" in identity:
            self.context.verify_mode = ssl.CERT_REQUIRED
            self.context.load_verify_locations(identity["clients"])
        super().__init__(("", port), Handler)

    # The handshake is the handler's thread's: nobody waits for another's.
    def finish_request(self, request, client_address):
        try:
            with self.context.wrap_socket(request, server_side=True) as secured:
                super().finish_request(secured, client_address)
        except (OSError, ssl.SSLError):
            pass


def main():
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    for port, identity in json.loads(sys.argv[1]).items():
        threading.Thread(target=Server(int(port), identity).serve_forever, daemon=True).start()
    print("serving", flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    main()
