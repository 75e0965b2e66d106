"""A server of the tests' internet that speaks HTTP/2 and nothing else: whoever offers another protocol gets the alert
that RFC 7301 has for that. A program, given its certificate, key and port.

    GET /head         the request's fields as JSON, and the number of the connection since the server began
    POST /digest      "COUNT SHA256" of the body, and in the trailer x-sum what the request's trailer of that name said
    GET /trailers     "hello", with the trailer x-after
    GET /bytes?N      so many bytes
    GET /events       three events, each when somebody has asked for it with GET /next
    GET /reset        RST_STREAM before an answer; /cut within one
    GET /goaway       GOAWAY within the answer, which goes on, and the end of the connection behind it
    GET /first?N      waits for N requests of its connection, itself the first; GOAWAY then says that no other one was
                      looked at, and it is answered. GET /wait is not answered at all
    GET /leave?N      connection N, which must be idle, says GOAWAY; /drop?N: it ends without a word
    GET /turned-away  every other time GOAWAY that says that this request was not looked at, and the end
    CONNECT /chat     a WebSocket (RFC 8441) that echoes short texts
"""

import ctypes
import hashlib
import itertools
import json
import signal
import socket
import socketserver
import sys
import threading

import h2.config
import h2.connection
import h2.errors
import h2.events
import h2.exceptions
import h2.settings
from OpenSSL import SSL

PR_SET_PDEATHSIG = 1
PIECE = bytes(16384)
NUMBERS = itertools.count(1)
TURNS = itertools.count(1)
NEXT_EVENT = threading.Semaphore(0)
CONNECTIONS = {}
TEXT = ("content-type", "text/plain")


class Ended(Exception):
    pass


