"""Credential swaps as they are declared: what is understood, and what is refused with its line, before anything is
written."""

import json

import pytest

from harness.cli import EXIT_FAILURE

SECRET = "sk-0123456789abcdef"
GOOD = "swaps:\n  pay:\n    type: static\n    domains: [api.example.com]\n    key_ref: env:PAY_KEY\n"
OAUTH = ("swaps:\n  pay:\n    type: oauth2-cc\n    domains: [api.example.com]\n    token_url: https://a.example/t\n"
         "    client_id_ref: env:ID\n    client_secret_ref: env:SECRET\n")

# what: (file, flags, line or None, words of the message)
REFUSED = {
    "an unknown field": (GOOD + "    colour: red\n", [], 6, "swaps.pay.colour: is no field"),
    "a field of another type": (GOOD + "    token_url: https://a.example/\n", [], 6, "token_url: is no field"),
    "a missing field": ("swaps:\n  pay:\n    type: static\n    domains: [a.example]\n", [], 3, "key_ref: is missing"),
    "no type": ("swaps:\n  pay:\n    domains: [a.example]\n    key_ref: env:A\n", [], 3, "type: is missing"),
    "an unknown type": (GOOD.replace("static", "basic"), [], 3, "is none of static"),
    "no domain": (GOOD.replace("api.example.com", ""), [], 4, "domains"),
    "a domain that is none": (GOOD.replace("api.example.com", "https://a.example"), [], 4, "is no domain"),
    "a secret in place of a reference": (GOOD.replace("env:PAY_KEY", SECRET), [], 5, "is no reference to a secret"),
    "a secret in a template": (GOOD + f"    format: Bearer {SECRET}\n", [], 6, "does not hold {key}"),
    "a wrong template word": (GOOD + "    format: Bearer {token}\n", [], 6, "does not hold {key}"),
    "a wrong word for a token": (OAUTH + "    format: Bearer {key}\n", [], 8, "does not hold {token}"),
    "a token from a server without TLS": (OAUTH.replace("https", "http"), [], 5, "token_url"),
    "two swaps for one domain": (GOOD + "  other: {type: static, domains: [API.Example.com.], key_ref: 'env:B'}\n", [],
                                 6, "api.example.com is a domain of"),
    "one swap twice": (GOOD + "  pay: {}\n", [], 6, "twice"),
    "a field twice": (GOOD + "    key_ref: env:B\n", [], 6, "twice"),
    "a bad name": (GOOD.replace("pay:", "'p y':"), [], 3, "is no name for a swap"),
    "a list of swaps": ("swaps: [pay]\n", [], 1, "is not a map"),
    "no swaps": ("swaps: {}\n", [], 1, "holds no swap"),
    "another key": ("swap: {}\n", [], 1, "unknown key"),
    "nothing": ("", [], 1, "is empty"),
    "two documents": (GOOD + "---\n" + GOOD, [], 7, "second document"),
    "mode off": (GOOD, ["--egress", "off"], 3, "mode off swaps nothing"),
    "no network": (GOOD, ["--network", "isolated"], 3, "isolated"),
    "a host that is denied": (GOOD, ["--egress-deny", ".example.com"], 3, "a deny rule denies it"),
    "a host that is passed through": (GOOD, ["--egress-passthrough", "api.example.com"], 3, "passthrough"),
    "a host outside a locked list": (GOOD, ["--egress-lock-allowlist"], 3, "locked allowlist does not allow it"),
    "a provider's swap beside it": (GOOD.replace("api.example.com", "api.openai.com"), ["--cred-swap", "openai"], None,
                                    "--cred-swap openai: api.openai.com is a domain of"),
}
REFUSED_PROVIDERS = {
    "nobody": (["--cred-swap", "nobody"], "the provider is not known"),
    "a secret": (["--cred-swap", f"openai={SECRET}"], "--cred-swap openai: is no reference to a secret"),
    "a relative file": (["--cred-swap", "openai=file:key"], "names no absolute path"),
    "twice": (["--cred-swap", "openai", "--cred-swap", "openai"], "OPENAI_API_KEY"),
    "a variable of the user's own": (["--cred-swap", "openai", "--env", f"OPENAI_API_KEY={SECRET}"],
                                     "--env: OPENAI_API_KEY is the guest's placeholder of --cred-swap openai"),
    "mode off": (["--cred-swap", "openai", "--egress", "off"], "mode off swaps nothing"),
}


@pytest.fixture
def config(scratch):
    path = scratch / "swaps.yaml"

    def write(text):
        path.write_text(text)
        path.chmod(0o644)
        return str(path)

    yield write
    path.unlink(missing_ok=True)


