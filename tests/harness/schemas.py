"""What docs/ promises about JSON: every record that a test reads is held to it."""

import json
import pathlib

import jsonschema

DOCS = pathlib.Path(__file__).resolve().parents[2] / "docs"
AUDIT = json.loads((DOCS / "audit.schema.json").read_text())
RECORDS = json.loads((DOCS / "records.schema.json").read_text())
# Whose record has which definition.
COMMANDS = {"create": "create", "list": "list", "ls": "list", "network": "networkRecord", "events": "events",
            "stats": "stats", "logs": "logs", "result": "result", "exec": "exec", "run": "run", "cp": "cp",
            "delete": "delete", "prune": "prune", "apply": "apply", "image": "images", "volume": "volumes",
            "egress": "egressTrail", "spec": "validSpec", "doctor": "doctor", "completion": "completion",
            **dict.fromkeys(("status", "start", "stop", "restart", "kill", "quarantine", "halt", "wait"), "status")}
# Subcommands whose record is another than that of the word above them.
BELOW = {("image", "pull"): "pulledImage", ("image", "rm"): "removedImage", ("volume", "create"): "createdVolume",
         ("volume", "rm"): "removedVolume", ("egress", "list"): "egressRules",
         ("egress", "explain"): "egressExplanation", ("egress", "learn"): "egressLearned",
         **dict.fromkeys((("network", word) for word in ("publish", "unpublish")), "networkChange"),
         **dict.fromkeys((("egress", word) for word in ("allow", "deny", "passthrough", "remove")), "egressChange")}
# What is followed: one object a line.
LINES = {"events": "event", "stats": "usage", "logs": "logLine", "egress": "egressLine", "supervise": "supervision"}
SEEN = set()  # shapes of audit records that were looked at: the log of a test may have thousands of one shape


def validator_of(definition):
    return jsonschema.Draft202012Validator({"$ref": f"#/$defs/{definition}", "$defs": RECORDS["$defs"]})


VALIDATORS = {name: validator_of(name) for name in RECORDS["$defs"]}
AUDIT_VALIDATOR = jsonschema.Draft202012Validator(AUDIT)


def command_of(words):
    """The words from the command's name on."""
    words = list(words)
    while words and words[0].startswith("-"):
        del words[:2 if words[0] in ("--state-dir", "--output") else 1]
    return words


def definition_of(words):
    """What the record of a command is. One that nobody has thought of here is refused."""
    words = command_of(words)
    assert words[0] in COMMANDS, f"{words[0]} is not described"
    if words[0] == "egress" and "--verify" in words:
        return "egressVerification"
    return BELOW.get(tuple(words[:2]), COMMANDS[words[0]])


def is_error(record):
    """A command that fails tells that, whatever it would have told."""
    return record.get("ok") is False and "error" in record


def check_record(words, record):
    """The one object that a command prints."""
    definition = "error" if is_error(record) else definition_of(words)
    VALIDATORS[definition].validate(record)
    if definition == "egressTrail":
        for line in record["egress"]:
            check_egress_line(line)


def check_line(words, record):
    """One of the objects that a command prints that goes on."""
    definition = "error" if is_error(record) else LINES[command_of(words)[0]]
    VALIDATORS[definition].validate(record)
    if definition == "egressLine":
        check_egress_line(record)


def check_egress_line(line):
    """Its keys, which the other schema describes, and the very line of the log."""
    record = {key: value for key, value in line.items() if key != "raw"}
    assert json.loads(line["raw"]) == record, line
    check_audit(record)


def check_audit(record):
    shape = (record.get("event"), *sorted((key, type(value).__name__) for key, value in record.items()))
    if shape not in SEEN:
        AUDIT_VALIDATOR.validate(record)
        SEEN.add(shape)
