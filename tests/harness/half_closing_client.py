"""A client of HTTP/1.1 over TLS within a guest that ends its half of the connection behind its request: a program.

    half_closing_client.py HOST PORT PATH VERSION HOW...

VERSION is of TLS, as Python names it; HOW is what ends the half, close_notify, FIN or both. With the first half of the
response here, it asks for the second one by a connection of its own (secure_servers.py). It prints as JSON what it has
read, and how that ended: "closed" by close_notify, "cut" without one, "reset".
"""

import json
import socket
import ssl
import sys


class Client:
    """TLS over memory: the module's sockets cannot end one half of a connection alone."""

    def __init__(self, host, port, version):
        context = ssl.create_default_context()
        context.options &= ~ssl.OP_IGNORE_UNEXPECTED_EOF
        context.maximum_version = ssl.TLSVersion[version]
        self.plain = socket.create_connection((host, port), 20)
        self.incoming, self.outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.secured = context.wrap_bio(self.incoming, self.outgoing, server_hostname=host)
        self.run(self.secured.do_handshake)
        assert self.secured.version().replace(".", "_") == version

    def flush(self):
        if data := self.outgoing.read():
            self.plain.sendall(data)

    def run(self, action, *words):
        while True:
            try:
                done = action(*words)
                self.flush()
                return done
            except ssl.SSLWantReadError:
                self.flush()
                if piece := self.plain.recv(65536):
                    self.incoming.write(piece)
                else:
                    self.incoming.write_eof()

    def end_half(self, how):
        if "close_notify" in how:
            try:
                self.secured.unwrap()
            except ssl.SSLWantReadError:  # the other half goes on
                self.flush()
        if "FIN" in how:
            self.plain.shutdown(socket.SHUT_WR)

    def read(self):
        """What comes next; or None, and how it ended."""
        try:
            piece = self.run(self.secured.read, 65536)
            return (piece.decode(), "") if piece else (None, "closed")
        except ssl.SSLZeroReturnError:
            return None, "closed"
        except ssl.SSLError as error:
            assert error.reason == "UNEXPECTED_EOF_WHILE_READING", error
            return None, "cut"
        except ConnectionResetError:
            return None, "reset"


def ask(client, host, path, *fields):
    lines = [f"GET {path} HTTP/1.1", f"Host: {host}", *fields, "", ""]
    client.run(client.secured.write, "\r\n".join(lines).encode())


def main():
    host, port, path, version, *how = sys.argv[1:]
    authority, first, second = f"{host}:{port}", *(Client(host, int(port), version) for _ in range(2))
    ask(first, authority, path, *(["Connection: close"] if path == "/halves" else []))
    first.end_half(how)
    said, asked = "", False
    while True:
        piece, end = first.read()
        if piece is None:
            break
        said += piece
        if "one half" in said and not asked:
            asked = True
            ask(second, authority, "/next")
    print(json.dumps({"body": said.partition("\r\n\r\n")[2], "end": end}))


if __name__ == "__main__":
    main()
