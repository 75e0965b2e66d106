"""A spec that is changed and applied, to a workspace that runs and to one that does not."""

import pytest

from harness import images
from harness import world as net
from harness.cli import EXIT_FAILURE, EXIT_USAGE
from harness.clients import get, is_free

SPEC = """
name: web
entrypoint: httpd -f -p 80 -h /etc
network:
  forwards:
    - {hostPort: 18200, guestPort: 80}
"""
REACH = f"wget -q -O - http://{net.OTHER_SERVERS[0]}/ >/dev/null 2>&1 && echo reached || echo refused"


@pytest.fixture(scope="module")
def spec(account):
    path = account.home / "web.yaml"

    def write(text):
        path.write_text(text)
        account.own(path)
        return str(path)

    return write


@pytest.fixture(scope="module")
def web(workspaces, spec):
    workspace = workspaces("web", "--file", spec(SPEC))
    workspace.wait_for_listener(80)
    return workspace


@pytest.fixture
def apply(web, spec):
    """Applies a spec; in the end it is the first again."""

    def run(text, *flags, **options):
        return web.microagent.json("apply", spec(text), *flags, **options)

    yield run
    run(SPEC)


def effects(record):
    return {change["key"]: change["effect"] for change in record["changes"]}


def test_nothing_changes_where_nothing_differs(apply):
    assert apply(SPEC) == {"ok": True, "workspace": "web", "running": True, "dryRun": False, "changes": []}


def test_ports_and_policy_are_in_effect_at_once(web, apply):
    assert get(18200, "/hostname")
    assert web.shell(REACH).strip() == "reached"
    changed = SPEC.replace("18200", "18201") + f"egress:\n  deny: ['{net.OTHER_SERVERS[0]}']\n"
    assert effects(apply(changed)) == {"network.portForwards": "live", "egress": "live"}
    assert get(18201, "/hostname") and is_free(18200)
    assert web.shell(REACH).strip() == "refused"
    assert [event["event"] for event in web.egress()].count("egress_deny") >= 1


def test_the_rest_is_told_to_need_a_restart(web, apply):
    record = apply(SPEC + "env: {COLOUR: green}\nresources: {cpus: 2}\n")
    assert effects(record) == {"env": "restart", "resources.cpus": "restart"}
    assert web.shell("echo $COLOUR").strip() == ""
    web.stop()
    web.start()
    assert web.shell("echo $COLOUR; nproc").split() == ["green", "2"]


def test_a_dry_run_changes_nothing(web, apply):
    record = apply(SPEC.replace("18200", "18202"), "--dry-run")
    assert record["dryRun"] is True and effects(record) == {"network.portForwards": "live"}
    assert get(18200, "/hostname") and is_free(18202)


def test_a_port_that_is_taken_changes_nothing(web, apply, workspaces):
    workspaces("other", "--publish", "18203:80")
    changed = SPEC.replace("18200", "18203") + f"egress:\n  deny: ['{net.OTHER_SERVERS[0]}']\n"
    error = apply(changed, code=EXIT_FAILURE)["error"]
    assert "18203" in error["message"] and "taken" in error["message"]
    assert get(18200, "/hostname")
    assert web.shell(REACH).strip() == "reached"
    assert effects(apply(changed, "--dry-run")) == {"network.portForwards": "live", "egress": "live"}, "all as before"


def test_a_spec_that_is_wrong_is_refused_with_its_line(web, apply):
    assert "web.yaml:2" in apply("name: web\nsurprise: 1\n", code=EXIT_USAGE)["error"]["message"]


def test_a_workspace_that_is_not_there_is_not_made(web, apply):
    error = apply("name: nobody\n", code=EXIT_FAILURE)["error"]
    assert error["kind"] == "not_found" and "create --file" in error["remediation"]


def test_a_workspace_that_does_not_run_has_it_recorded(workspaces, spec, microagent):
    idle = workspaces("idle", start=False)
    record = microagent.json("apply", spec("network:\n  forwards: [{hostPort: 18204, guestPort: 80}]\n"),
                             "--name", "idle")
    assert record["running"] is False and effects(record) == {"network.portForwards": "start"}
    assert idle.network()["network"]["portForwards"][0]["hostPort"] == 18204


def test_an_image_is_the_same_by_its_short_name(workspaces, spec, microagent, place, registry):
    """The record has the whole name of what the spec calls library/app, as of a name without a host."""
    layout = images.write_layout(place / "app", [images.busybox_layer()], {"Cmd": ["sleep", "1000"]})
    name = registry.push(layout, "app:latest").removesuffix(":latest")
    text = f"name: imaged\nimage: docker://{name}\n"
    workspaces("imaged", "--file", spec(text), start=False, timeout=120)
    registry.close()  # what is the same is not looked for
    assert microagent.json("apply", spec(text))["changes"] == []
    changed = microagent.json("apply", spec(text + "ttl: 1h\n"))
    assert effects(changed) == {"ttlSeconds": "start"}
    error = microagent.refuses("apply", spec(text.replace(name, name + ":2")), code=EXIT_FAILURE)
    assert error["kind"] == "conflict" and "image cannot change" in error["message"]
