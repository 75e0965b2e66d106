"""A workspace from start to delete: states, readiness, logs, exec, and what is left at the end."""

import contextlib
import json
import os
import pathlib
import signal
import subprocess
import time

import pytest

from harness.cli import EXIT_FAILURE, records_of
from harness.processes import processes_of
from harness.wait import wait_until


@pytest.fixture(scope="module")
def web(workspaces):
    return workspaces("web", "--env", "GREETING=hello world", "--entrypoint",
                      "echo console-$GREETING; echo second >&2; exit 7")


def test_start_says_that_it_runs(workspaces, microagent):
    workspace = workspaces("started", start=False)
    record = workspace.start()
    assert record["ok"] is True and record["workspace"] == "started" and record["state"] == "running"
    assert record["readiness"]["guestReady"]["ready"] and record["readiness"]["execReady"]["ready"]
    assert record["acceleration"] in ("kvm", "tcg")
    if record["acceleration"] == "tcg":
        assert record["accelerationReason"]
    assert set(record["pids"]) == {"qemu", "netd", "mediator"}
    assert record["networkMode"] == record["network"]["mode"] == "user"
    assert record["network"]["runtime"] == workspace.status()["network"]["runtime"]
    error = microagent.refuses("start", "started", code=EXIT_FAILURE)
    assert error["kind"] == "conflict" and "running" in error["message"]
    error = microagent.refuses("delete", "started", code=EXIT_FAILURE)
    assert error["kind"] == "conflict" and "stop" in error["remediation"]
    assert workspace.state() == "running"

    stopped = workspace.stop()
    assert stopped["state"] == "stopped" and "pids" not in stopped
    states = [event["state"] for event in workspace.events()]
    assert states == ["prepared", "starting", "running", "stopping", "stopped"]
    assert "cleanly" in workspace.events()[-1]["detail"]


def test_progress_is_told_to_who_watches(workspaces, microagent):
    """On standard error, and at once where that is a terminal; standard output is the record's alone."""
    workspaces("watched", "--network", "isolated", start=False)
    ours, theirs = os.openpty()
    with microagent.popen("start", "watched", stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=theirs) as process:
        os.close(theirs)
        told = b""
        with contextlib.suppress(OSError):  # EIO: nobody has the other end open any more
            while part := os.read(ours, 4096):
                told += part
        out = process.stdout.read().decode()
    os.close(ours)
    assert process.returncode == 0
    lines = told.decode().splitlines()
    assert len(lines) >= 2 and all(line.startswith("watched: ") for line in lines), lines
    assert out == "watched is running\n"
    quiet = microagent.run("--json", "stop", "watched")
    assert quiet.err == b"" and quiet.json["state"] == "stopped"


def test_resources_are_what_was_asked_for(workspaces):
    workspace = workspaces("sized", "--cpus", "2", "--memory", "384", "--network", "isolated")
    assert workspace.shell("nproc").strip() == "2"
    mib = int(workspace.shell("awk '/^MemTotal/ { print $2 }' /proc/meminfo")) >> 10
    assert 384 * 3 // 4 < mib <= 384, "the kernel keeps some for itself"


def test_a_workspace_starts_again(workspaces):
    workspace = workspaces("again")
    workspace.shell("echo 1 >/tmp/mark")
    workspace.stop()
    workspace.start()
    assert workspace.state() == "running"
    assert workspace.exec("cat", "/tmp/mark", code=1).err_text, "the guest's memory outlived it"
    assert workspace.kill()["state"] == "stopped"
    assert "killed" in workspace.events()[-1]["detail"]
    assert workspace.delete()["deleted"] is True
    assert not workspace.directory.exists()


def test_the_entrypoint_s_end_is_a_result(web):
    def ended():
        record = web.status()
        return record if record["readiness"]["resultReady"]["ready"] else None

    record = wait_until(ended, "the entrypoint ends")
    assert record["exitCode"] == 7 and record["state"] == "running"


def test_logs_are_the_console(web, microagent):
    def lines():
        return [line for line in microagent.json("logs", "web")["lines"] if "console-" in line]

    assert wait_until(lines, "the entrypoint's output") == ["console-hello world"]
    assert "console-hello world" in microagent.run("logs", "web").text
    assert "second" in microagent.run("logs", "web").text
    supervisor = microagent.json("logs", "--supervisor", "web")
    assert supervisor["source"] == "supervisor" and isinstance(supervisor["lines"], list)


