"""Servers of hosts that want a credential, and of those that issue one: a program, given a JSON object.

    usage: swap_servers.py '{"tls": PORT, "plain": PORT, "certificate": FILE, "key": FILE, "record": FILE}'

Both ports serve the same, HTTP/1.1; every request is a line of the record: method, target, headers, body.

    /echo       headers and body as JSON, in gzip for who takes that
    /late       64 KiB that do not compress, then the same
    /events     three events, each when the guest has asked for it with GET /next; the last one shows the headers
    /trailers   a chunked body with the credential in a trailer
    /guarded    401 unless the credential is what the file "accepted" beside the record holds
    /redirect   302 to the host that the query names
    /chat       a WebSocket: says again what the guest says, and the headers when it is asked for them: in a message,
                and in one of two fragments that are cut within the credential
    /token      issues tokens to client "me" with the right secret, each when there was a GET /issue for it, and counts
                them in their names
"""

import base64
import ctypes
import gzip
import hashlib
import http.server
import json
import pathlib
import random
import signal
import ssl
import sys
import threading
import urllib.parse

PR_SET_PDEATHSIG = 1
WEBSOCKET = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"  # RFC 6455, 1.3
CLIENT_SECRET = "cs-5e1f0c9ab7d84e63"
TOKEN = "tok-{}-8d1c6f0e2b9a4753"
NEXT_EVENT, NEXT_TOKEN = threading.Semaphore(0), threading.Semaphore(0)
LOCK = threading.Lock()


def frame(first, payload):
    return bytes([first, 126]) + len(payload).to_bytes(2, "big") + payload


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    record = accepted = None
    tokens = 0

    def log_message(self, *_words):
        pass

    def serve(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        headers = {name.title(): value for name, value in self.headers.items()}
        self.heard = {"method": self.command, "target": self.path, "version": headers.get("X-Version", "1.1"),
                      "headers": headers, "body": body.decode("latin-1")}
        with LOCK, open(self.record, "a", encoding="utf-8") as record:
            record.write(json.dumps(self.heard) + "\n")
        path = urllib.parse.urlsplit(self.path).path
        answer = getattr(self, "serve_" + path.strip("/").split("/")[0], None)
        if answer:
            return answer()
        return self.page(b"hello\n")

    do_GET = do_POST = do_PUT = serve

    def page(self, content, status=200, **headers):
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def echo(self):
        return json.dumps(self.heard, indent=1).encode()

    def encoded(self, content):
        headers = {"X_Echo": self.headers.get("X-Api-Key", ""), "Content_Type": "application/json"}
        if "gzip" in self.headers.get("Accept-Encoding", ""):
            return self.page(gzip.compress(content), Content_Encoding="gzip", **headers)
        return self.page(content, **headers)

    def serve_echo(self):
        self.encoded(self.echo())

    def serve_late(self):
        self.encoded(random.Random(1).randbytes(65536) + self.echo())

    def chunk(self, content):
        self.wfile.write(b"%x\r\n%s\r\n" % (len(content), content))

    def begin_chunks(self, content_type):
        self.send_response(200)
        self.send_header("Content-Type", content_type)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()

    def serve_events(self):
        self.begin_chunks("text/event-stream")
        for number in (1, 2, 3):
            assert NEXT_EVENT.acquire(timeout=60)
            self.chunk(b"data: %d %s\n\n" % (number, json.dumps(self.heard).encode() if number == 3 else b""))
        self.wfile.write(b"0\r\n\r\n")

    def serve_next(self):
        NEXT_EVENT.release()
        self.page(b"")

    def serve_trailers(self):
        self.begin_chunks("text/plain")
        self.chunk(b"hello\n")
        self.wfile.write(b"0\r\nX-Trailer: %s\r\n\r\n" % self.headers.get("X-Api-Key", "").encode())

    def serve_guarded(self):
        accepted = self.headers.get("X-Api-Key") == self.accepted.read_text().strip()
        self.page(b"welcome\n" if accepted else b"no\n", status=200 if accepted else 401)

    def serve_redirect(self):
        self.page(b"", status=302, Location=urllib.parse.urlsplit(self.path).query)

    def serve_chat(self):
        proof = hashlib.sha1(self.headers["Sec-WebSocket-Key"].encode() + WEBSOCKET).digest()
        self.send_response(101)
        self.send_header("Connection", "Upgrade")
        self.send_header("Upgrade", self.headers["Upgrade"])
        self.send_header("Sec-WebSocket-Accept", base64.b64encode(proof).decode())
        self.end_headers()
        while (text := self.hear_text()) is not None:
            answer = self.echo() if text == b"headers" else text
            self.wfile.write(frame(0x81, answer))
            if text == b"headers":
                cut = answer.index(self.headers["X-Api-Key"].encode()) + 7
                self.wfile.write(frame(0x01, answer[:cut]) + frame(0x80, answer[cut:]))
        self.close_connection = True

    def hear_text(self):
        """The next short text of a client (RFC 6455, 5.2), which is masked; None when it closes."""
        first, size = self.rfile.read(2)
        mask = self.rfile.read(4)
        text = bytes(byte ^ mask[at % 4] for at, byte in enumerate(self.rfile.read(size & 0x7f)))
        return text if first == 0x81 else None

    def serve_token(self):
        form = dict(urllib.parse.parse_qsl(self.heard["body"]))
        if (form.get("client_id"), form.get("client_secret")) != ("me", CLIENT_SECRET):
            return self.page(b'{"error":"invalid_client"}', status=401, Content_Type="application/json")
        with LOCK:
            Handler.tokens += 1
            token = TOKEN.format(Handler.tokens)
        assert NEXT_TOKEN.acquire(timeout=60)
        return self.page(json.dumps({"access_token": token, "token_type": "Bearer", "expires_in": 3600}).encode(),
                         Content_Type="application/json")

    def serve_issue(self):
        NEXT_TOKEN.release()
        self.page(b"")


class Server(http.server.ThreadingHTTPServer):
    request_queue_size = 1024
    context = None

    def finish_request(self, request, client_address):
        if self.context:
            request = self.context.wrap_socket(request, server_side=True)
        super().finish_request(request, client_address)

    def handle_error(self, request, client_address):
        if not isinstance(sys.exc_info()[1], (OSError, ssl.SSLError)):  # clients may end as they like
            super().handle_error(request, client_address)


def main():
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    told = json.loads(sys.argv[1])
    Handler.record = pathlib.Path(told["record"])
    Handler.accepted = Handler.record.with_name("accepted")
    secure, plain = Server(("0.0.0.0", told["tls"]), Handler), Server(("0.0.0.0", told["plain"]), Handler)
    secure.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    secure.context.load_cert_chain(told["certificate"], told["key"])
    secure.context.set_alpn_protocols(["http/1.1"])
    threading.Thread(target=plain.serve_forever, daemon=True).start()
    secure.serve_forever()


if __name__ == "__main__":
    main()
