"""docs/spec.schema.json says what the parser takes: the same keys, the same examples, the same mistakes."""

import json
import pathlib

import jsonschema
import pytest
import yaml

from harness import pages

ROOT = pathlib.Path(__file__).resolve().parent.parent
SCHEMA = json.loads((ROOT / "docs" / "spec.schema.json").read_text())
VALIDATOR = jsonschema.Draft202012Validator(SCHEMA)
PAGES = [path for path in (ROOT / "docs").glob("*.md") if path.name != "cli.md"]
ITEM = object()  # a step from a list to what is in it
# What src/policy reads, which says of a key only that it is unknown.
SWAP = ("egress", "swaps", "some")

VALID = [
    "{}",
    "{name: web, entrypoint: httpd -f, env: [A=1, B=2], resources: {memory: 1GiB, cpus: 2}}",
    "{env: {A: 1, B: true, C: text}, ttl: 2h, restart: 'on-failure:3'}",
    "{network: {forwards: [{hostPort: 8000-8002, guestPort: 80-82, protocol: udp, host: '::1'}]}}",
    "{network: {mode: isolated}, mediation: {port: 2048, target: 'unix:/a', required: false, failClosed: false}}",
    "{egress: {mode: strict, allow: [a.example, {host: .b.example, ports: [443, 80-90], methods: GET, paths: /v1/*}]}}",
    "{egress: {deny: [{cidr: 10.0.0.0/8}], maxTotalBytes: 1GiB, maxConnections: 5, observe: true}}",
    "{egress: {swaps: {one: {type: static, domains: [a.example], key_ref: 'env:A', header: X-Key, format: '{key}'}}}}",
    "{egress: {swaps: {two: {type: oauth2-cc, domains: [a.example], token_url: 'https://b.example/t', client_id_ref:"
    " 'env:A', client_secret_ref: 'env:B', scopes: [x], token_response_field: t, token_ttl_seconds: 60, query: key}}}}",
    "{egress: {swaps: {three: {type: jwt-bearer, domains: [.a.example], signing_key_ref: 'file:/k', key_id: k,"
    " algorithm: ES256, claims: {iss: '${A}'}, placeholder: PLACEHOLDER, inBody: true}}}}",
    "{egress: {swaps: {four: {type: static, domains: [a.example], key_ref: 'env:A', basic: robot}}}}",
    "{agent: {entry: run me, egress: mitm, allow: [a.example], cred-swap: [openai]}}",
    "{network: {forwards: [{hostPort: 8080, guestPort: 80}]},"
    " health: {httpGet: /up, port: 80, interval: 5s, timeout: 2s, retries: 2, startPeriod: 0}}",
    "{health: {exec: 'test -e /tmp/up'}}",
    "{image: 'oci:root', command: [python3, -V], volumes: ['data:/data'], resources: {disk: 2GiB}}",
    "{image: 'oci:root', bundles: [app.tar.gz, '/all/app.tar:/srv/app']}",
]
INVALID = [
    "[]",
    "{name: Web}",
    "{surprise: 1}",
    "{network: {mode: bridged}}",
    "{network: {forwards: [{hostPort: 80}]}}",
    "{network: {forwards: [{hostPort: 80, guestPort: 80, protocol: sctp}]}}",
    "{network: {forwards: {hostPort: 80, guestPort: 80}}}",
    "{resources: {memory: much}}",
    "{env: [NONSENSE]}",
    "{egress: {mode: maybe}}",
    "{egress: {allow: [{host: a.example, cidr: 10.0.0.0/8}]}}",
    "{egress: {allow: [{ports: 80}]}}",
    "{egress: {swaps: {one: {domains: [a.example]}}}}",
    "{egress: {swaps: {one: {type: static, domains: [a.example], key_ref: sk-literal}}}}",
    "{mediation: {port: 0, target: 'unix:/a'}}",
    "{restart: sometimes}",
    "{ttl: soon}",
    "{agent: {broker: {}}}",
]


@pytest.fixture
def validate(fresh, account):
    spec = account.home / "spec.yaml"

    def run(text, code=0):
        spec.write_text(text)
        account.own(spec)
        return fresh.json("spec", "validate", str(spec), code=code)

    yield run
    spec.unlink(missing_ok=True)


def resolved(schema):
    """A schema without its reference."""
    while "$ref" in schema:
        schema = SCHEMA["$defs"][schema["$ref"].removeprefix("#/$defs/")]
    return schema


def objects(schema, path=()):
    """Every object with keys of its own: the way to it, and its keys."""
    schema = resolved(schema)
    for alternative in schema.get("oneOf", []):
        if "required" not in alternative or "type" in alternative:
            yield from objects(alternative, path)
    if "items" in schema:
        yield from objects(schema["items"], (*path, ITEM))
    if isinstance(schema.get("additionalProperties"), dict):
        yield from objects(schema["additionalProperties"], (*path, "some"))
    if schema.get("additionalProperties") is False:
        yield path, set(schema["properties"])
        for key, inner in schema["properties"].items():
            yield from objects(inner, (*path, key))


def document(path, value):
    for step in reversed(path):
        value = [value] if step is ITEM else {step: value}
    return value


def is_valid(text):
    return VALIDATOR.is_valid(yaml.safe_load(text))


def test_the_schema_is_one():
    jsonschema.Draft202012Validator.check_schema(SCHEMA)


@pytest.mark.parametrize("path, keys", [(path, keys) for path, keys in objects(SCHEMA) if path != SWAP],
                         ids=lambda value: ".".join("[]" if step is ITEM else str(step) for step in value) or "root")
def test_schema_and_parser_know_the_same_keys(validate, path, keys):
    error = validate(json.dumps(document(path, {"surprise": 1})), code=2)["error"]
    known = error["remediation"].removeprefix("the keys known here are: ").split(", ")
    assert "surprise: unknown key" in error["message"], error
    assert set(known) == keys


def test_every_key_of_a_swap_stands_in_an_example():
    keys = dict((path, keys) for path, keys in objects(SCHEMA))[SWAP]
    used = set()
    for text in VALID:
        for swap in yaml.safe_load(text).get("egress", {}).get("swaps", {}).values():
            used |= set(swap)
    assert used == keys


@pytest.mark.parametrize("text", VALID)
def test_both_take_what_is_right(validate, text):
    assert is_valid(text), list(VALIDATOR.iter_errors(yaml.safe_load(text)))
    assert validate(text)["valid"] is True


@pytest.mark.parametrize("text", INVALID)
def test_both_refuse_what_is_wrong(validate, text):
    assert not is_valid(text)
    assert validate(text, code=2)["error"]["kind"] == "usage"


def documented():
    for page in PAGES:
        yield from ((f"{page.name}:{line}", text) for line, text in pages.fragments(page))
        yield from ((page.name, text) for name, text in pages.files(page).items() if name == "microagent.yaml")


@pytest.mark.parametrize("text", [pytest.param(text, id=place) for place, text in documented()])
def test_the_schema_takes_what_the_documentation_shows(text):
    assert is_valid(text), list(VALIDATOR.iter_errors(yaml.safe_load(text)))