def test_logs_have_an_end(workspaces, microagent):
    workspaces("tail", "--network", "isolated", "--entrypoint", "echo a1; echo b2; echo c3; sleep 1000")
    wait_until(lambda: "c3" in microagent.run("logs", "tail").text, "the entrypoint has spoken")
    assert microagent.run("logs", "--tail", "2", "tail").text.split() == ["b2", "c3"]
    assert microagent.json("logs", "--tail", "1", "tail")["lines"] == ["c3"]
    with microagent.popen("logs", "-f", "--tail", "1", "tail", stdout=subprocess.PIPE) as follower:
        assert follower.stdout.readline().strip() == b"c3"
        follower.kill()


def test_logs_can_be_followed(workspaces, microagent):
    workspace = workspaces("followed")
    with microagent.popen("logs", "--follow", "followed", stdout=subprocess.PIPE, stderr=subprocess.PIPE) as follower:
        workspace.shell("echo told-by-exec >/dev/console")
        workspace.stop()
        out, err = follower.communicate(timeout=20)
    assert follower.returncode == 0 and b"told-by-exec" in out and err == b""


def test_logs_can_be_followed_by_a_program(workspaces, microagent):
    workspace = workspaces("lines", "--network", "isolated")
    with microagent.popen("logs", "--follow", "--json", "lines", stdout=subprocess.PIPE) as follower:
        workspace.shell("printf 'one\\n\\ntwo' >/dev/console")
        workspace.kill()
        out, _ = follower.communicate(timeout=20)
    records = records_of(follower, out.splitlines())
    assert all(record["workspace"] == "lines" and record["source"] == "console" for record in records)
    lines = [record["line"] for record in records]
    assert lines[-3:] == ["one", "", "two"]


def test_events_can_be_followed_to_the_end(workspaces, microagent):
    workspace = workspaces("told", "--network", "isolated")
    with microagent.popen("events", "-f", "told", stdout=subprocess.PIPE) as people, \
            microagent.popen("--json", "events", "--follow", "told", stdout=subprocess.PIPE) as program:
        for follower in (people, program):
            assert follower.stdout.readline(), "what was is told first"
        workspace.stop()
        # Not by communicate(), which passes over what readline() has read ahead.
        told, records = people.stdout.read(), program.stdout.read()
    events = records_of(program, records.splitlines())
    assert events == workspace.events()[1:]
    assert [line.split()[1] for line in told.decode().splitlines()] == ["starting", "running", "stopping", "stopped"]


def test_following_ends_when_the_supervisor_is_killed(workspaces, microagent):
    workspace = workspaces("orphaned", "--network", "isolated")
    with microagent.popen("--json", "events", "--follow", "orphaned", stdout=subprocess.PIPE) as follower:
        assert follower.stdout.readline()
        os.kill(workspace.status()["supervisorPid"], signal.SIGKILL)
        out, _ = follower.communicate(timeout=20)
    last = records_of(follower, out.splitlines())[-1]
    assert last["state"] == "failed" and "supervisor died" in last["detail"] and follower.returncode == 0


def test_a_follower_that_waits_does_nothing(workspaces, microagent):
    """It sleeps until there is something: in a while without events the kernel never has to run it."""
    workspace = workspaces("quiet", "--network", "isolated")

    def switches(process):
        status = (pathlib.Path("/proc") / str(process.pid) / "status").read_text()
        return [line for line in status.splitlines() if "ctxt_switches" in line]

    with microagent.popen("events", "--follow", "quiet", stdout=subprocess.PIPE) as follower:
        for _ in range(3):
            assert follower.stdout.readline()
        before = wait_until(lambda: stable(lambda: switches(follower)), "it has come to rest")
        time.sleep(3)
        assert switches(follower) == before
        workspace.stop()
        follower.communicate(timeout=20)


def stable(probe):
    """What two looks, a while apart, both see; nothing when they differ."""
    before = probe()
    time.sleep(0.3)
    return before if probe() == before else None


def test_stats_are_the_processes_and_the_network_s(workspaces, microagent):
    workspace = workspaces("used", "--network", "isolated")
    first = microagent.json("stats", "used")["workspaces"][0]
    assert set(first["processes"]) == {"supervisor", "netd", "mediator", "qemu"}
    assert {name: used["pid"] for name, used in first["processes"].items()} == {
        name: process.pid for name, process in workspace.processes().items()}
    assert first["memoryBytes"] > 64 << 20, "the guest's memory counts"
    assert sum(used["memoryBytes"] for used in first["processes"].values()) == first["memoryBytes"]
    assert set(first["network"]) == {"bytesIn", "bytesOut", "flows", "denials"}
    workspace.shell("i=0; while [ $i -lt 20000 ]; do i=$((i+1)); done")
    second = microagent.json("stats", "used")["workspaces"][0]
    assert second["cpuSeconds"] > first["cpuSeconds"] and second["uptimeSeconds"] > first["uptimeSeconds"]
    table = microagent.run("stats").text.splitlines()
    assert table[0].split()[:4] == ["NAME", "UP", "CPU", "MEMORY"]
    assert any(line.startswith("used ") for line in table)
    with microagent.popen("--json", "stats", "-f", "--interval", "0.2", "used", stdout=subprocess.PIPE) as follower:
        looks = records_of(follower, [follower.stdout.readline() for _ in range(3)])
        workspace.stop()
        follower.communicate(timeout=20)
    assert [look["workspace"] for look in looks] == ["used"] * 3 and follower.returncode == 0
    assert looks[2]["uptimeSeconds"] - looks[0]["uptimeSeconds"] >= 0.4
    assert microagent.refuses("stats", "used", code=EXIT_FAILURE)["kind"] == "conflict"