class Connection:
    """One connection, served by one thread: what streams have still to send waits for the peer's window."""

    def __init__(self, secured):
        self.socket, self.number = secured, next(NUMBERS)
        self.http = h2.connection.H2Connection(h2.config.H2Configuration(client_side=False, header_encoding="utf-8"))
        self.requests, self.bodies, self.left = {}, {}, {}
        self.leaving = None  # with which stream, once there are how many
        CONNECTIONS[self.number] = self

    def serve(self):
        self.http.local_settings = h2.settings.Settings(
            client=False, initial_values={h2.settings.SettingCodes.ENABLE_CONNECT_PROTOCOL: 1,
                                          h2.settings.SettingCodes.MAX_CONCURRENT_STREAMS: 100})
        self.http.initiate_connection()
        self.flush()
        while True:
            for event in self.http.receive_data(self.socket.recv(65536)):
                self.on_event(event)
            self.send_what_is_left()
            self.flush()

    def flush(self):
        if data := self.http.data_to_send():
            self.socket.sendall(data)

    def on_event(self, event):
        if isinstance(event, h2.events.RequestReceived):
            fields = dict(event.headers)
            self.requests[event.stream_id] = fields
            self.bodies[event.stream_id] = [hashlib.sha256(), 0, None]
            if fields[":method"] == "CONNECT":
                self.http.send_headers(event.stream_id, [(":status", "200")])
        elif isinstance(event, h2.events.DataReceived):
            self.http.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
            self.on_data(event.stream_id, event.data)
        elif isinstance(event, h2.events.TrailersReceived):
            self.bodies[event.stream_id][2] = dict(event.headers).get("x-sum")
        elif isinstance(event, h2.events.StreamEnded):
            self.on_end(event.stream_id, self.requests[event.stream_id])
        elif isinstance(event, h2.events.StreamReset):
            self.left.pop(event.stream_id, None)
        elif isinstance(event, h2.events.ConnectionTerminated):
            raise Ended

    def on_data(self, stream, data):
        if self.requests[stream][":method"] != "CONNECT":
            self.bodies[stream][0].update(data)
            self.bodies[stream][1] += len(data)
            return
        while data:  # short texts of a client: two bytes, four of the mask, and the text
            size, mask, data = data[1] & 0x7f, data[2:6], data[6:]
            text = bytes(byte ^ mask[at % 4] for at, byte in enumerate(data[:size]))
            self.http.send_data(stream, bytes([0x81, size]) + text)
            data = data[size:]

    def on_end(self, stream, fields):
        path, _, query = fields[":path"].partition("?")
        answer = getattr(self, "on_" + path.strip("/").replace("-", "_"), None)
        if fields[":method"] == "CONNECT":
            self.http.end_stream(stream)
        elif answer:
            answer(stream, query)
        else:
            self.page(stream, b"hello over HTTP/2\n")
        if self.leaving and len(self.requests) == self.leaving[1]:
            self.on_goaway(self.leaving[0], "")

    def page(self, stream, content, status="200"):
        self.http.send_headers(stream, [(":status", status), TEXT, ("content-length", str(len(content)))])
        self.http.send_data(stream, content, end_stream=True)

    def on_head(self, stream, _query):
        said = {"fields": self.requests[stream], "connection": self.number}
        self.page(stream, json.dumps(said).encode())

    def on_digest(self, stream, _query):
        digest, count, trailer = self.bodies[stream]
        self.http.send_headers(stream, [(":status", "200"), TEXT])
        self.http.send_data(stream, f"{count} {digest.hexdigest()}\n".encode())
        self.http.send_headers(stream, [("x-sum", trailer or "none")], end_stream=True)

    def on_trailers(self, stream, _query):
        self.http.send_headers(stream, [(":status", "200"), TEXT])
        self.http.send_data(stream, b"hello")
        self.http.send_headers(stream, [("x-after", "yes")], end_stream=True)

    def on_bytes(self, stream, query):
        self.http.send_headers(stream, [(":status", "200"), ("content-length", query)])
        self.left[stream] = int(query)

    def send_what_is_left(self):
        for stream in list(self.left):
            while room := min(self.http.local_flow_control_window(stream), self.left[stream], len(PIECE)):
                self.left[stream] -= room
                self.http.send_data(stream, PIECE[:room], end_stream=not self.left[stream])
            if not self.left[stream]:
                del self.left[stream]

    def on_next(self, stream, _query):
        NEXT_EVENT.release()
        self.page(stream, b"")

    def on_events(self, stream, _query):
        self.http.send_headers(stream, [(":status", "200"), ("content-type", "text/event-stream")])
        for number in range(3):
            self.flush()
            NEXT_EVENT.acquire(timeout=30)
            self.http.send_data(stream, b"data: %d\n\n" % number, end_stream=number == 2)

    def on_reset(self, stream, _query):
        self.http.reset_stream(stream, h2.errors.ErrorCodes.INTERNAL_ERROR)

    def on_cut(self, stream, _query):
        self.http.send_headers(stream, [(":status", "200"), ("content-length", "100")])
        self.http.send_data(stream, b"half")
        self.http.reset_stream(stream, h2.errors.ErrorCodes.INTERNAL_ERROR)

    def on_goaway(self, stream, _query):
        self.http.send_headers(stream, [(":status", "200"), TEXT, ("content-length", "5")])
        self.http.send_data(stream, b"hel")
        self.flush()
        self.send_goaway(stream)
        # The library sends nothing behind its GOAWAY: the rest of the answer is framed by hand.
        self.socket.sendall(b"\0\0\2\0\1" + stream.to_bytes(4, "big") + b"lo")
        raise Ended

    def on_first(self, stream, count):
        self.leaving = stream, len(self.requests) + int(count) - 1

    def on_wait(self, stream, _query):
        pass

    def on_leave(self, stream, number):
        CONNECTIONS[int(number)].send_goaway(1)
        self.page(stream, b"")

    def on_drop(self, stream, number):
        CONNECTIONS[int(number)].socket.sock_shutdown(socket.SHUT_RDWR)
        self.page(stream, b"")

    def on_turned_away(self, stream, _query):
        if next(TURNS) % 2 == 0:
            return self.page(stream, b"looked at\n")
        self.send_goaway(stream - 2 if stream > 1 else 0)
        raise Ended

    def send_goaway(self, last):
        self.socket.sendall(b"\0\0\x08\7\0\0\0\0\0" + last.to_bytes(4, "big") + b"\0\0\0\0")


class Handler(socketserver.BaseRequestHandler):
    def handle(self):
        # A context of its own: what the callback raises is told to whoever uses the same one next.
        secured = SSL.Connection(self.server.new_context(), self.request)
        secured.set_accept_state()
        try:
            secured.do_handshake()
            Connection(secured).serve()
        except Ended:
            secured.shutdown()
        except (SSL.Error, OSError, h2.exceptions.ProtocolError):  # clients may end as they like
            pass


class Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = daemon_threads = True
    request_queue_size = 128

    def __init__(self, certificate, key, port):
        self.identity = certificate, key
        super().__init__(("", port), Handler)

    def new_context(self):
        certificate, key = self.identity
        context = SSL.Context(SSL.TLS_SERVER_METHOD)
        context.use_certificate_chain_file(certificate)
        context.use_privatekey_file(key)
        context.set_alpn_select_callback(self.select)
        return context

    @staticmethod
    def select(_connection, offered):
        if b"h2" not in offered:
            raise ValueError("HTTP/2 alone")  # which OpenSSL answers with the alert no_application_protocol
        return b"h2"

    def handle_error(self, request, client_address):
        if not isinstance(sys.exc_info()[1], ValueError):
            super().handle_error(request, client_address)


def main():
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    certificate, key, port = sys.argv[1:]
    Server(certificate, key, int(port)).serve_forever()


if __name__ == "__main__":
    main()
