"""Servers that want credentials, for the tests of credential swaps: a program, given a JSON object.

    usage: credential_servers.py '{"address", "port", "certificate", "key", "log", "directory",
                                   "credentials": {NAME: SECRET}}'

One TLS port that speaks HTTP/1.1; who is asked is told by Host. Each request is a line of the log: who was asked for
what, and every header that came. A request without its host's credential gets a 401.
"""

import base64
import ctypes
import gzip
import http.server
import json
import os
import pathlib
import signal
import socket
import ssl
import subprocess
import sys
import threading
import urllib.parse

PR_SET_PDEATHSIG = 1
MAX_BODY = 64 * 1024 * 1024
SETTINGS = json.loads(sys.argv[1])
LOG_LOCK = threading.Lock()


def basic(user, password):
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


def events(*pairs):
    """Server-sent events: of each its name, which may be missing, and its data."""
    for name, data in pairs:
        text = data if isinstance(data, str) else json.dumps(data)
        yield (f"event: {name}\n" if name else "").encode() + f"data: {text}\n\n".encode()


def openai_stream(question):
    """https://platform.openai.com/docs/api-reference/chat-streaming"""
    def chunk(delta, finish=None):
        return {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": question["model"],
                "choices": [{"index": 0, "delta": delta, "finish_reason": finish}]}
    words = ["The ", "key ", "was ", "right."]
    yield from events((None, chunk({"role": "assistant", "content": ""})),
                      *((None, chunk({"content": word})) for word in words), (None, chunk({}, "stop")),
                      (None, "[DONE]"))


def anthropic_stream(question):
    """https://docs.anthropic.com/en/docs/build-with-claude/streaming"""
    message = {"id": "msg_1", "type": "message", "role": "assistant", "content": [], "model": question["model"],
               "stop_reason": None, "stop_sequence": None, "usage": {"input_tokens": 1, "output_tokens": 1}}
    def delta(word):
        return "content_block_delta", {"type": "content_block_delta", "index": 0,
                                       "delta": {"type": "text_delta", "text": word}}
    yield from events(
        ("message_start", {"type": "message_start", "message": message}),
        ("content_block_start", {"type": "content_block_start", "index": 0,
                                 "content_block": {"type": "text", "text": ""}}),
        ("ping", {"type": "ping"}), delta("The key "), delta("was "), delta("right."),
        ("content_block_stop", {"type": "content_block_stop", "index": 0}),
        ("message_delta", {"type": "message_delta", "delta": {"stop_reason": "end_turn", "stop_sequence": None},
                           "usage": {"output_tokens": 4}}),
        ("message_stop", {"type": "message_stop"}))


class Registry:
    """As much of npm's registry as installing and publishing take."""

    packages, lock = {}, threading.Lock()

    @classmethod
    def answer(cls, request, body):
        path = urllib.parse.unquote(request.path.lstrip("/"))
        with cls.lock:
            if request.command == "PUT":
                document = json.loads(body)
                files = {name: base64.b64decode(held["data"]) for name, held in document.pop("_attachments").items()}
                cls.packages[path] = (document, files)
                return request.reply(201, "application/json", b'{"ok":true}')
            name, _, file = path.partition("/-/")
            document, files = cls.packages.get(name, (None, {}))
        if document is None or (file and file not in files):
            return request.reply(404, "application/json", b'{"error":"not found"}')
        if file:
            return request.reply(200, "application/octet-stream", files[file])
        return request.reply(200, "application/json", json.dumps(document).encode())


def git(request, body):
    """What `git http-backend` answers; see git-http-backend(1)."""
    path, _, query = request.path.partition("?")
    environment = {"PATH": os.environ["PATH"], "HOME": SETTINGS["directory"], "GIT_PROJECT_ROOT": SETTINGS["directory"],
                   "GIT_HTTP_EXPORT_ALL": "1", "REQUEST_METHOD": request.command, "PATH_INFO": path,
                   "QUERY_STRING": query, "CONTENT_TYPE": request.headers.get("Content-Type", ""),
                   "CONTENT_LENGTH": str(len(body)), "REMOTE_USER": "guest", "REMOTE_ADDR": request.client_address[0],
                   "GIT_PROTOCOL": request.headers.get("Git-Protocol", "")}
    done = subprocess.run(["git", "http-backend"], input=body, env=environment, capture_output=True, check=True)
    head, _, content = done.stdout.partition(b"\r\n\r\n")
    fields = dict(line.split(": ", 1) for line in head.decode().split("\r\n"))
    status = int(fields.pop("Status", "200").split()[0])
    request.reply(status, fields["Content-Type"], content)