def test_exec_passes_output_and_exit_code(web):
    assert web.exec("echo", "a  b", "c").out == b"a  b c\n"
    outcome = web.exec("sh", "-c", "echo out; echo err >&2; exit 42", code=42)
    assert (outcome.out, outcome.err) == (b"out\n", b"err\n")
    assert web.exec("sh", "-c", "kill -TERM $$", code=128 + signal.SIGTERM)
    web.exec("false", code=1)


def test_exec_passes_the_words_as_they_are(web):
    words = ["", " ", "a b", "$HOME", "*", "'", '"', "\\", "-n", "--", "ü", "\n"]
    outcome = web.exec("sh", "-c", 'for word; do printf "<%s>" "$word"; done', "sh", *words)
    assert outcome.text == "".join(f"<{word}>" for word in words)


def test_exec_passes_standard_input(web):
    data = bytes(range(256)) * 4096
    assert web.exec("cat", stdin=data).out == data
    assert web.exec("wc", "-c", stdin=data).text.split() == [str(len(data))]
    assert web.exec("cat", stdin=b"").out == b""


def test_exec_has_environment_and_directory(web):
    assert web.shell("echo $GREETING").strip() == "hello world"
    flags = ["-e", "A=1", "-e", "GREETING=bye", "-w", "/tmp"]
    assert web.exec("sh", "-c", "echo $A-$GREETING; pwd", flags=flags).text == "1-bye\n/tmp\n"
    assert web.shell("hostname").strip() == "web"


def test_exec_of_what_is_not_there(web):
    outcome = web.exec("no-such-program", code=127)
    assert "no-such-program" in outcome.err_text
    assert web.exec("/etc", code=126).err_text
    outcome = web.exec("true", flags=["-w", "/no/such/directory"], code=None)
    assert outcome.code in (126, 127) and outcome.err_text


def test_exec_for_programs(web, microagent):
    record = microagent.json("exec", "web", "--", "sh", "-c", "echo out; echo err >&2; exit 3", code=3)
    assert record["exitCode"] == 3 and record["stdout"] == "out\n" and record["stderr"] == "err\n"


def test_exec_passes_signals(web):
    process = web.spawn("sh", "-c", "trap 'echo got-term; exit 9' TERM; echo ready; while :; do sleep 0.1; done")
    with process:
        assert process.stdout.readline() == b"ready\n"
        process.send_signal(signal.SIGTERM)
        out, _ = process.communicate(timeout=20)
    assert out == b"got-term\n" and process.returncode == 9


def test_many_execs_at_once(web):
    processes = [web.spawn("sh", "-c", f"cat >/dev/null; echo {i}") for i in range(8)]
    outputs = [process.communicate(timeout=60)[0] for process in processes]
    assert outputs == [f"{i}\n".encode() for i in range(8)]


def test_a_caller_who_goes_away_takes_the_command_along(web):
    process = web.spawn("sleep", "98765")
    web.shell("for i in $(seq 100); do ps | grep -q '[s]leep 98765' && exit; usleep 50000; done; exit 1")
    process.kill()
    process.communicate()
    web.shell("for i in $(seq 100); do ps | grep -q '[s]leep 98765' || exit 0; usleep 50000; done; exit 1")


def test_records_while_it_runs(web, microagent):
    status, network, row = web.status(), web.network(), microagent.json("list")["workspaces"]
    runtime = network["runtime"]
    assert runtime["mode"] == "user" and runtime["ip"] == "192.168.64.2/24" and runtime["gateway"] == "192.168.64.1"
    assert runtime["dns"] == ["192.168.64.1"]
    assert status["network"]["runtime"] == runtime
    assert [entry["state"] for entry in row if entry["name"] == "web"] == ["running"]
    assert status["event"]["state"] == "running" and status["event"]["identity"]["runtimeID"] == "web"


