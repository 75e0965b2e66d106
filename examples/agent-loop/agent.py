#!/usr/bin/env python3
"""The guest's side of an agent loop: asks the host for work over the mediation channel, does it, says how it went.

usage: agent.py [--port N] [--patience SECONDS]

Every message is one line of JSON. Ends with 0 when the host has no more work; with 1 when the channel stays refused for
longer than its patience.
"""

import argparse
import hashlib
import json
import socket
import subprocess
import sys
import time

HOST = 2  # VMADDR_CID_HOST
TASK_SECONDS = 60


def run(request):
    done = subprocess.run(request["argv"], stdin=subprocess.DEVNULL, capture_output=True, text=True,
                          timeout=TASK_SECONDS)
    return {"exitCode": done.returncode, "stdout": done.stdout, "stderr": done.stderr}


TASKS = {
    "run": run,
    "sha256": lambda request: {"digest": hashlib.sha256(request["text"].encode()).hexdigest()},
    "sum": lambda request: {"sum": sum(request["numbers"])},
}


def work_on(request):
    """The result of a request; a request that cannot be done has one too."""
    result = {"type": "WorkResult", "id": request["id"]}
    try:
        return {**result, "ok": True, "output": TASKS[request["task"]](request)}
    except Exception as failure:  # pylint: disable=broad-except
        return {**result, "ok": False, "error": f"{type(failure).__name__}: {failure}"}


def say(stream, message):
    stream.write(json.dumps(message) + "\n")
    stream.flush()


def converse(connection):
    """Works until the host has no more work. An end without that word is a host that died: it is tried again."""
    with connection.makefile("rw", encoding="utf-8", newline="\n") as stream:
        say(stream, {"type": "LifecycleSignal", "signal": "ready"})
        for line in stream:
            request = json.loads(line)
            if request.get("signal") == "no-more-work":
                say(stream, {"type": "LifecycleSignal", "signal": "completed"})
                return
            if request["type"] == "WorkRequest":
                say(stream, {"type": "LifecycleSignal", "signal": "accepting", "id": request["id"]})
                say(stream, work_on(request))
    raise ConnectionResetError("the host has gone away")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--port", type=int, default=2048)
    parser.add_argument("--patience", type=float, default=30, metavar="SECONDS")
    arguments = parser.parse_args()
    refused_since, pause = time.monotonic(), 0.1
    while True:
        try:
            with socket.socket(socket.AF_VSOCK, socket.SOCK_STREAM) as connection:
                connection.connect((HOST, arguments.port))
                refused_since, pause = time.monotonic(), 0.1
                converse(connection)
                return 0
        except OSError as refusal:
            # The channel is refused while nobody listens on the host, and comes back by itself.
            if time.monotonic() - refused_since > arguments.patience:
                print(f"agent: the channel is refused: {refusal}", file=sys.stderr)
                return 1
        time.sleep(pause)
        pause = min(2 * pause, 2)


if __name__ == "__main__":
    sys.exit(main())
