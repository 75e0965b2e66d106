"""prune and list: many workspaces, those that have ended, and what commands that were killed left."""

import contextlib
import json
import os
import pty
import shutil
import signal
import subprocess
import time

import pytest

from harness.cli import EXIT_FAILURE, Outcome

RECORD = {"version": 1, "state": "stopped", "detail": "the guest shut down cleanly", "observedAt":
          "2026-01-02T03:04:05.000000000Z", "supervisorPid": 0, "pids": {}, "acceleration": "tcg",
          "accelerationReason": "", "readiness": {}, "forwards": []}


def make(microagent, name, **record):
    """A workspace; with fields, one that has been started and is in the state they say."""
    microagent.json("create", name)
    if record:
        path = microagent.workspaces / name / "runtime.json"
        path.write_text(json.dumps({**RECORD, **record}))
        path.chmod(0o600)
        microagent.account.own(path)


def names(microagent):
    return sorted(entry.name for entry in microagent.workspaces.iterdir())


@pytest.fixture
def crowd(fresh):
    make(fresh, "new")
    make(fresh, "old", observedAt="2020-01-02T03:04:05.000000000Z")
    make(fresh, "done", state="stopped")
    make(fresh, "broken", state="failed", detail="netd was killed")
    make(fresh, "expired", reason="expired")
    for leftover in (".half.new", ".gone.old"):
        (fresh.workspaces / leftover).mkdir()
        (fresh.workspaces / leftover / "workspace.json").write_text("{" * 1000)
        fresh.account.own(fresh.workspaces / leftover)
    return fresh


def test_a_dry_run_shows_and_removes_nothing(crowd):
    before = names(crowd)
    record = crowd.json("prune", "--dry-run")
    assert record["dryRun"] is True
    assert [entry["workspace"] for entry in record["workspaces"]] == ["broken", "done", "expired", "old"]
    assert [os.path.basename(entry["path"]) for entry in record["leftovers"]] == [".gone.old", ".half.new"]
    assert record["bytes"] == sum(entry["bytes"] for entry in record["workspaces"] + record["leftovers"]) > 2000
    assert "this would free" in crowd.run("prune", "--dry-run").text
    assert names(crowd) == before


def test_what_has_ended_goes(crowd):
    crowd.json("prune", "--yes")
    assert names(crowd) == ["new"]
    assert crowd.run("prune", "--yes").text == "there is nothing to remove\n"
    assert [entry["workspace"] for entry in crowd.json("prune", "--yes", "--all")["workspaces"]] == ["new"]
    assert names(crowd) == []


def test_what_a_killed_run_has_left_goes(fresh):
    for name in ("run-0123456789ab", "run-ba9876543210", "run-of-mine"):
        make(fresh, name)
    long_ago = time.time() - 600
    for name in ("run-0123456789ab", "run-of-mine"):
        os.utime(fresh.workspaces / name, (long_ago, long_ago))
    assert [entry["workspace"] for entry in fresh.json("prune", "--yes")["workspaces"]] == ["run-0123456789ab"]
    assert names(fresh) == ["run-ba9876543210", "run-of-mine"], "one may be just about to boot"


def test_only_what_ended_long_ago_goes(crowd):
    record = crowd.json("prune", "-y", "--before", "2021-01-01")
    assert [entry["workspace"] for entry in record["workspaces"]] == ["old"]
    assert "new" in names(crowd) and "done" in names(crowd)
    assert "not a time" in crowd.refuses("prune", "--before", "yesterday")["message"]


def test_what_cannot_be_read_or_is_at_work_stays(crowd):
    (crowd.workspaces / "done" / "runtime.json").write_text("{")
    held = crowd.state / "locks" / "old.lock"
    with subprocess.Popen(["python3", "-c", HOLD, held], stdout=subprocess.PIPE) as holder:
        assert holder.stdout.readline()
        removed = [entry["workspace"] for entry in crowd.json("prune", "--yes")["workspaces"]]
        holder.kill()
    assert removed == ["broken", "expired"] and {"done", "old"} <= set(names(crowd))