def test_the_state_stays_private(web):
    for path in web.directory.rglob("*"):
        assert path.lstat().st_mode & 0o077 == 0, path


def test_the_guest_s_clock_keeps_pace(web):
    """Whatever the host is busy with: a second here is a second there."""
    def clocks():
        begun = time.monotonic()
        guest = float(web.shell("cat /proc/uptime").split()[0])
        return guest, begun, time.monotonic()

    guest_1, begun_1, ended_1 = clocks()
    wait_until(lambda: time.monotonic() > ended_1 + 5, "five seconds pass")
    guest_2, begun_2, ended_2 = clocks()
    assert begun_2 - ended_1 - 0.1 <= guest_2 - guest_1 <= ended_2 - begun_1 + 0.1


def freeze(workspace):
    """Makes the guest's init deaf: it is put into a control group that is frozen."""
    process = workspace.spawn("sh", "-c", "mkdir -p /tmp/group && mount -t cgroup2 none /tmp/group && cd /tmp/group &&"
                              " mkdir ice && echo 1 >ice/cgroup.procs && echo 1 >ice/cgroup.freeze")

    def is_deaf():
        probe = workspace.spawn("true")
        try:
            probe.communicate(timeout=3)
            assert process.poll() in (None, 0), process.communicate()
            return False
        except subprocess.TimeoutExpired:
            probe.kill()
            probe.communicate()
            return True

    wait_until(is_deaf, "the guest is deaf", 30)
    process.kill()
    process.communicate()


def test_a_guest_that_does_not_shut_down_is_killed(workspaces):
    workspace = workspaces("deaf")
    freeze(workspace)
    begun = time.monotonic()
    record = workspace.stop("--timeout", "2")
    assert record["state"] == "stopped"
    assert 2 <= time.monotonic() - begun < 10
    assert "did not shut down within 2 s and was killed" in workspace.events()[-1]["detail"]


def test_the_guest_gets_the_time_that_stop_gives(workspaces):
    """A workload that takes long is let to, where there is time; one that does not heed is killed in good time."""
    slow = workspaces("slow-end", "--network", "isolated", "--entrypoint",
                      "trap 'sleep 9; echo took its time; exit' TERM; echo trapped; while :; do sleep 1; done")

    def said(words):
        return words in (slow.directory / "console.log").read_text(errors="replace")

    wait_until(lambda: said("trapped"), "the workload runs")
    slow.stop("--timeout", "60")
    assert said("took its time") and slow.status()["event"]["detail"] == "the guest shut down cleanly"

    deaf = workspaces("deaf-end", "--network", "isolated", "--entrypoint", "trap '' TERM; while :; do sleep 1; done")
    begun = time.monotonic()
    deaf.stop("--timeout", "4")
    assert deaf.status()["event"]["detail"] == "the guest shut down cleanly"
    assert time.monotonic() - begun < 5


def test_nothing_is_left(workspaces, microagent, alone):
    workspace = workspaces("leftover", "--publish", "0:80")
    before = {process.pid for process in processes_of(microagent.account.uid)}
    processes = workspace.processes()
    mine = {process.pid for process in processes.values()}
    workspace.stop()
    # The supervisor answers `stop`, and goes when it has: it alone may still be there.
    assert not [name for name, process in processes.items() if name != "supervisor" and process.exists()]
    wait_until(lambda: {process.pid for process in processes_of(microagent.account.uid)} == before - mine,
               "the supervisor has ended, and nothing else is there")
    assert not [path for path in workspace.directory.iterdir() if path.is_socket() or path.name == "initrd"]
    record = json.loads((workspace.directory / "runtime.json").read_text())
    assert record["pids"] == {} and record["supervisorPid"] == 0


def test_what_a_start_took(workspaces):
    workspace = workspaces("timed", start=False)
    begun = time.monotonic()
    told = workspace.microagent.json("start", "timed", "--timings", timeout=200)["timings"]
    stages = {stage["stage"]: stage["ms"] for stage in told}
    whole = (time.monotonic() - begun) * 1000
    assert {"guest: kernel", "guest: network", "machine", "netd and the mediator"} <= set(stages)
    # The stages are all there is, but for the beginning and the end of the command itself.
    assert 0.7 * whole < sum(stages.values()) <= whole
    assert stages["guest: kernel"] > 10, stages
    assert "timings" not in workspace.status(), "only where it is asked for"
    workspace.stop()
    text = workspace.microagent.run("start", "timed", "--timings", timeout=200).text
    assert "guest: kernel" in text and " ms  in all, with " in text.splitlines()[-1]
    assert "--wait" in workspace.microagent.refuses("start", "timed", "--timings", "--wait")["message"]
