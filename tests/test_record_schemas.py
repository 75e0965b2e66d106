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
from harness.schemas import (AUDIT, AUDIT_VALIDATOR, BELOW, COMMANDS, RECORDS, UNDESCRIBED, VALIDATORS,
                             check_record)

SOURCE = pathlib.Path(__file__).resolve().parent.parent / "src"


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
    assert words == set(RECORDS["$defs"]["reason"]["enum"])
    states = set(re.findall(r'State::\w+, "(\w+)"', (SOURCE / "workspace" / "runtime_json.cc").read_text()))
    assert states == set(RECORDS["$defs"]["state"]["enum"])
    kinds = set(re.findall(r'case ErrorKind::\w+: return "(\w+)"', (SOURCE / "base" / "result.cc").read_text()))
    assert kinds == set(RECORDS["$defs"]["error"]["properties"]["error"]["properties"]["kind"]["enum"])


def test_no_command_is_forgotten(microagent):
    overview = microagent.run("--help").text.partition("Subcommands:")[2]
    commands = set(re.findall(r"^  ([a-z]+)", overview, re.MULTILINE))
    assert len(commands) > 20 and commands <= set(COMMANDS) | UNDESCRIBED, commands - set(COMMANDS) - UNDESCRIBED
    assert set(COMMANDS.values()) | set(BELOW.values()) <= set(RECORDS["$defs"])
    with pytest.raises(AssertionError):
        check_record(("novelty",), {"ok": True})


@pytest.mark.parametrize("command", ["status", "network", "events", "stats"])
def test_records_are_as_described_and_nothing_else(web, command):
    record = web.microagent.json(command, "web")
    validator = VALIDATORS[COMMANDS[command]]
    validator.validate(record)
    refuses(validator, {**record, "surprise": 1})
    for key in record:
        refuses(validator, {**record, key: {"of": "another kind"}})
    without = copy.deepcopy(record)
    del without["workspace" if "workspace" in record else "workspaces"]
    refuses(validator, without)


def test_lines_that_are_followed_are_as_described(web, microagent):
    for words, definition in ((["events"], "event"), (["stats", "--interval", "0.2"], "usage")):
        with microagent.popen("--json", *words, "--follow", "web", stdout=subprocess.PIPE) as process:
            lines = [json.loads(process.stdout.readline()) for _ in range(2)]
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
