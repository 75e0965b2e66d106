#!/usr/bin/python3
"""What no client sends, for a guest: raw_http.py HOST PORT CASE...

Prints for each case, in a connection of its own, one line of JSON: the case, and the status and text of the answer over
HTTP/1.1, or the error that ended the connection of HTTP/2."""

import json
import socket
import ssl
import struct
import sys

PATIENCE = 20
GET = "GET / HTTP/1.1\r\nHost: AUTHORITY\r\n"
POST = "POST /up HTTP/1.1\r\nHost: AUTHORITY\r\n"

# What is sent, and what is said of it.
SMUGGLING = {
    "length and chunked": (
        POST + "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "both Content-Length and Transfer-Encoding"),
    "two lengths": (POST + "Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello!", "more than one Content-Length"),
    "a list of lengths": (POST + "Content-Length: 5, 6\r\n\r\nhello!", "a Content-Length that is no number"),
    "a signed length": (POST + "Content-Length: +5\r\n\r\nhello", "a Content-Length that is no number"),
    "folded": (GET + "X-One: a\r\n b\r\n\r\n", "a folded header line"),
    "bare LF": (GET.replace("\r\n", "\n") + "\n", "a line end that is not CRLF"),
    "bare CR": (GET + "X-One: a\rX-Two: b\r\n\r\n", "a line end that is not CRLF"),
    "space before the colon": (GET + "X-One : a\r\n\r\n", "a header line that is none"),
    "no name": (GET + ": a\r\n\r\n", "a header line that is none"),
    "NUL": (GET + "X-One: a\0b\r\n\r\n", "a control character"),
    "chunked twice": (
        POST + "Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n",
        "a Transfer-Encoding that is not chunked"),
    "chunked not last": (
        POST + "Transfer-Encoding: chunked, gzip\r\n\r\n0\r\n\r\n",
        "a Transfer-Encoding that is not chunked"),
    "chunked in disguise": (
        POST + "Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
        "a Transfer-Encoding that is not chunked"),
    "chunked in HTTP/1.0": (
        "POST / HTTP/1.0\r\nHost: AUTHORITY\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "a Transfer-Encoding where none may be"),
    "a bad size of a chunk": (
        POST + "Transfer-Encoding: chunked\r\n\r\n0x5\r\nhello\r\n0\r\n\r\n",
        "a chunk size that is none"),
    "no end of a chunk": (
        POST + "Transfer-Encoding: chunked\r\n\r\n5\r\nhelloX0\r\n\r\n",
        "a chunk that does not end with CRLF"),
    "no host": ("GET / HTTP/1.1\r\n\r\n", "no Host"),
    "two hosts": (GET + "Host: AUTHORITY\r\n\r\n", "more than one Host"),
    "another host in the target": (
        "GET https://other.test/ HTTP/1.1\r\nHost: AUTHORITY\r\n\r\n",
        "a Host that differs from the target's"),
    "an upgrade to HTTP/2": (
        GET + "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMA\r\n\r\n",
        "an upgrade to another HTTP"),
    "two spaces": (GET.replace("GET /", "GET  /") + "\r\n", "a request line that is none"),
    "no version": ("GET /\r\n\r\n", "a request line that is none"),
}


def connect(host, port, protocol):
    context = ssl.create_default_context()
    context.set_alpn_protocols([protocol])
    return context.wrap_socket(socket.create_connection((host, port), PATIENCE), server_hostname=host)


def rest_of(stream):
    text = b""
    try:
        while piece := stream.recv(65536):
            text += piece
    except (OSError, ssl.SSLError):
        pass
    return text


def ask(host, port, request):
    with connect(host, port, "http/1.1") as stream:
        stream.sendall(request.replace("AUTHORITY", f"{host}:{port}").encode())
        answer = rest_of(stream).decode(errors="replace")
    return {"status": int(answer.split()[1]) if answer.startswith("HTTP/") else 0, "text": answer}


def frame(kind, flags, stream, payload=b""):
    return len(payload).to_bytes(3, "big") + bytes([kind, flags]) + struct.pack(">I", stream) + payload


DATA, HEADERS, RESET, SETTINGS, PING, GOAWAY, CONTINUATION = 0, 1, 3, 4, 6, 7, 9
END_STREAM, END_HEADERS = 1, 4
REQUEST = b"\x82\x87\x84\x41\x08one.test"  # GET https / one.test
LARGE = b"\x40\x01x\x7f" + bytes([0xa1, 0x1e]) + b"y" * 4000  # x: yyy, kept in the table
FLOODS = {
    "resets": lambda: b"".join(frame(HEADERS, END_STREAM | END_HEADERS, number, REQUEST)
                               + frame(RESET, 0, number, struct.pack(">I", 8)) for number in range(1, 4001, 2)),
    "continuations": lambda: frame(HEADERS, END_STREAM, 1, REQUEST) + frame(CONTINUATION, 0, 1, b"\0\1a\1b") * 1000,
    "settings": lambda: frame(SETTINGS, 0, 0) * 1000,
    "pings": lambda: frame(PING, 0, 0, bytes(8)) * 2000,
    "empty frames": lambda: frame(HEADERS, END_HEADERS, 1, REQUEST) + frame(DATA, 0, 1) * 2000,
    "a compression bomb": lambda: frame(HEADERS, END_STREAM | END_HEADERS, 1, REQUEST + LARGE + b"\xbe" * 1000),
}


def flood(host, port, name):
    """The code of the GOAWAY that ends it; nothing where none came."""
    with connect(host, port, "h2") as stream:
        stream.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + frame(SETTINGS, 0, 0))
        try:
            stream.sendall(FLOODS[name]())
        except (OSError, ssl.SSLError):
            pass  # it is heard no more
        answer, code = rest_of(stream), None
    while len(answer) >= 9:
        size = int.from_bytes(answer[:3], "big")
        if answer[3] == GOAWAY and len(answer) >= 17:
            code = struct.unpack(">I", answer[13:17])[0] or code
        answer = answer[9 + size:]
    return {"error": code}


def main():
    host, port = sys.argv[1], int(sys.argv[2])
    for case in sys.argv[3:]:
        result = ask(host, port, SMUGGLING[case][0]) if case in SMUGGLING else flood(host, port, case)
        print(json.dumps({"case": case, **result}), flush=True)


if __name__ == "__main__":
    main()
