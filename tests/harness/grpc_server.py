"""A gRPC server of the tests' internet: a program, given its certificate, key and port. Messages are plain bytes.

    /test.Echo/Unary        gives the message back, and the trailer "seen" with its length
    /test.Echo/Fails        ends with NOT_FOUND and details
    /test.Echo/Source       gives as many messages of 16 KiB as the request says
    /test.Echo/Sink         counts the bytes of all messages
    /test.Echo/Chat         gives each message back as it comes
    /test.Secret/Unary      the same as Unary; the tests' rules deny it
    /test.Echo/Waits        answers when its caller has gone away, to nobody; /test.Echo/Waited says how often
"""

import ctypes
import signal
import sys
import threading
from concurrent import futures

import grpc

PR_SET_PDEATHSIG = 1
GONE = []


def unary(request, context):
    context.set_trailing_metadata((("seen", str(len(request))),))
    return request


def fails(_request, context):
    context.abort(grpc.StatusCode.NOT_FOUND, "no such thing: 100 % gone")


def source(request, _context):
    for number in range(int(request)):
        yield bytes([number % 256]) * 16384


def sink(requests, _context):
    return str(sum(len(request) for request in requests)).encode()


def chat(requests, _context):
    yield from requests


def waits(_request, context):
    over = threading.Event()
    context.add_callback(over.set)
    over.wait(30)
    GONE.append(context.is_active())
    return b""


def handlers():
    one, many = grpc.unary_unary_rpc_method_handler, grpc.stream_stream_rpc_method_handler
    echo = {"Unary": one(unary), "Fails": one(fails), "Source": grpc.unary_stream_rpc_method_handler(source),
            "Sink": grpc.stream_unary_rpc_method_handler(sink), "Chat": many(chat), "Waits": one(waits),
            "Waited": one(lambda _request, _context: str(len(GONE)).encode())}
    return (grpc.method_handlers_generic_handler("test.Echo", echo),
            grpc.method_handlers_generic_handler("test.Secret", {"Unary": one(unary)}))


def main():
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    certificate, key, port = sys.argv[1:]
    server = grpc.server(futures.ThreadPoolExecutor(16))
    server.add_generic_rpc_handlers(handlers())
    identity = [(open(key, "rb").read(), open(certificate, "rb").read())]
    server.add_secure_port(f"0.0.0.0:{port}", grpc.ssl_server_credentials(identity))
    server.start()
    print("serving", flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    main()
