#!/usr/bin/python3
"""bench/list.py [--workspaces N] [--rounds N]: how long `microagent list` takes. No guest is started."""

import argparse
import json
import os
import pathlib
import statistics
import subprocess
import tempfile
import time

BUILD = pathlib.Path(os.environ.get("MICROAGENT_BUILD", pathlib.Path(__file__).resolve().parent.parent / "build"))
ENDED = {"version": 1, "state": "stopped", "detail": "the guest shut down cleanly", "observedAt":
         "2026-01-02T03:04:05.000000000Z", "supervisorPid": 0, "pids": {}, "acceleration": "tcg",
         "accelerationReason": "", "readiness": {}, "forwards": []}


def run(state, *words):
    command = [BUILD / "bin" / "microagent", "--json", "--state-dir", state, *words]
    return json.loads(subprocess.run(command, check=True, capture_output=True).stdout)


def fill(state, count):
    for number in range(count):
        run(state, "create", f"workspace-{number}", "-p", f"{20000 + number}:80", "--egress-allow", "example.org")
        (state / "workspaces" / f"workspace-{number}" / "runtime.json").write_text(json.dumps(ENDED))


def measure(state, rounds):
    times = []
    for _ in range(rounds):
        begin = time.perf_counter()
        run(state, "list")
        times.append(1000 * (time.perf_counter() - begin))
    return times


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--workspaces", type=int, default=100)
    parser.add_argument("--rounds", type=int, default=50)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        state = pathlib.Path(directory) / "state"
        fill(state, arguments.workspaces)
        times = measure(state, arguments.rounds)
    print(f"list of {arguments.workspaces}: median {statistics.median(times):.1f} ms, "
          f"least {min(times):.1f} ms, most {max(times):.1f} ms, {arguments.rounds} rounds")


if __name__ == "__main__":
    main()
