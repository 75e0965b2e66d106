#!/usr/bin/env python3
"""The host's side of an agent loop: hands out work over the mediation channel and takes the results.

usage: host.py --listen HOST:PORT|unix:/path [WORK]

WORK holds one request a line, as JSON; standard input by default. Results and signals go to standard output, one a
line. Ends with 0 once every request has its result. A connection that says nothing, as microagent's probes do, is let
go; work that a lost connection leaves behind is handed out again.
"""

import argparse
import collections
import json
import os
import socket
import sys


def listen(place):
    """A listening socket, at an address or at a path."""
    if place.startswith("unix:"):
        path = place.removeprefix("unix:")
        if os.path.exists(path):
            os.unlink(path)
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        listener.bind(path)
        listener.listen()
        return listener
    host, _, port = place.rpartition(":")
    return socket.create_server((host, int(port)))


def tell(message):
    print(json.dumps(message), flush=True)


class Work:
    """What is still to be done, and what somebody is doing."""

    def __init__(self, requests):
        self.waiting = collections.deque(requests)
        self.begun = None

    def done(self):
        return not self.waiting and self.begun is None

    def take(self):
        self.begun = self.waiting.popleft()
        return {"type": "WorkRequest", **self.begun}

    def finish(self, result):
        if self.begun is not None and result.get("id") == self.begun["id"]:
            self.begun = None

    def give_back(self):
        if self.begun is not None:
            self.waiting.appendleft(self.begun)
            self.begun = None


def converse(connection, work):
    """One agent's connection, to its end."""
    with connection.makefile("rw", encoding="utf-8", newline="\n") as stream:
        for line in stream:
            message = json.loads(line)
            tell(message)
            if message["type"] == "WorkResult":
                work.finish(message)
            if message["type"] == "WorkResult" or message.get("signal") == "ready":
                answer = work.take() if work.waiting else {"type": "LifecycleSignal", "signal": "no-more-work"}
                stream.write(json.dumps(answer) + "\n")
                stream.flush()
                if not work.waiting and work.begun is None:
                    # The agent says its last word over its own half of the connection.
                    connection.shutdown(socket.SHUT_WR)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--listen", required=True, metavar="PLACE")
    parser.add_argument("work", nargs="?", type=argparse.FileType(), default=sys.stdin, metavar="WORK")
    arguments = parser.parse_args()
    work = Work(json.loads(line) for line in arguments.work if line.strip())
    with listen(arguments.listen) as listener:
        while not work.done():
            connection, _ = listener.accept()
            with connection:
                try:
                    converse(connection, work)
                except (OSError, ValueError) as lost:
                    print(f"host: the connection is lost: {lost}", file=sys.stderr)
                work.give_back()


if __name__ == "__main__":
    main()
