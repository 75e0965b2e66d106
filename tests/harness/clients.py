"""Clients on the host's side of published ports."""

import contextlib
import hashlib
import socket
import threading

from harness.wait import wait_until

TIMEOUT = 60


def connect(port, host="127.0.0.1"):
    return socket.create_connection((host, port), timeout=TIMEOUT)


def read_all(connection):
    parts = []
    while data := connection.recv(65536):
        parts.append(data)
    return b"".join(parts)


def digest_of_rest(connection):
    """(count, SHA-256 in hexadecimal) of what comes until the other side's end."""
    digest, count = hashlib.sha256(), 0
    while data := connection.recv(1 << 20):
        digest.update(data)
        count += len(data)
    return count, digest.hexdigest()


@contextlib.contextmanager
def sending(connection, data, half_close=True):
    """Sends while the caller receives; both ways at once, as real clients do."""
    failure = []

    def work():
        try:
            connection.sendall(data)
            if half_close:
                connection.shutdown(socket.SHUT_WR)
        except OSError as error:
            failure.append(error)

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    yield
    thread.join(TIMEOUT)
    assert not thread.is_alive(), "the other side takes no more"
    if failure:
        raise failure[0]


def ask(port, data, host="127.0.0.1"):
    """Sends, half-closes, and gives the whole answer."""
    with connect(port, host) as connection, sending(connection, data):
        return read_all(connection)


def ask_when_served(port, data, host="127.0.0.1", timeout=20):
    """The same, as soon as somebody answers."""

    def try_it():
        try:
            return ask(port, data, host)
        except ConnectionError:
            return b""

    return wait_until(try_it, f"port {port} is served", timeout)


def ask_datagram(port, data, host="127.0.0.1", patience=1.0, tries=10):
    """A datagram and its answer; like every user of UDP it asks again when none comes."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as client:
        client.settimeout(patience)
        client.connect((host, port))
        for _ in range(tries):
            try:
                client.send(data)
                return client.recv(65536)
            except (TimeoutError, ConnectionRefusedError):
                continue
    raise AssertionError(f"no answer from UDP port {port} after {tries} tries")


def get(port, path, host="127.0.0.1"):
    """The body of a page; the whole answer must be well."""
    request = f"GET {path} HTTP/1.0\r\nHost: web\r\n\r\n".encode()
    with connect(port, host) as connection:
        connection.sendall(request)
        head, _, content = read_all(connection).partition(b"\r\n\r\n")
    assert head.split(b"\r\n")[0].split()[1] == b"200", head
    return content


def is_free(port, kind=socket.SOCK_STREAM, host="127.0.0.1"):
    with socket.socket(socket.AF_INET, kind) as probe:
        if kind == socket.SOCK_STREAM:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
        return True
