"""docs/records.schema.json and docs/audit.schema.json say what is printed and written, no more and no less. The harness
holds every record that any test reads to them (harness/schemas.py); this is about the schemas themselves."""

import copy
import json
import pathlib
import re
import subprocess

import jsonschema
import pytest

from harness import world as net
from harness.cli import records_of
from harness.schemas import (AUDIT, AUDIT_VALIDATOR, BELOW, COMMANDS, LINES, RECORDS, VALIDATORS, check_record,
                             definition_of)

SOURCE = pathlib.Path(__file__).resolve().parent.parent / "src"
DEFINITIONS = RECORDS["$defs"]
# Of a line of the audit log the other schema says which keys there are.
OPEN_ENDED = {"egressLine"}


def refuses(validator, record):
    with pytest.raises(jsonschema.ValidationError):
        validator.validate(record)


@pytest.fixture(scope="module")
def web(workspaces):
    """A workspace that has done a little of everything."""
    workspace = workspaces("web", "-p", "0:80", "--env", "A=1", "--health-cmd", "true", "--ttl", "1h", "--egress-deny",
                           net.OTHER_SERVERS[0], "--entrypoint", "exit 3")
    workspace.shell(f"wget -q -O /dev/null http://{net.SERVER}/", code=None)
    workspace.shell(f"wget -q -O /dev/null http://{net.OTHER_SERVERS[0]}/", code=1)
    workspace.shell("nslookup nothing.example >/dev/null 2>&1", code=None)
    return workspace


def test_the_schemas_are_schemas():
    for schema in (AUDIT, RECORDS):
        jsonschema.Draft202012Validator.check_schema(schema)


def test_every_event_is_described():
    names = set(re.findall(r'Name\{Event::\w+, "(\w+)"\}', (SOURCE / "audit" / "record.cc").read_text()))
    assert len(names) > 30 and names == set(AUDIT["properties"]["event"]["enum"])
    described = {branch["if"]["properties"]["event"]["const"] for branch in AUDIT["allOf"]}
    assert described == names


def test_every_word_that_a_program_reads_is_described():
    sources = "".join(path.read_text() for path in SOURCE.glob("*/*.[ch]*"))
    words = set(re.findall(r'kReason\w+ = "(\w+)"', sources))
    assert words == set(DEFINITIONS["reason"]["enum"])
    states = set(re.findall(r'State::\w+, "(\w+)"', (SOURCE / "workspace" / "runtime_json.cc").read_text()))
    assert states == set(DEFINITIONS["state"]["enum"])
    kinds = set(re.findall(r'case ErrorKind::\w+: return "(\w+)"', (SOURCE / "base" / "result.cc").read_text()))
    assert kinds == set(DEFINITIONS["errorKind"]["enum"])
    decision = (SOURCE / "policy" / "decision.cc").read_text()
    for enumeration, definition in (("Reason", "egressReason"), ("Signal", "egressSignal")):
        words = set(re.findall(rf'case {enumeration}::\w+: return "([\w-]+)"', decision))
        assert len(words) > 5 and words == set(DEFINITIONS[definition]["enum"])
    connection = (SOURCE / "tls" / "connection.cc").read_text()
    faults = set(re.findall(r'case VerifyFault::\w+: return "([\w-]+)"', connection))
    assert len(faults) > 5 and faults == set(AUDIT["properties"]["fault"]["enum"])
    swap = (SOURCE / "policy" / "swap.cc").read_text()
    types = set(re.findall(r'std::string_view\("([\w-]+)"\), Swap::Type::', swap))
    assert types == set(DEFINITIONS["swapType"]["enum"])


def subcommands(microagent, *words):
    _, _, overview = microagent.run(*words, "--help").text.partition("Subcommands:")
    return set(re.findall(r"^  ([a-z]+)", overview, re.MULTILINE))


def test_no_command_is_forgotten(microagent):
    commands = subcommands(microagent)
    assert len(commands) > 20 and commands <= set(COMMANDS) | set(LINES), commands - set(COMMANDS) - set(LINES)
    below = {(command, word) for command in commands for word in subcommands(microagent, command)}
    # `ls` and `validate` print what stands for the word above them.
    plain = {("image", "ls"), ("volume", "ls"), ("spec", "validate")}
    assert plain < below and below - plain == set(BELOW)
    used = {*COMMANDS.values(), *BELOW.values(), *LINES.values(), "egressVerification", "error"}
    described = {name for name, definition in DEFINITIONS.items() if "description" in definition}
    assert used == described == {one["$ref"].rpartition("/")[2] for one in RECORDS["anyOf"]}
    with pytest.raises(AssertionError):
        check_record(("novelty",), {"ok": True})


