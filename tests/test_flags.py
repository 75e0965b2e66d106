"""Malformed words on the command line: one line, the remedy, exit code 2, and nothing half-created."""

import pytest

from harness.cli import EXIT_FAILURE, EXIT_USAGE

MALFORMED = {
    "no command": [],
    "unknown command": ["frobnicate"],
    "unknown option": ["create", "web", "--frobnicate"],
    "unknown global option": ["--frobnicate", "list"],
    "bad output format": ["list", "--output", "xml"],
    "status without a name": ["status"],
    "two names": ["status", "web", "web2"],
    "create without a name": ["create"],
    "two different names": ["create", "web", "--name", "other"],
    "network mode": ["create", "web", "--network", "bridge"],
    "empty network mode": ["create", "web", "--network", ""],
    "memory text": ["create", "web", "--memory", "lots"],
    "memory negative": ["create", "web", "--memory", "-1"],
    "memory fraction": ["create", "web", "--memory", "1.5GiB"],
    "memory too small": ["create", "web", "--memory", "1"],
    "memory too large": ["create", "web", "--memory", "99999GiB"],
    "memory overflow": ["create", "web", "--memory", "99999999999999999999"],
    "no cpus": ["create", "web", "--cpus", "0"],
    "cpus text": ["create", "web", "--cpus", "two"],
    "too many cpus": ["create", "web", "--cpus", "4096"],
    "env without value": ["create", "web", "--env", "NAME"],
    "env without name": ["create", "web", "--env", "=value"],
    "env bad name": ["create", "web", "--env", "1NAME=x"],
    "allow text": ["create", "web", "--egress-allow", "not an address"],
    "allow empty": ["create", "web", "--egress-allow", ""],
    "allow port 0": ["create", "web", "--egress-allow", "10.0.0.1:0"],
    "allow prefix": ["create", "web", "--egress-allow", "10.0.0.0/33"],
    "missing spec": ["create", "--file", "/nonexistent/microagent.yaml"],
    "start timeout 0": ["start", "web", "--timeout", "0"],
    "stop timeout text": ["stop", "web", "--timeout", "soon"],
    "exec without a command": ["exec", "web"],
    "exec with an empty command": ["exec", "web", "--"],
    "exec with a relative directory": ["exec", "-w", "tmp", "web", "--", "ls"],
    "exec without --": ["exec", "web", "ls"],
    "words behind --": ["status", "web", "--", "ls"],
    "stats interval 0": ["stats", "web", "--follow", "--interval", "0"],
    "stats interval alone": ["stats", "web", "--interval", "5"],
    "restart timeout 0": ["restart", "web", "--timeout", "0"],
}

BAD_NAMES = ["", "a/b", "/", "..", ".", "../../etc", "a" * 64, "a" * 300, "-web", "Web", "we b", "wéb", "a\nb",
             "web.1", "allow", "deny", "passthrough", "remove", "explain", "learn", "list", "publish", "unpublish"]

NAMED_COMMANDS = [["create"], ["start"], ["stop"], ["kill"], ["delete"], ["status"], ["network"], ["events"], ["logs"],
                  ["restart"], ["stats"]]


def exit_code_of_missing_file(words):
    """A spec that is not there is no word's fault but the disk's."""
    return EXIT_FAILURE if "/nonexistent/microagent.yaml" in words else EXIT_USAGE


@pytest.mark.parametrize("words", MALFORMED.values(), ids=MALFORMED)
def test_malformed_words_are_refused(fresh, words):
    fresh.refuses(*words, code=exit_code_of_missing_file(words))
    assert not list(fresh.workspaces.glob("*"))


@pytest.mark.parametrize("name", BAD_NAMES, ids=lambda name: ascii(name)[:24])
def test_what_is_no_name_is_refused_by_create(fresh, name):
    error = fresh.refuses("create", "--name=" + name if name.startswith("-") else name)
    assert error["kind"] == "usage"
    assert not list(fresh.workspaces.glob("*"))


@pytest.mark.parametrize("command", NAMED_COMMANDS, ids=lambda words: words[0])
@pytest.mark.parametrize("name", ["a/b", "..", "a" * 300], ids=["slash", "parent", "long"])
def test_what_is_no_name_is_refused_by_every_command(fresh, command, name):
    error = fresh.refuses(*command, name)
    assert error["kind"] == "usage"


def test_a_long_name_does_not_fill_the_error(fresh):
    error = fresh.refuses("create", "x" * 100_000)
    assert len(error["message"]) < 200 and "100000" in error["message"]


def test_control_characters_do_not_reach_the_terminal(fresh):
    outcome = fresh.run("create", "\x1b[31mred\x07", code=EXIT_USAGE)
    assert b"\x1b" not in outcome.err and b"\x07" not in outcome.err


@pytest.mark.parametrize("command", [["start"], ["stop"], ["kill"], ["status"], ["network"], ["events"], ["logs"],
                                     ["exec", "--", "true"]], ids=lambda words: words[0])
def test_a_workspace_that_is_not_there(fresh, command):
    error = fresh.refuses(command[0], "nowhere", *command[1:], code=EXIT_FAILURE)
    assert error["kind"] == "not_found" and "nowhere" in error["message"]


def test_an_error_names_the_flag(fresh):
    assert "--memory" in fresh.refuses("create", "web", "--memory", "lots")["message"]
    assert "--publish 99999:80" in fresh.refuses("create", "web", "--publish", "99999:80")["message"]
    assert "--ip" in fresh.refuses("create", "web", "--ip", "10.0.0.300/24", "--gateway", "10.0.0.1")["message"]


def test_both_modes_are_named(fresh):
    error = fresh.refuses("create", "web", "--network", "bridge")
    assert "user" in error["remediation"] and "isolated" in error["remediation"]


@pytest.mark.parametrize("words", [["--json", "list", "--frobnicate"], ["list", "--frobnicate", "--json"],
                                   ["list", "--frobnicate", "--output", "json"],
                                   ["--output=json", "list", "--frobnicate"]], ids=" ".join)
def test_wrong_words_are_told_to_programs_in_json(fresh, words):
    assert fresh.run(*words, code=EXIT_USAGE).error()["kind"] == "usage"


def test_help_is_no_error(fresh):
    for words in (["--help"], ["create", "--help"], ["exec", "--help"], ["--version"]):
        outcome = fresh.run(*words)
        assert outcome.out and not outcome.err
    assert not fresh.state.exists()
