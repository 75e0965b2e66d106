"""One workspace, through the command line alone."""

import json
import shlex
import subprocess

from harness.processes import Process, processes_of
from harness.schemas import check_audit
from harness.wait import wait_until

START_TIMEOUT = 200  # more than the command gives itself: it has the last word
PROGRAMS = {"supervisor": "microagent-supervisor", "netd": "microagent-netd", "mediator": "microagent-mediator",
            "qemu": "qemu-system-x86_64"}


class Workspace:
    def __init__(self, microagent, name):
        self.microagent, self.name, self.warnings = microagent, name, []

    @property
    def directory(self):
        return self.microagent.workspaces / self.name

    def create(self, *flags, warnings=0, **options):
        """Gives the record; `self.warnings` are the lines on standard error, of which there must be so many."""
        outcome = self.microagent.run("--json", "create", self.name, *flags, **options)
        self.warnings = outcome.err_text.splitlines()
        assert len(self.warnings) == warnings, outcome
        return outcome.json

    def start(self, **options):
        return self.microagent.json("start", self.name, timeout=START_TIMEOUT, **options)

    def stop(self, *flags, **options):
        return self.microagent.json("stop", self.name, *flags, **options)

    def kill(self):
        return self.microagent.json("kill", self.name)

    def delete(self):
        return self.microagent.json("delete", "--force", self.name)

    def status(self):
        return self.microagent.json("status", self.name)

    def network(self):
        return self.microagent.json("network", self.name)

    def events(self):
        return self.microagent.json("events", self.name)["events"]

    def state(self):
        return self.status()["state"]

    def wait_for_state(self, *states, timeout=20):
        def reached():
            record = self.status()
            return record if record["state"] in states else None

        return wait_until(reached, f"{self.name} is {' or '.join(states)}", timeout)

    def processes(self):
        """The four processes of a running workspace, by name."""
        record = self.status()
        return {"supervisor": Process(record["supervisorPid"]),
                **{name: Process(pid) for name, pid in record["pids"].items()}}

    def process_of(self, name):
        """One of the four, once the kernel knows it; the record of a start comes later."""
        processes = {process.pid: process for process in processes_of(self.microagent.account.uid)}
        ours = [pid for pid, process in processes.items() if process.is_supervisor_of(self.name)]
        for process in processes.values():
            whole = process.pid in ours if name == "supervisor" else process.parent() in ours
            if whole and process.program() == PROGRAMS[name]:
                return process
        return None

    # In the guest.

    def exec(self, *argv, code=0, stdin=None, timeout=60, flags=()):
        return self.microagent.run("exec", *flags, self.name, "--", *argv, code=code, stdin=stdin, timeout=timeout)

    def shell(self, script, code=0, timeout=60, **options):
        """What a shell's script in the guest writes to standard output."""
        return self.exec("sh", "-c", script, code=code, timeout=timeout, **options).text

    def spawn(self, *argv, **options):
        """A command in the guest that goes on; the caller ends it."""
        options.setdefault("stdin", subprocess.DEVNULL)
        return self.microagent.popen("exec", self.name, "--", *argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                     **options)

    def background(self, *argv):
        """A command in the guest that outlives the one that starts it."""
        self.shell(f"{shlex.join(argv)} >/dev/null 2>&1 </dev/null &")

    def install(self, program, path):
        self.exec("sh", "-c", f"cat >{path} && chmod 755 {path}", stdin=program.read_bytes())

    def wait_for_listener(self, port, protocol="tcp"):
        """Waits, in the guest, until somebody has bound the port there."""
        self.shell(f"for i in $(seq 200); do grep -q ':{port:04X} ' /proc/net/{protocol} /proc/net/{protocol}6 && exit;"
                   " usleep 50000; done; exit 1")

    # What is kept of it.

    def egress(self):
        """The records of the audit log, so far."""
        path = self.directory / "egress.jsonl"
        records = [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
        for record in records:
            check_audit(record)
        return records

    def last_record(self):
        """The number of the audit log's last record, for wait_for_record()."""
        return max((record["seq"] for record in self.egress()), default=0)

    def wait_for_record(self, timeout=10, after=0, **fields):
        """The first record with these fields of those behind the one of number `after`."""
        def find():
            for record in self.egress():
                if record["seq"] > after and all(record.get(key) == value for key, value in fields.items()):
                    return record
            return None

        return wait_until(find, f"a record with {fields}", timeout)

    def story(self):
        """What its logs say last, for whoever wonders why a test failed."""
        parts = []
        for log in ("events.jsonl", "supervisor.log", "console.log", "egress.jsonl"):
            path = self.directory / log
            if path.exists():
                lines = path.read_bytes().decode(errors="replace").splitlines()[-10:]
                text = "\n".join(line.split(',"prev":')[0] for line in lines)
                parts.append(f"-- {self.name}/{log}\n{text}")
        return "\n".join(parts)
