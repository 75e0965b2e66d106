"""What docs/ promises about JSON: every record that a test reads is held to it."""

import json
import pathlib

import jsonschema

DOCS = pathlib.Path(__file__).resolve().parents[2] / "docs"
AUDIT = json.loads((DOCS / "audit.schema.json").read_text())
RECORDS = json.loads((DOCS / "records.schema.json").read_text())
# Whose record has which definition.
COMMANDS = {"create": "create", "list": "list", "ls": "list", "network": "networkRecord", "events": "events",
            "stats": "stats", "exec": "exec", "run": "run", "delete": "delete", "prune": "prune", "image": "images",
            "volume": "volumes",
            **dict.fromkeys(("status", "start", "stop", "restart", "kill", "quarantine", "halt"), "status")}
# Commands, and flags, after which the record is another.
BELOW = {("image", "pull"): "pulledImage", ("image", "rm"): "removedImage", ("volume", "create"): "createdVolume",
         ("volume", "rm"): "removedVolume"}
OTHERS = {"publish", "unpublish", "--wait", "--wait-timeout"}
# Those whose records have no schema as yet.
UNDESCRIBED = {"apply", "cp", "doctor", "egress", "result", "logs", "spec", "supervise", "wait", "completion"}
SEEN = set()  # shapes of audit records that were looked at: the log of a test may have thousands of one shape


def validator_of(definition):
    return jsonschema.Draft202012Validator({"$ref": f"#/$defs/{definition}", "$defs": RECORDS["$defs"]})


VALIDATORS = {name: validator_of(name) for name in RECORDS["$defs"]}
AUDIT_VALIDATOR = jsonschema.Draft202012Validator(AUDIT)


def check_record(words, record):
    """A command's record. That of a command nobody has thought of here is refused."""
    if "error" in record and record.get("ok") is False:
        VALIDATORS["error"].validate(record)
        return
    if words[0] == "--state-dir":
        words = words[2:]
    assert words[0] in COMMANDS or words[0] in UNDESCRIBED, f"{words[0]} is neither described nor exempt"
    definition = BELOW.get(tuple(words[:2]), COMMANDS.get(words[0]))
    # Behind the workspace's name the words are the guest's.
    if words[0] not in ("exec", "run") and OTHERS.intersection(words):
        definition = None
    if definition:
        VALIDATORS[definition].validate(record)


def check_audit(record):
    shape = (record.get("event"), *sorted((key, type(value).__name__) for key, value in record.items()))
    if shape not in SEEN:
        AUDIT_VALIDATOR.validate(record)
        SEEN.add(shape)
