"""Credential swaps as a user meets them: stock clients in a guest that hold a placeholder, servers that want the key,
and the key nowhere but in between."""

import json
import subprocess

import pytest

from harness import python_guest
from harness.cli import EXIT_FAILURE
from harness.credential_internet import CredentialInternet, find_in_memory
from harness.wait import wait_until

PACKAGES = ("ca-certificates", "curl", "git", "nodejs")
MODULES = ("@anthropic-ai/sdk@1.14.0", "npm@10.9.4", "openai@6.49.0")
MEMORY = "2GiB"  # the root file system with them lives in it

CONFIG = """\
swaps:
  npm:
    type: static
    domains: [registry.test]
    key_ref: file:{npm}
    format: Bearer {{key}}
  header:
    type: static
    domains: [header.test]
    key_ref: env:HEADER_KEY
    header: X-Key
    format: v1 {{key}}.
  basic:
    type: static
    domains: [basic.test]
    key_ref: env:BASIC_KEY
    basic: robot
  query:
    type: static
    domains: [query.test]
    key_ref: env:QUERY_KEY
    query: key
  placeholder:
    type: static
    domains: [placeholder.test]
    key_ref: env:PLACEHOLDER_KEY
    placeholder: PLACEHOLDER-0123
  oauth:
    type: oauth2-cc
    domains: [oauth.test]
    token_url: https://login.test/token
    client_id_ref: env:CLIENT_ID
    client_secret_ref: env:CLIENT_SECRET
"""
PLACEHOLDERS = {"OPENAI_API_KEY": "microagent-placeholder-openai", "GITHUB_TOKEN": "microagent-placeholder-github",
                "ANTHROPIC_API_KEY": "microagent-placeholder-anthropic"}

OPENAI = """
import OpenAI from 'openai';
const client = new OpenAI();
const stream = await client.chat.completions.create(
    {model: 'model-1', messages: [{role: 'user', content: 'Was it?'}], stream: true});
for await (const chunk of stream) process.stdout.write(chunk.choices[0]?.delta?.content ?? '');
"""
ANTHROPIC = """
import Anthropic from '@anthropic-ai/sdk';
const client = new Anthropic();
const stream = client.messages.stream(
    {model: 'model-2', max_tokens: 64, messages: [{role: 'user', content: 'Was it?'}]});
stream.on('text', (text) => process.stdout.write(text));
const message = await stream.finalMessage();
process.stdout.write('|' + message.stop_reason);
"""
NPM = ("node /opt/npm/node_modules/npm/bin/npm-cli.js --registry https://registry.test/ --no-audit --no-fund"
       " --no-update-notifier --loglevel error --//registry.test/:_authToken=not-the-token")


@pytest.fixture(scope="module")
def internet(world, scratch):
    made = CredentialInternet(world, scratch / "wanting")
    yield made
    made.close()


@pytest.fixture(scope="module")
def files(microagent, scratch, internet):
    """The user's own: the configuration, and a secret in a file."""
    directory = microagent.account.make_directory(scratch / "mine")
    for name, text in (("token", internet.credentials["npm"] + "\n"),
                       ("swaps.yaml", CONFIG.format(npm=directory / "token"))):
        (directory / name).write_text(text)
        microagent.account.own(directory / name)
        (directory / name).chmod(0o600)
    return directory


@pytest.fixture(scope="module")
def environment(internet):
    """What the user has exported where the workspace is started."""
    held = internet.credentials
    return {"OPENAI_API_KEY": held["openai"], "ANTHROPIC_API_KEY": held["anthropic"], "GITHUB_TOKEN": held["github"],
            "HEADER_KEY": held["header"], "BASIC_KEY": held["basic"], "QUERY_KEY": held["query"],
            "PLACEHOLDER_KEY": held["placeholder"], "CLIENT_ID": "client-1", "CLIENT_SECRET": held["client"]}


@pytest.fixture(scope="module")
def workspace(prefix, microagent, workspaces, internet, files, environment):
    python_guest.install(prefix, microagent, PACKAGES, MODULES)
    made = workspaces("keyless", "--memory", MEMORY, "--egress-trust", str(internet.root), "--cred-swap", "openai",
                      "--cred-swap", "anthropic", "--cred-swap", "github", "--egress-swap-config",
                      str(files / "swaps.yaml"), start=False)
    made.start(env=environment)
    return made


@pytest.fixture(autouse=True)
def never_in_the_guest(request):
    """Whatever a test does in the guest, no secret is in its memory then, which holds its files too."""
    yield
    if "workspace" not in request.fixturenames:
        return
    guest, held = request.getfixturevalue("workspace"), request.getfixturevalue("internet").credentials
    found = find_in_memory(guest, [value.encode() for value in held.values()] + [b"microagent-placeholder-openai"])
    # The placeholder is there, so the search finds what is.
    assert found == {b"microagent-placeholder-openai"}


