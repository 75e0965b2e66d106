"""A control plane on the host: what the mediation channel leads to."""

import contextlib
import hashlib
import os
import socket
import threading


class Plane:
    """Listens at a TCP address or a path, and answers each connection with what it got, once the other side has ended
    its half: its length and its SHA-256, and then the bytes themselves."""

    def __init__(self, place):
        self.place, self.seen, self._live, self._lock = place, 0, set(), threading.Lock()
        if place.startswith("unix:"):
            self.listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            self.listener.bind(place.removeprefix("unix:"))
            os.chmod(place.removeprefix("unix:"), 0o777)
            self.listener.listen(256)
        else:
            host, _, port = place.rpartition(":")
            self.listener = socket.create_server((host, int(port)), backlog=256)
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self.listener.accept()
                with self._lock:
                    self._live.add(connection)
                threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection):
        received = bytearray()
        with contextlib.suppress(OSError), connection:
            while data := connection.recv(1 << 16):
                received += data
            if received:
                self.seen += 1
                digest = hashlib.sha256(received).hexdigest()
                connection.sendall(f"{len(received)} {digest}\n".encode() + received)
        with self._lock:
            self._live.discard(connection)

    def live(self):
        return len(self._live)

    def close(self):
        """Gone, with everything that was connected."""
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        with self._lock:
            for connection in self._live:
                with contextlib.suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)
        if self.place.startswith("unix:"):
            os.unlink(self.place.removeprefix("unix:"))


def free_port():
    """A port of loopback where nobody listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
