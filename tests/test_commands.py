"""The commands that need no guest: what they say to people and to programs."""

import pytest

from harness.cli import EXIT_FAILURE, outcome_of


def test_a_life_without_a_start(fresh):
    created = fresh.json("create", "web", "--publish", "18080:80")
    assert created["ok"] is True and created["workspace"] == "web" and created["state"] == "prepared"
    assert fresh.json("status", "web")["state"] == "prepared"
    assert [row["name"] for row in fresh.json("list")["workspaces"]] == ["web"]
    assert [event["state"] for event in fresh.json("events", "web")["events"]] == ["prepared"]
    assert fresh.json("delete", "web") == {"ok": True, "workspace": "web", "deleted": True}
    assert fresh.json("delete", "web") == {"ok": True, "workspace": "web", "deleted": False}
    assert fresh.json("list")["workspaces"] == []


def test_the_network_record_is_everywhere(fresh):
    network = {"mode": "user", "dns": ["1.1.1.1"],
               "portForwards": [{"protocol": "tcp", "host": "127.0.0.1", "hostPort": 18080, "guestPort": 80}]}
    created = fresh.json("create", "web", "--publish", "18080:80", "--dns", "1.1.1.1")
    status, row = fresh.json("status", "web"), fresh.json("list")["workspaces"][0]
    for record in (created, status, row, fresh.json("network", "web")):
        assert record["network"] == network
    for record in (created, status, row):
        assert record["networkMode"] == "user"
    command = fresh.json("network", "web")
    assert command["workspace"] == "web" and command["state"] == "prepared" and command["backend"]
    assert "runtime" not in command


def test_readiness_has_all_its_signals(fresh):
    fresh.json("create", "web")
    readiness = fresh.json("status", "web")["readiness"]
    assert {name: signal["ready"] for name, signal in readiness.items()} == dict.fromkeys(
        ("guestReady", "execReady", "shellReady", "resultReady", "mediationReady", "trustReady"), False)


def test_the_records_of_an_isolated_workspace(fresh):
    created = fresh.json("create", "sealed", "--network", "isolated")
    assert created["network"] == {"mode": "isolated"} and created["networkMode"] == "isolated"
    assert fresh.json("network", "sealed")["network"] == {"mode": "isolated"}


def test_a_dry_run_writes_nothing(fresh):
    record = fresh.json("create", "web", "--publish", "18080:80", "--dry-run")
    assert record["dryRun"] is True and record["network"]["portForwards"][0]["hostPort"] == 18080
    assert record["effectiveNetwork"]["ip"] == "192.168.64.2/24"
    assert record["effectiveNetwork"]["gateway"] == "192.168.64.1"
    assert record["effectiveNetwork"]["dns"] == ["192.168.64.1"]
    assert "127.0.0.1:18080:80/tcp" in fresh.run("create", "web", "--publish", "18080:80", "--dry-run").text
    assert not fresh.state.exists()


def test_a_dry_run_refuses_what_create_refuses(fresh):
    fresh.refuses("create", "web", "--publish", "0:0", "--dry-run")


def test_text_is_text_and_json_is_json(fresh):
    fresh.run("create", "web")
    for words in (["status", "web"], ["list"], ["network", "web"], ["events", "web"]):
        text = fresh.run(*words)
        assert "web" in text.text or "DECLARED" in text.text or "prepared" in text.text
        assert not text.out.lstrip().startswith(b"{") and text.err == b""
        for form in (["--json", *words], [*words, "--json"], ["--output", "json", *words], [*words, "--output=json"]):
            assert fresh.run(*form).json["ok"] is True


def test_no_colour_but_on_a_terminal(fresh):
    fresh.run("create", "web")
    assert b"\x1b" not in fresh.run("status", "web").out


def test_an_output_that_is_closed(fresh):
    """Whoever asks and goes away gets no crash: an ordinary failure."""
    fresh.run("create", "web")
    with open("/dev/full", "wb") as full:
        process = fresh.popen("status", "web", stdout=full)
        assert process.wait(30) == EXIT_FAILURE


def test_a_name_is_given_once(fresh):
    fresh.json("create", "web")
    error = fresh.refuses("create", "web", "--memory", "1GiB", code=EXIT_FAILURE)
    assert error["kind"] == "conflict" and "web" in error["message"]
    assert fresh.json("status", "web")["resources"]["memoryMiB"] == 512


@pytest.mark.parametrize("words", [["stop", "web"], ["halt", "web"], ["kill", "web"], ["exec", "web", "--", "true"]],
                         ids=lambda words: words[0])
def test_what_does_not_run_cannot_be_ended_or_used(fresh, words):
    fresh.json("create", "web")
    error = fresh.refuses(*words, code=EXIT_FAILURE)
    assert error["kind"] == "conflict" and "not running" in error["message"]


def test_logs_of_what_never_ran(fresh):
    fresh.json("create", "web")
    assert fresh.run("logs", "web").out == b""
    assert fresh.json("logs", "web")["lines"] == []


def test_many_at_once_create_one_workspace(fresh):
    """Ten commands want one name: one gets it, the others are told why not."""
    fresh.json("list")
    processes = [fresh.popen("--json", "create", "web", "--memory", str(256 + i), stdout=-1, stderr=-1)
                 for i in range(10)]
    outcomes = [outcome_of(process, 30) for process in processes]
    assert sorted(outcome.code for outcome in outcomes) == [0] + [EXIT_FAILURE] * 9
    assert all(outcome.json["ok"] == (outcome.code == 0) for outcome in outcomes)
    assert 256 <= fresh.json("status", "web")["resources"]["memoryMiB"] < 266