HOLD = """import fcntl, struct, sys, time
held = open(sys.argv[1], 'r+b')
fcntl.fcntl(held, 37, struct.pack('hhqqi4x', fcntl.F_WRLCK, 0, 0, 0, 0))  # F_OFD_SETLK
print('held', flush=True)
time.sleep(1000)"""


def test_nobody_is_asked_who_is_not_there(crowd):
    before = names(crowd)
    assert "--yes" in crowd.refuses("prune")["remediation"]
    assert names(crowd) == before


@pytest.mark.parametrize("answer, gone", [("y", True), ("n", False), ("", False)])
def test_a_person_is_asked(crowd, answer, gone):
    ours, theirs = pty.openpty()
    with crowd.popen("prune", stdin=theirs, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        os.write(ours, answer.encode() + b"\n")
        out, err = process.communicate(timeout=30)
    os.close(ours), os.close(theirs)
    assert b"remove all this for good? [y/N]" in err and b"broken" in err and process.returncode == 0
    assert (names(crowd) == ["new"]) is gone and (b"frees" in out) is gone


def test_what_has_become_another_while_a_person_thinks_stays(crowd):
    ours, theirs = pty.openpty()
    with crowd.popen("prune", stdin=theirs, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        for line in process.stderr:
            if line.startswith(b"remove all this"):
                break
        crowd.json("delete", "done")
        make(crowd, "done", observedAt="2026-01-02T03:05:00.000000000Z")
        os.write(ours, b"y\n")
        out, _ = process.communicate(timeout=30)
    os.close(ours), os.close(theirs)
    assert process.returncode == 0 and b"broken" in out and b"done" not in out
    assert names(crowd) == ["done", "new"]


def test_a_workspace_of_an_earlier_life_of_the_host_can_be_used_again(fresh):
    """As after a power cut: the record says running, nobody holds the lock, sockets lie about, and pids are others'."""
    make(fresh, "survivor", state="running", detail="", bootID="another", supervisorPid=1, pids={"qemu": 1, "netd": 2})
    status = fresh.json("status", "survivor")
    assert status["state"] == "failed" and status["reason"] == "lost"
    assert status["event"]["detail"] == "the host went down" and "pids" not in status
    assert fresh.json("events", "survivor")["events"][-1]["reason"] == "lost"
    assert fresh.refuses("stop", "survivor", code=EXIT_FAILURE)["kind"] == "conflict"
    assert [entry["workspace"] for entry in fresh.json("prune", "--yes")["workspaces"]] == ["survivor"]


def test_it_boots_after_the_host_went_down(workspaces, microagent):
    workspace = workspaces("rebooted", "--network", "isolated")
    for process in workspace.processes().values():
        with contextlib.suppress(ProcessLookupError):  # they die with the first
            os.kill(process.pid, signal.SIGKILL)
    record = workspace.directory / "runtime.json"
    record.write_text(record.read_text().replace('"bootID":"', '"bootID":"another'))
    workspace.start()
    assert workspace.shell("echo up").strip() == "up"
    assert [event["detail"] for event in workspace.events() if event["state"] == "failed"] == ["the host went down"]


MOST_CALLS = 14  # of the kernel, for each workspace


def test_a_list_of_a_hundred_is_little_work(fresh):
    """Counted, not timed: bench/list.py has the time."""
    if shutil.which("strace") is None:
        pytest.skip("there is no strace")

    def calls(count):
        while len(names(fresh)) < count:
            make(fresh, f"one-{len(names(fresh))}", detail="")
        trace = fresh.state / "trace"
        with fresh.account.popen(["strace", "-f", "-o", trace, fresh.prefix / "bin" / "microagent", "--json", "list"],
                                 env={"MICROAGENT_HOME": str(fresh.state)}, stdout=subprocess.PIPE) as process:
            rows = Outcome(("list",), 0, *process.communicate(timeout=60)).json["workspaces"]
        assert len(rows) == count and all(row["state"] == "stopped" for row in rows)
        return len(trace.read_text().splitlines())

    fresh.json("list")
    few, many = calls(10), calls(110)
    assert (many - few) / 100 <= MOST_CALLS, (few, many)