def module(workspace, script):
    """What a module of Node writes, with npm's packages at hand."""
    return workspace.exec("sh", "-c", "cat >/opt/npm/test.mjs && node /opt/npm/test.mjs", stdin=script.encode(),
                          timeout=180).text


def reached(internet, host, header, wanted):
    """The requests for a host, of which every one was sent with what the server wants."""
    requests = internet.seen(host)
    assert requests and all(line["headers"].get(header) == wanted and line["allowed"] for line in requests), requests
    return requests


def test_the_guest_has_placeholders(workspace):
    variables = dict(line.split("=", 1) for line in workspace.exec("env").text.splitlines())
    assert PLACEHOLDERS.items() <= variables.items()
    assert workspace.status()["readiness"]["trustReady"]["ready"]


def test_the_stock_openai_sdk_streams(workspace, internet):
    assert module(workspace, OPENAI) == "The key was right."
    [request] = reached(internet, "api.openai.com", "authorization", f"Bearer {internet.credentials['openai']}")
    assert (request["method"], request["path"]) == ("POST", "/v1/chat/completions")


def test_the_stock_anthropic_sdk_streams(workspace, internet):
    assert module(workspace, ANTHROPIC) == "The key was right.|end_turn"
    [request] = reached(internet, "api.anthropic.com", "x-api-key", internet.credentials["anthropic"])
    assert (request["method"], request["path"]) == ("POST", "/v1/messages")


def test_git_clones_and_pushes_without_a_credential(workspace, internet):
    repository = internet.repositories / "acme" / "secret.git"
    subprocess.run(["git", "init", "--quiet", "--bare", "--initial-branch=main", repository], check=True)
    (repository / "description").write_text("of the tests\n")
    said = workspace.shell(
        "cd /root && rm -rf secret && git clone --quiet https://github.com/acme/secret.git 2>&1 && cd secret"
        " && git config user.name guest && git config user.email guest@test.invalid"
        " && head -c 300000 /dev/urandom >big && echo hello >readme && git add . && git commit --quiet -m first"
        " && git push --quiet origin HEAD:main 2>&1; echo code $?", timeout=180)
    assert said.endswith("code 0\n"), said
    pushed = subprocess.run(["git", "-C", repository, "show", "main:readme"], check=True, capture_output=True)
    assert pushed.stdout == b"hello\n"
    workspace.shell("git clone --quiet https://github.com/acme/secret.git /root/again && cmp /root/secret/big"
                    " /root/again/big", timeout=180)
    requests = internet.seen("github.com")
    assert any(line["path"].endswith("/git-receive-pack") for line in requests)
    assert all(line["allowed"] for line in requests), requests


def test_npm_publishes_and_installs_with_a_registry_token(workspace, internet):
    said = workspace.shell(
        "mkdir -p /root/lib /root/app && cd /root/lib && echo 'module.exports = 42' >index.js"
        """ && echo '{"name":"acme-private","version":"1.2.3","main":"index.js"}' >package.json"""
        f" && {NPM} publish 2>&1 && cd /root/app && {NPM} install acme-private 2>&1"
        " && node -p 'require(\"acme-private\")'",
        timeout=300)
    assert said.endswith("\n42\n"), said
    requests = reached(internet, "registry.test", "authorization", f"Bearer {internet.credentials['npm']}")
    assert {"PUT", "GET"} <= {line["method"] for line in requests}


PLACES = {
    "a header with a format": ("header", "https://header.test/", "", "x-key", "v1 {}."),
    "a header that the guest sets itself": ("header", "https://header.test/", "-H 'X-Key: mine'", "x-key", "v1 {}."),
    "a placeholder in a header": ("placeholder", "https://placeholder.test/", "-H 'X-Anything: "
                                  "left-PLACEHOLDER-0123-right'", "x-anything", "left-{}-right"),
}


@pytest.mark.parametrize("name, url, flags, header, wanted", PLACES.values(), ids=PLACES.keys())
def test_a_credential_stands_where_it_is_told(workspace, internet, name, url, flags, header, wanted):
    before = len(internet.seen(f"{name}.test"))
    assert json.loads(workspace.shell(f"curl -sS {flags} {url}")) == {"method": "GET", "length": 0}
    requests = internet.seen(f"{name}.test")[before:]
    assert [line["headers"].get(header) for line in requests] == [wanted.format(internet.credentials[name])]


