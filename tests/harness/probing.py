"""The host's side of probe.py: a program in the guest that opens sockets and tells what it hears."""

import json
import pathlib
import select
import subprocess

PROGRAM = pathlib.Path(__file__).with_name("probe.py")
PATIENCE = 120  # longer than any order takes; the probe has deadlines of its own


class Probe:
    """One in a workspace; `probe.connect(host=..., port=...)` is an order by that name, and gives its answer."""

    def __init__(self, workspace):
        workspace.install(PROGRAM, "/tmp/probe.py")
        self.process = workspace.spawn("python3", "-u", "/tmp/probe.py", stdin=subprocess.PIPE)

    def __getattr__(self, order):
        return lambda **fields: self._order({"do": order, **fields})

    def _order(self, order):
        self.process.stdin.write(json.dumps(order).encode() + b"\n")
        self.process.stdin.flush()
        ready, _, _ = select.select([self.process.stdout], [], [], PATIENCE)
        assert ready, f"the probe does not answer {order}"
        line = self.process.stdout.readline()
        assert line, f"the probe has ended: {order}"
        return json.loads(line)

    def end(self):
        self.process.stdin.close()
        self.process.wait(20)

    # In words of what tests want to know.

    def opened(self, host, port, **fields):
        answer = self.connect(host=host, port=port, **fields)
        assert answer["error"] is None, (host, port, answer)
        return answer["id"]

    def say(self, host, port, data, piece=0, end=False, timeout=20):
        """Connects, sends, and gives (what came first, the error or None): b"" and None stand for an end."""
        connection = self.opened(host, port)
        try:
            sent = self.send(id=connection, data=data.hex(), piece=piece)
            if sent["error"] is not None:
                return b"", sent["error"]
            if end:
                self.shut(id=connection)
            answer = self.receive(id=connection, timeout=timeout)
            return bytes.fromhex(answer.get("data", "")), answer["error"]
        finally:
            self.close(id=connection)

    def page(self, host, port, request):
        """The whole of an answer to a request in HTTP/1."""
        connection = self.opened(host, port)
        try:
            self.send(id=connection, data=request.hex())
            answer = self.receive_all(id=connection)
            assert answer["error"] is None, answer
            return bytes.fromhex(answer["data"])
        finally:
            self.close(id=connection)

    def ask(self, message, host="192.168.64.1", tcp=False, timeout=20):
        """A DNS message (dnspython's) and its answer, or the error in its place."""
        import dns.message
        connection = self.opened(host, 53, protocol="tcp" if tcp else "udp")
        try:
            wire = message.to_wire()
            self.send(id=connection, data=(len(wire).to_bytes(2, "big") + wire if tcp else wire).hex())
            data = b""
            while True:
                answer = self.receive(id=connection, timeout=timeout)
                if answer["error"] is not None:
                    return answer["error"]
                part = bytes.fromhex(answer["data"])
                data += part
                if not tcp:
                    return dns.message.from_wire(data)
                if len(data) >= 2 and len(data) >= 2 + int.from_bytes(data[:2], "big"):
                    return dns.message.from_wire(data[2:])
                assert part, "half an answer"
        finally:
            self.close(id=connection)