def stream_of(make):
    def answer(request, body):
        request.stream(make(json.loads(body)))
    return answer


def echo(request, body):
    """Tells what it saw, but for what must not be seen: the guest reads this."""
    request.reply(200, "application/json", json.dumps({"method": request.command, "length": len(body)}).encode())


def token(request, body):
    form = dict(urllib.parse.parse_qsl(body.decode()))
    held = SETTINGS["credentials"]
    if (form.get("client_id"), form.get("client_secret")) != ("client-1", held["client"]):
        return request.reply(400, "application/json", b'{"error":"invalid_client"}')
    answer = {"access_token": held["token"], "token_type": "Bearer", "expires_in": 3600}
    return request.reply(200, "application/json", json.dumps(answer).encode())


# Of each host: the header and what it must hold, or what the path must hold; and what answers.
def hosts():
    held = SETTINGS["credentials"]
    return {
        "api.openai.com": ("Authorization", f"Bearer {held['openai']}", stream_of(openai_stream)),
        "api.anthropic.com": ("x-api-key", held["anthropic"], stream_of(anthropic_stream)),
        "github.com": ("Authorization", basic("x-access-token", held["github"]), git),
        "registry.test": ("Authorization", f"Bearer {held['npm']}", Registry.answer),
        "header.test": ("X-Key", f"v1 {held['header']}.", echo),
        "basic.test": ("Authorization", basic("robot", held["basic"]), echo),
        "query.test": (None, f"key={held['query']}", echo),
        "placeholder.test": ("X-Anything", f"left-{held['placeholder']}-right", echo),
        "oauth.test": ("Authorization", f"Bearer {held['token']}", echo),
        "login.test": (None, "/token", token),
    }


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def handle_any(self):
        body = self.body()
        host = self.headers.get("Host", "").split(":")[0]
        header, wanted, answer = HOSTS.get(host, ("Host", "nobody's", echo))
        allowed = wanted in self.path if header is None else self.headers.get(header) == wanted
        self.note(host, allowed)
        if not allowed:
            return self.reply(401, "application/json", b'{"error":{"type":"authentication_error","message":"no key"}}')
        return answer(self, body)

    do_GET = do_POST = do_PUT = do_HEAD = handle_any

    def note(self, host, allowed):
        line = {"host": host, "method": self.command, "path": self.path, "allowed": allowed,
                "headers": {name.lower(): value for name, value in self.headers.items()}}
        with LOG_LOCK, open(SETTINGS["log"], "a", encoding="utf-8") as log:
            log.write(json.dumps(line) + "\n")

    def body(self):
        if self.headers.get("Expect", "").lower() == "100-continue":
            self.send_response_only(100)
            self.end_headers()
        if self.headers.get("Transfer-Encoding", "").lower() == "chunked":
            parts = []
            while size := int(self.rfile.readline().split(b";")[0], 16):
                parts.append(self.rfile.read(size))
                self.rfile.readline()
            self.rfile.readline()
            content = b"".join(parts)
        else:
            content = self.rfile.read(min(int(self.headers.get("Content-Length", 0)), MAX_BODY))
        return gzip.decompress(content) if self.headers.get("Content-Encoding") == "gzip" else content

    def reply(self, status, kind, content):
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def stream(self, parts):
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for part in parts:
            self.wfile.write(f"{len(part):x}\r\n".encode() + part + b"\r\n")
            self.wfile.flush()
        self.wfile.write(b"0\r\n\r\n")

    def log_message(self, *args):
        pass


class Server(http.server.ThreadingHTTPServer):
    # Beside the server that has the port on all addresses (internet.py).
    allow_reuse_address = allow_reuse_port = daemon_threads = True
    request_queue_size = 64

    def finish_request(self, request, client_address):
        try:
            with CONTEXT.wrap_socket(request, server_side=True) as secure:
                super().finish_request(secure, client_address)
        except (ssl.SSLError, ConnectionError):
            pass  # a guest that was refused, or went away

    def shutdown_request(self, request):
        try:
            request.shutdown(socket.SHUT_WR)
        except OSError:
            pass
        self.close_request(request)


if __name__ == "__main__":
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    HOSTS = hosts()
    CONTEXT = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    CONTEXT.load_cert_chain(SETTINGS["certificate"], SETTINGS["key"])
    pathlib.Path(SETTINGS["log"]).touch()
    Server((SETTINGS["address"], SETTINGS["port"]), Handler).serve_forever()