@pytest.mark.parametrize("text, flags, line, words", REFUSED.values(), ids=REFUSED)
def test_a_wrong_file_is_refused_with_its_line(fresh, config, text, flags, line, words):
    path = config(text)
    error = fresh.refuses("create", "web", "--egress-swap-config", path, *flags)
    assert words in error["message"], error
    assert line is None or f"{path}:{line}" in error["message"], error
    assert SECRET not in json.dumps(error)
    assert not fresh.state.exists()


@pytest.mark.parametrize("flags, words", REFUSED_PROVIDERS.values(), ids=REFUSED_PROVIDERS)
def test_a_wrong_provider_is_refused(fresh, flags, words):
    error = fresh.refuses("create", "web", *flags)
    assert words in error["message"], error
    assert SECRET not in json.dumps(error)
    assert not fresh.state.exists()


def test_a_spec_is_refused_with_its_line_too(fresh, config):
    path = config("name: web\negress:\n" + "".join(f"  {line}\n" for line in (GOOD + "    color: x").splitlines()))
    error = fresh.refuses("create", "--file", path)
    assert f"{path}:8: egress.swaps.pay.color: is no field" in error["message"], error


def test_swaps_of_spec_files_and_providers_unite_and_are_shown(fresh, config, scratch):
    spec = scratch / "microagent.yaml"
    spec.write_text("name: web\negress:\n  swaps:\n    first: {type: static, domains: [.one.example],"
                    " key_ref: 'file:/run/secrets/one'}\n")
    spec.chmod(0o644)
    record = fresh.json("create", "--file", spec, "--egress-swap-config", config(GOOD), "--cred-swap", "github")
    assert record["egress"]["swaps"] == [
        {"name": "first", "type": "static", "domains": [".one.example"]},
        {"name": "pay", "type": "static", "domains": ["api.example.com"]},
        {"name": "github", "type": "static", "domains": ["api.github.com", "uploads.github.com"]},
        {"name": "github-git", "type": "static", "domains": ["github.com"]}]
    assert record["egress"]["rules"]["allow"] == 3
    assert record["envNames"] == ["GITHUB_TOKEN"]
    assert fresh.json("status", "web")["egress"] == record["egress"]
    text = fresh.run("status", "web").text
    assert "pay (static) for api.example.com" in text and "PAY_KEY" not in text
    explained = fresh.json("egress", "explain", "web", "x.one.example")
    assert explained["swap"] == {"name": "first", "type": "static", "applies": True}
    assert "swap" not in fresh.json("egress", "explain", "web", "two.example")
    assert "HTTPS requests get the credential of swap pay (static)" in fresh.run("egress", "explain", "web",
                                                                               "api.example.com").text


def test_a_start_misses_a_variable_by_its_name(fresh, config):
    fresh.json("create", "web", "--egress-swap-config", config(GOOD))
    error = fresh.refuses("start", "web", code=EXIT_FAILURE)
    assert "PAY_KEY" in error["message"] and "is not set" in error["message"], error
    error = fresh.refuses("start", "web", code=EXIT_FAILURE, env={"PAY_KEY": ""})
    assert "PAY_KEY" in error["message"] and "is empty" in error["message"], error
    assert fresh.json("status", "web")["state"] == "prepared"


def test_a_start_does_not_give_the_guest_the_secret(fresh, config):
    fresh.json("create", "web", "--egress-swap-config", config(GOOD), "--env", f"KEY={SECRET}")
    error = fresh.refuses("start", "web", code=EXIT_FAILURE, env={"PAY_KEY": SECRET})
    assert "the guest's variable KEY holds what the variable PAY_KEY does" in error["message"]
    assert SECRET not in json.dumps(error)


def test_a_rule_that_keeps_a_swap_from_its_host_is_recorded_and_said(fresh, config):
    fresh.json("create", "web", "--egress-swap-config", config(GOOD))
    outcome = fresh.run("egress", "deny", "web", "api.example.com")
    warning = outcome.err_text
    assert "swaps.pay: domain api.example.com: a deny rule denies it: no credential goes there" in warning, warning
    explained = fresh.json("egress", "explain", "web", "api.example.com")
    assert explained["swap"]["applies"] is False and explained["swap"]["why"] == "a deny rule denies it"
    # It is said once, by the change that made it so.
    assert fresh.run("egress", "deny", "web", "other.example").err == b""
    assert fresh.run("egress", "remove", "web", "api.example.com").err == b""
