"""A client of HTTP/2 within a guest, for what curl cannot do: a program that prints what it has seen as JSON.

    http2_client.py HOST PORT get PATH [NAME VALUE]...  one request, whatever comes of it
    http2_client.py HOST PORT chat WORD...              a WebSocket (RFC 8441) at /chat: says each word, hears its echo
"""

import json
import socket
import ssl
import sys

import h2.config
import h2.connection
import h2.events


class Client:
    def __init__(self, host, port):
        context = ssl.create_default_context()
        context.set_alpn_protocols(["h2"])
        self.authority = f"{host}:{port}"
        self.socket = context.wrap_socket(socket.create_connection((host, port), 20), server_hostname=host)
        assert self.socket.selected_alpn_protocol() == "h2"
        self.http = h2.connection.H2Connection(h2.config.H2Configuration(header_encoding="utf-8"))
        self.http.initiate_connection()
        self.flush()

    def flush(self):
        self.socket.sendall(self.http.data_to_send())

    def events(self):
        """What comes next; the end of the connection is none."""
        events = self.http.receive_data(self.socket.recv(65536) or sys.exit("the connection ended"))
        self.flush()
        return events

    def get(self, path, *fields):
        stream = self.http.get_next_available_stream_id()
        self.http.send_headers(stream, [(":method", "GET"), (":scheme", "https"), (":authority", self.authority),
                                        (":path", path), *zip(fields[::2], fields[1::2])], end_stream=True)
        self.flush()
        said = {"body": ""}
        while True:
            for event in self.events():
                if isinstance(event, h2.events.ResponseReceived):
                    said["status"] = dict(event.headers)[":status"]
                elif isinstance(event, h2.events.DataReceived):
                    said["body"] += event.data.decode()
                    self.http.acknowledge_received_data(event.flow_controlled_length, stream)
                elif isinstance(event, h2.events.TrailersReceived):
                    said["trailers"] = dict(event.headers)
                elif isinstance(event, h2.events.StreamReset):
                    return {**said, "reset": int(event.error_code)}
                elif isinstance(event, h2.events.ConnectionTerminated):
                    said["goaway"] = int(event.error_code)
                elif isinstance(event, h2.events.StreamEnded):
                    return said
            self.flush()

    def chat(self, *words):
        while self.http.remote_settings.enable_connect_protocol != 1:  # it may be offered later than at the beginning
            self.events()
        stream = self.http.get_next_available_stream_id()
        self.http.send_headers(stream, [(":method", "CONNECT"), (":protocol", "websocket"), (":scheme", "https"),
                                        (":authority", self.authority), (":path", "/chat"),
                                        ("sec-websocket-version", "13")])
        self.flush()
        said, heard, pending = {}, b"", list(words)
        while "status" not in said or len(texts(heard)) < len(words):
            for event in self.events():
                if isinstance(event, h2.events.ResponseReceived):
                    said["status"] = dict(event.headers)[":status"]
                elif isinstance(event, h2.events.DataReceived):
                    heard += event.data
                elif isinstance(event, (h2.events.StreamEnded, h2.events.StreamReset)):
                    sys.exit(f"the stream ended: {event}")
            if "status" in said and len(texts(heard)) == len(words) - len(pending) and pending:
                word = pending.pop(0).encode()
                self.http.send_data(stream, bytes([0x81, 0x80 | len(word)]) + bytes(4) + word)
                self.flush()
        return {**said, "heard": texts(heard)}


def texts(frames):
    """Of short texts that are whole."""
    found = []
    while len(frames) >= 2 and len(frames) >= 2 + frames[1]:
        found.append(frames[2:2 + frames[1]].decode())
        frames = frames[2 + frames[1]:]
    return found


def main():
    host, port, what, *words = sys.argv[1:]
    print(json.dumps(getattr(Client(host, int(port)), what)(*words)))


if __name__ == "__main__":
    main()