def test_a_credential_is_a_password(workspace, internet):
    assert workspace.shell("curl -sS -o /dev/null -w '%{http_code}' https://basic.test/") == "200"
    [request] = internet.seen("basic.test")
    assert request["allowed"] and request["headers"]["authorization"].startswith("Basic ")


def test_a_credential_is_a_parameter(workspace, internet):
    assert workspace.shell("curl -sS -o /dev/null -w '%{http_code}' 'https://query.test/x?a=b&key=mine'") == "200"
    [request] = internet.seen("query.test")
    assert request["path"] == f"/x?a=b&key={internet.credentials['query']}"


def test_a_token_is_issued_once_and_never_told(workspace, internet):
    for _ in range(3):
        assert workspace.shell("curl -sS -o /dev/null -w '%{http_code}' https://oauth.test/") == "200"
    reached(internet, "oauth.test", "authorization", f"Bearer {internet.credentials['token']}")
    assert len(internet.seen("login.test")) == 1


def test_hosts_without_a_swap_are_left_alone(workspace):
    """Nothing else is intercepted in broker mode: the guest sees the server's own certificate, which it does not
    believe."""
    assert "root of the tests" in workspace.shell("curl -svk https://login.test/ 2>&1 | grep issuer:")
    assert "microagent keyless" in workspace.shell("curl -sv https://header.test/ 2>&1 | grep issuer:")


def test_a_file_that_changes_is_read_again(workspace, files):
    right = (files / "token").read_text()
    curl = "curl -sS -o /dev/null -w '%{http_code}' https://registry.test/"
    for text, code in (("test-npm-outdated\n", "401"), (right, "404")):
        (files / "token").write_text(text)
        wait_until(lambda code=code: workspace.shell(curl) == code, f"the registry answers {code}", 30)


def test_explain_and_records_tell_of_swaps_and_never_a_secret(workspace, microagent, internet):
    explained = microagent.json("egress", "explain", workspace.name, "api.openai.com")
    assert explained["swap"] == {"name": "openai", "type": "static", "applies": True}
    assert explained["destinations"][0]["mitm"] is True
    told = [workspace.status(), workspace.network(), microagent.json("list"), *workspace.egress()]
    shown = {swap["name"]: swap for swap in told[0]["egress"]["swaps"]}
    assert shown["openai"] == {"name": "openai", "type": "static", "domains": ["api.openai.com"]}
    assert {"npm", "oauth", "github", "github-git"} <= shown.keys()
    text = json.dumps(told)
    assert not [name for name, value in internet.credentials.items() if value in text]


def test_a_live_rule_that_keeps_a_swap_from_its_host_says_so(workspace, microagent, internet):
    seen = len(internet.seen("header.test"))
    outcome = microagent.run("--json", "egress", "deny", workspace.name, "header.test")
    assert "header.test: a deny rule denies it" in outcome.json["warnings"][0]
    assert outcome.err_text.startswith("microagent: warning: ")
    assert workspace.exec("curl", "-sS", "https://header.test/", code=None).code != 0
    explained = microagent.json("egress", "explain", workspace.name, "header.test")
    assert explained["swap"]["applies"] is False and "deny rule" in explained["swap"]["why"]
    microagent.json("egress", "remove", workspace.name, "header.test")
    assert workspace.shell("curl -sS -o /dev/null -w '%{http_code}' https://header.test/") == "200"
    assert len(internet.seen("header.test")) == seen + 1


def test_no_file_and_no_process_of_ours_shows_a_secret(workspace, internet):
    wanted = [value.encode() for value in internet.credentials.values()]
    for path in workspace.microagent.state.rglob("*"):
        if path.is_file() and "initramfs" not in path.name:
            content = path.read_bytes()
            assert not [value for value in wanted if value in content], path
    for name, process in workspace.processes().items():
        for kind in ("environ", "cmdline"):
            content = (process.path / kind).read_bytes()
            assert not [value for value in wanted if value in content], (name, kind)


def test_variables_are_read_again_at_each_start(workspace, internet, environment):
    workspace.stop()
    lacking = {name: value for name, value in environment.items() if name != "OPENAI_API_KEY"}
    error = workspace.microagent.json("start", workspace.name, code=EXIT_FAILURE, env=lacking)["error"]
    assert "OPENAI_API_KEY" in error["message"] and "not set" in error["message"], error
    assert workspace.status()["state"] == "stopped"
    workspace.start(env={**environment, "OPENAI_API_KEY": "test-openai-rotated"})
    outcome = workspace.shell("curl -sS -o /dev/null -w '%{http_code}' -d '{}' https://api.openai.com/v1/models")
    assert outcome == "401"
    assert internet.seen("api.openai.com")[-1]["headers"]["authorization"] == "Bearer test-openai-rotated"