def objects_of(schema):
    """Every schema below this one that names an object's keys."""
    for part in schema.values() if isinstance(schema, dict) else schema if isinstance(schema, list) else ():
        yield from objects_of(part)
    if isinstance(schema, dict) and isinstance(schema.get("properties", schema.get("allOf")), (dict, list)):
        yield schema


def test_every_object_is_closed():
    """But for the parts that others are made of, with more."""
    bases = set(re.findall(r'"allOf": \[\{"\$ref": "#/\$defs/(\w+)"\}\]', json.dumps(RECORDS)))
    assert len(bases) > 3
    for name, definition in DEFINITIONS.items():
        for part in objects_of(definition):
            closed = part.get("additionalProperties") is False or part.get("unevaluatedProperties") is False
            assert closed != (part is definition and name in bases | OPEN_ENDED), (name, part)


def required_by(definition):
    bases = [DEFINITIONS[base["$ref"].rpartition("/")[2]] for base in definition.get("allOf", ())]
    return [*definition.get("required", ()), *(key for base in bases for key in required_by(base))]


@pytest.mark.parametrize("words", [
    "status web", "network web", "network publish web 0:81", "events web", "stats web", "logs web", "egress web",
    "egress --verify web", "egress list web", "egress explain web example.org", "egress learn web",
    "egress deny web denied.example", "exec web -- true", "volume ls", "image ls", "doctor", "completion bash"])
def test_records_are_as_described_and_nothing_else(web, words):
    record = web.microagent.json(*words.split())
    definition = definition_of(words.split())
    validator = VALIDATORS[definition]
    validator.validate(record)
    refuses(validator, {**record, "surprise": 1})
    for key in record:
        refuses(validator, {**record, key: {"of": "another kind"}})
    for key in required_by(DEFINITIONS[definition]):
        without = copy.deepcopy(record)
        del without[key]
        refuses(validator, without)


def test_lines_that_are_followed_are_as_described(web, microagent):
    for words, definition in ((["events"], "event"), (["stats", "--interval", "0.2"], "usage")):
        with microagent.popen("--json", *words, "--follow", "web", stdout=subprocess.PIPE) as process:
            lines = records_of(process, [process.stdout.readline() for _ in range(2)])
            process.kill()
        for line in lines:
            VALIDATORS[definition].validate(line)
            refuses(VALIDATORS[definition], {**line, "surprise": 1})


def test_a_workspace_that_cannot_be_read_has_its_row(web, microagent):
    broken = microagent.workspaces / "broken"
    broken.mkdir()
    microagent.account.own(broken)
    try:
        rows = {row["name"]: row for row in microagent.json("list")["workspaces"]}
    finally:
        broken.rmdir()
    assert rows["broken"]["state"] == "unknown" and rows[web.name]["state"] == "running"


def test_audit_lines_are_as_described_and_nothing_else(web):
    web.wait_for_record(event="egress_deny")
    records = web.egress()
    assert {"egress_listen", "egress_deny"} <= {record["event"] for record in records}
    for record in records:
        AUDIT_VALIDATOR.validate(record)
        refuses(AUDIT_VALIDATOR, {**record, "surprise": 1})
        refuses(AUDIT_VALIDATOR, {**record, "event": "egress_unheard_of"})
        for key in ("seq", "ts", "event", "workspace", "prev"):
            refuses(AUDIT_VALIDATOR, {name: value for name, value in record.items() if name != key})
    (listen,) = (record for record in records if record["event"] == "egress_listen")
    refuses(AUDIT_VALIDATOR, {**listen, "qname": "what another event has"})


def test_errors_are_as_described(microagent):
    error = microagent.refuses("status", "nobody", code=1)
    assert error["kind"] == "not_found"
    refuses(VALIDATORS["error"], {"ok": False, "error": {**error, "kind": "novel"}})
