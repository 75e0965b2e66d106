"""What docs/ promises about JSON: every record that a test reads is held to it."""

import json
import pathlib

import jsonschema

DOCS = pathlib.Path(__file__).resolve().parents[2] / "docs"
AUDIT = json.loads((DOCS / "audit.schema.json").read_text())
RECORDS = json.loads((DOCS / "records.schema.json").read_text())
# Whose record has which definition.
COMMANDS = {"create": "create", "list": "list", "ls": "list", "network": "networkRecord", "events": "events",
            "stats": "stats", **dict.fromkeys(("status", "start", "stop", "restart", "kill", "quarantine"), "status")}
# Commands, and flags, after which the record is another.
OTHERS = {"publish", "unpublish", "--wait", "--wait-timeout"}
SEEN = set()  # shapes of audit records that were looked at: the log of a test may have thousands of one shape


def validator_of(definition):
    return jsonschema.Draft202012Validator({"$ref": f"#/$defs/{definition}", "$defs": RECORDS["$defs"]})


VALIDATORS = {name: validator_of(name) for name in RECORDS["$defs"]}
AUDIT_VALIDATOR = jsonschema.Draft202012Validator(AUDIT)


def check_record(words, record):
    """A command's record; one that no schema describes is left alone."""
    definition = COMMANDS.get(words[0]) if words and not OTHERS.intersection(words) else None
    if "error" in record and record.get("ok") is False:
        definition = "error"
    if definition:
        VALIDATORS[definition].validate(record)


def check_audit(record):
    shape = (record.get("event"), *sorted((key, type(value).__name__) for key, value in record.items()))
    if shape not in SEEN:
        AUDIT_VALIDATOR.validate(record)
        SEEN.add(shape)
