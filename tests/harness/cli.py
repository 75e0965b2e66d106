"""The microagent command, as a user or a program types it."""

import dataclasses
import json
import subprocess

from harness.schemas import VALIDATORS, check_line, check_record

EXIT_FAILURE, EXIT_USAGE, EXIT_RETRY = 1, 2, 75


@dataclasses.dataclass
class Outcome:
    words: tuple
    code: int
    out: bytes
    err: bytes

    @property
    def text(self):
        return self.out.decode()

    @property
    def err_text(self):
        return self.err.decode()

    @property
    def json(self):
        """The one object that is all of standard output."""
        record = json.loads(self.out)
        assert isinstance(record, dict), record
        check_record(self.words, record)
        return record

    def error_line(self):
        """The text of an error: one line, on standard error, that ends with a remedy; nothing on standard output."""
        assert self.out == b"", self
        lines = self.err_text.splitlines()
        assert len(lines) == 1, self
        assert lines[0].startswith("microagent: ") and "; hint: " in lines[0], self
        return lines[0]

    def error(self):
        """The error object of a failed command with --json: one line, complete, with nothing beside it."""
        assert self.err == b"", self
        assert self.out.count(b"\n") == 1 and self.out.endswith(b"\n"), self
        record = self.json
        assert set(record) == {"ok", "error"} and record["ok"] is False, record
        VALIDATORS["error"].validate(record)
        error = record["error"]
        assert set(error) == {"kind", "message", "remediation", "retryable"}, record
        assert error["message"] and error["remediation"], record
        assert error["retryable"] == (self.code == EXIT_RETRY), self
        return error


def outcome_of(process, timeout=60):
    """Of a command that was begun by Microagent.popen(), with both its outputs led here."""
    out, err = process.communicate(timeout=timeout)
    return Outcome(tuple(process.args[1:]), process.returncode, out, err)


def records_of(process, lines):
    """What a command that follows has told a program in these lines."""
    records = [json.loads(line) for line in lines]
    for record in records:
        check_line(process.args[1:], record)
    return records


class Microagent:
    """The command of one installation (`prefix`), on one state directory."""

    def __init__(self, prefix, state, account):
        self.prefix, self.state, self.account = prefix, state, account

    @property
    def workspaces(self):
        return self.state / "workspaces"

    def popen(self, *words, env=None, **options):
        command = [self.prefix / "bin" / "microagent", *words]
        return self.account.popen(command, env={"MICROAGENT_HOME": str(self.state), **(env or {})}, **options)

    def run(self, *words, code=0, stdin=None, timeout=60, env=None):
        """Runs a command that must end within `timeout` with `code`; None stands for any code."""
        with self.popen(*words, env=env, stdin=subprocess.PIPE if stdin is not None else subprocess.DEVNULL,
                        stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
            try:
                out, err = process.communicate(stdin, timeout)
            except subprocess.TimeoutExpired as late:
                process.kill()
                out, err = process.communicate()
                raise AssertionError(f"{words} took longer than {timeout} s; {out!r} {err!r}") from late
        outcome = Outcome(words, process.returncode, out, err)
        assert code is None or outcome.code == code, outcome
        return outcome

    def json(self, *words, code=0, **options):
        """Runs a command for a program; gives the record."""
        outcome = self.run("--json", *words, code=code, **options)
        assert outcome.err == b"", outcome
        return outcome.json

    def refuses(self, *words, code=EXIT_USAGE, **options):
        """Runs a command that must fail, for people and for programs alike; gives the error object."""
        line = self.run(*words, code=code, **options).error_line()
        error = self.run("--json", *words, code=code, **options).error()
        # For people, what a terminal would obey is written as \xNN.
        assert not error["message"].isprintable() or error["message"] in line, (line, error)
        assert error["remediation"] in line, (line, error)
        return error
