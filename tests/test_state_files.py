"""State files that are half-written, foreign or not ours: an error that names the file; no crash, and no reset."""

import json
import os
import stat

import pytest

from harness.cli import EXIT_FAILURE

READERS = [["status", "web"], ["network", "web"], ["events", "web"], ["start", "web"], ["stop", "web"], ["kill", "web"]]

BAD_MANIFESTS = {
    "empty": lambda text: "",
    "cut in half": lambda text: text[:len(text) // 2],
    "no JSON": lambda text: "name: web\n",
    "a list": lambda text: "[]",
    "null": lambda text: "null",
    "another version": lambda text: changed(text, version=2),
    "no version": lambda text: changed(text, version=None),
    "an unknown key": lambda text: changed(text, colour="red"),
    "a name that is not its own": lambda text: changed(text, name="other"),
    "a name of the wrong type": lambda text: changed(text, name=5),
    "no network": lambda text: changed(text, network=None),
    "a mode of the future": lambda text: changed(text, network={"mode": "bridge"}),
    "a port out of range": lambda text: changed(text, network={"mode": "user", "portForwards": [
        {"protocol": "tcp", "host": "127.0.0.1", "hostPort": 99999, "guestPort": 80}]}),
    "bytes": lambda text: "\0\1\2\3" * 100,
    "deep nesting": lambda text: "[" * 200_000,
}

BAD_RUNTIMES = {
    "empty": "",
    "cut": '{"version": 1, "sta',
    "no JSON": "running",
    "a list": "[1, 2]",
    "an unknown state": '{"version": 1, "state": "dreaming"}',
    "a pid that is text": '{"version": 1, "state": "failed", "detail": "", "observedAt": "", "supervisorPid": "one"}',
}


def changed(text, **changes):
    record = json.loads(text)
    record.update(changes)
    return json.dumps({key: value for key, value in record.items() if value is not None})


def overwrite(path, text):
    """Writes as a foreign hand would: in place."""
    path.write_text(text)


@pytest.fixture
def created(fresh):
    fresh.json("create", "web", "--publish", "18080:80")
    return fresh


@pytest.mark.parametrize("spoil", BAD_MANIFESTS.values(), ids=BAD_MANIFESTS)
def test_a_bad_manifest(created, spoil):
    path = created.workspaces / "web" / "workspace.json"
    bad = spoil(path.read_text())
    overwrite(path, bad)
    for words in READERS:
        error = created.refuses(*words, code=EXIT_FAILURE)
        assert str(path) in error["message"]
    assert path.read_text() == bad
    rows = created.json("list")["workspaces"]
    assert [row["state"] for row in rows] == ["unknown"] and str(path) in rows[0]["error"]["message"]
    assert "unknown" in created.run("list").text


@pytest.mark.parametrize("bad", BAD_RUNTIMES.values(), ids=BAD_RUNTIMES)
def test_a_bad_runtime_record(created, bad):
    path = created.workspaces / "web" / "runtime.json"
    overwrite(path, bad)
    created.account.own(path)
    for words in READERS:
        error = created.refuses(*words, code=EXIT_FAILURE)
        assert str(path) in error["message"]
    assert path.read_text() == bad


def test_a_bad_event_names_its_line(created):
    path = created.workspaces / "web" / "events.jsonl"
    with path.open("a") as events:
        events.write('{"state": "dreaming"}\n')
    error = created.refuses("events", "web", code=EXIT_FAILURE)
    assert f"{path}:2" in error["message"]


def test_an_event_that_was_cut_short_never_was(created):
    path = created.workspaces / "web" / "events.jsonl"
    with path.open("a") as events:
        events.write('{"state": "runn')
    assert [event["state"] for event in created.json("events", "web")["events"]] == ["prepared"]


def test_a_bad_workspace_hides_no_other(created):
    created.json("create", "good")
    overwrite(created.workspaces / "web" / "workspace.json", "{")
    states = {row["name"]: row["state"] for row in created.json("list")["workspaces"]}
    assert states == {"good": "prepared", "web": "unknown"}


def test_a_bad_workspace_can_be_deleted(created):
    overwrite(created.workspaces / "web" / "workspace.json", "{")
    assert created.json("delete", "web")["deleted"] is True
    assert created.json("list")["workspaces"] == []


def test_a_manifest_is_checked_again_at_start(created):
    path = created.workspaces / "web" / "workspace.json"
    record = json.loads(path.read_text())
    record["network"].update(ip="10.0.0.2/24", gateway="10.0.1.1")
    overwrite(path, json.dumps(record))
    error = created.refuses("start", "web", code=EXIT_FAILURE)
    assert str(path) in error["message"] and "10.0.1.1" in error["message"]
    assert created.json("status", "web")["state"] == "prepared"


def test_strangers_beside_the_workspaces_are_left_alone(created):
    stranger = created.workspaces / "Not.Ours"
    stranger.mkdir()
    assert [row["name"] for row in created.json("list")["workspaces"]] == ["web"]
    assert stranger.exists()


def test_everything_is_private(created):
    for path in [created.state, *created.state.rglob("*")]:
        mode = stat.S_IMODE(path.lstat().st_mode)
        assert mode == (0o700 if path.is_dir() else 0o600), f"{path} has mode {mode:o}"


def test_the_creator_s_mask_does_not_matter(fresh):
    before = os.umask(0)
    try:
        fresh.json("create", "web")
    finally:
        os.umask(before)
    test_everything_is_private(fresh)


def test_a_state_directory_that_is_a_file(fresh):
    fresh.state.write_text("")
    error = fresh.refuses("list", code=EXIT_FAILURE)
    assert str(fresh.state) in error["message"]


def test_a_state_directory_that_others_may_write_to(fresh):
    fresh.json("list")
    fresh.state.chmod(0o777)
    error = fresh.refuses("list", code=EXIT_FAILURE)
    assert str(fresh.state) in error["message"] and "chmod 700" in error["remediation"]


def test_a_state_directory_of_another_user(fresh):
    if os.getuid() != 0:
        pytest.skip("only root can give a directory to another user")
    fresh.state.mkdir()
    error = fresh.refuses("list", code=EXIT_FAILURE)
    assert "another user" in error["message"]


def test_a_state_directory_that_may_not_be_made(fresh):
    error = fresh.refuses("--state-dir", "/proc/nowhere/state", "list", code=EXIT_FAILURE)
    assert "/proc/nowhere" in error["message"]


def test_where_the_state_lies(fresh, scratch):
    fresh.json("create", "home")
    fresh.json("--state-dir", fresh.state / "flag", "create", "flagged")
    fresh.json("create", "default", env={"MICROAGENT_HOME": ""})
    assert (fresh.state / "workspaces" / "home").is_dir()
    assert (fresh.state / "flag" / "workspaces" / "flagged").is_dir()
    assert (fresh.account.home / ".microagent" / "workspaces" / "default").is_dir()
    fresh.json("delete", "default", env={"MICROAGENT_HOME": ""})
