"""run: a workspace for one command, of which nothing stays; restart beside it."""

import contextlib
import os
import pathlib
import signal
import subprocess

import pytest

from harness import images
from harness.cli import EXIT_FAILURE
from harness.processes import processes_of
from harness.wait import wait_until

TIMEOUT = 200


@pytest.fixture(autouse=True)
def nothing_stays(request):
    """Whatever a test does to `run`: in the end there is neither a workspace nor a process of it."""
    if "microagent" not in request.fixturenames:
        yield
        return
    microagent = request.getfixturevalue("microagent")
    before = names(microagent)
    known = {process.pid for process in processes_of(microagent.account.uid)}
    yield
    wait_until(lambda: names(microagent) == before, f"{names(microagent)} are {before}")
    wait_until(lambda: {process.pid for process in processes_of(microagent.account.uid)} <= known, "processes end", 20)


def names(microagent):
    return sorted(entry.name for entry in microagent.workspaces.iterdir()) if microagent.workspaces.exists() else []


@pytest.fixture
def run(microagent, guest_image, world):
    def start(*words, code=0, **options):
        return microagent.run("run", "--network", "isolated", *words, code=code, timeout=TIMEOUT, **options)

    return start


@contextlib.contextmanager
def running(microagent, *words):
    with microagent.popen("run", "--network", "isolated", "--name", "one", *words, stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        yield process
        process.kill()


def first_line(process):
    line = process.stdout.readline()
    assert line, process.stderr.read()
    return line


def test_output_input_and_code_are_the_command_s(run):
    outcome = run("base", "sh", "-c", "cat; echo \"$0 $1\" >&2; exit 42", "a  b", "-c", stdin=b"over\0there", code=42)
    assert (outcome.out, outcome.err.splitlines()[-1:]) == (b"over\0there", [b"a  b -c"])


def test_a_program_gets_one_record(microagent, guest_image, world):
    words = ("run", "--network", "isolated", "--env", "A=b", "base", "--", "sh", "-c", "echo $A; exit 3")
    record = microagent.json(*words, code=3, timeout=TIMEOUT)
    assert (record["ok"], record["exitCode"], record["stdout"], record["kept"]) == (True, 3, "b\n", False)
    assert record["workspace"].startswith("run-") and len(record["workspace"]) == len("run-") + 12


def test_the_entrypoint_is_the_command_where_there_is_no_other(run):
    assert run("--entrypoint", "echo one; echo $0", "base").text == "one\n/bin/sh\n"
    assert run("--entrypoint", "echo one", "base", "echo", "two").text == "two\n"


def test_the_network_is_there(microagent, guest_image, world):
    outcome = microagent.run("run", "-p", "0:80", "base", "ip", "-4", "-o", "addr", "show", timeout=TIMEOUT)
    assert "192.168.64.2/24" in outcome.text


def test_disks_and_volumes_are_as_of_create(run, microagent, place):
    layer = images.Layer().symlink("sbin/init", "../bin/busybox")
    layer.file("etc/inittab", b"::sysinit:/bin/touch /booted\n")
    reference = images.write_layout(place / "image", [images.busybox_layer(), layer.finish()])
    flags = ("--size", "3GiB", "--volume", "carried:/data", "--pull")
    measure = "df -m / | tail -n 1 | awk '{print $2}'; echo one >/data/file"
    assert 2800 < int(run(*flags, reference, "sh", "-c", measure).text) <= 3072
    script = "cat /data/file /proc/1/comm; while ! test -e /booted; do usleep 50000; done"
    assert run("--volume", "carried:/data", "--init", "/sbin/init", reference, "sh", "-c", script).text == "one\ninit\n"
    assert microagent.json("volume", "ls")["volumes"][0]["workspaces"] == []
    microagent.json("volume", "rm", "carried")


def test_the_words_of_an_image_are_not_said_twice(microagent, account):
    spec = account.home / "of-an-image.yaml"
    spec.write_text("name: two\nimage: oci:nowhere\n")
    spec.chmod(0o644)
    error = microagent.refuses("run", "--file", str(spec), "base", "true")
    assert "IMAGE is base" in error["message"] and "nowhere" in error["message"]
    assert names(microagent) == []


def test_a_command_that_cannot_be_run_leaves_nothing(run):
    outcome = run("base", "no-such-program", code=127)
    assert outcome.out == b"" and "no-such-program" in outcome.err_text


def test_a_start_that_fails_leaves_nothing(microagent, guest_image, world):
    words = ("run", "--mediation", "2048=127.0.0.1:1", "base", "true")
    error = microagent.refuses(*words, code=75, timeout=TIMEOUT)
    assert "127.0.0.1:1" in error["message"]


def test_wrong_words_are_refused_before_anything_is_made(microagent):
    assert "no image" in microagent.refuses("run", "No Image", "true")["message"]
    assert "no command" in microagent.refuses("run", "base")["message"]
    assert "IMAGE" in microagent.refuses("run")["message"]
    assert "mode" in microagent.refuses("run", "--network", "wide", "base", "true")["message"]
    assert names(microagent) == []


def test_a_kept_workspace_is_stopped_and_stays(microagent, workspaces, run):
    workspaces("taken", "--network", "isolated", start=False)
    error = microagent.refuses("run", "--name", "taken", "base", "true", code=EXIT_FAILURE)
    assert error["kind"] == "conflict"
    run("--keep", "--name", "kept", "base", "true")
    record = microagent.json("status", "kept")
    assert record["state"] == "stopped" and record["event"]["detail"] == "the guest shut down cleanly"
    assert microagent.json("delete", "kept")["deleted"] and microagent.json("delete", "taken")["deleted"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_command_and_all_is_cleared_up(microagent, guest_image, world, number):
    with running(microagent, "base", "sh", "-c", "echo begun; exec sleep 1000") as process:
        assert first_line(process) == b"begun\n"
        process.send_signal(number)
        process.communicate(timeout=60)
        assert process.returncode == 128 + number
        assert names(microagent) == []


def test_a_command_may_heed_the_signal(microagent, guest_image, world):
    script = "trap 'echo heeded; exit 5' TERM; echo begun; while :; do sleep 0.1; done"
    with running(microagent, "base", "sh", "-c", script) as process:
        assert first_line(process) == b"begun\n"
        process.send_signal(signal.SIGTERM)
        out, _ = process.communicate(timeout=60)
        assert process.returncode == 5 and out == b"heeded\n"


def test_a_signal_ends_the_start(microagent, guest_image, world):
    with running(microagent, "base", "true") as process:
        wait_until(lambda: any(child.program().startswith("qemu") for child in processes_of(microagent.account.uid)),
                   "the guest boots", 60)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
        assert process.returncode == 128 + signal.SIGINT and out == b"" and b"ended" in err
        assert names(microagent) == []


def test_nothing_outlives_a_killed_run(microagent, guest_image, world):
    with running(microagent, "base", "sh", "-c", "echo begun; exec sleep 1000") as process:
        assert first_line(process) == b"begun\n"
        process.kill()


def test_a_volume_keeps_what_a_killed_run_wrote(run, microagent):
    words = ("--volume", "saved:/data", "base", "sh", "-c", "echo saved >/data/file; echo begun; exec sleep 1000")
    with running(microagent, *words) as process:
        assert first_line(process) == b"begun\n"
        process.kill()
    wait_until(lambda: names(microagent) == [], "the workspace is gone")
    assert run("--volume", "saved:/data", "base", "cat", "/data/file").text == "saved\n"
    microagent.json("volume", "rm", "saved")


def test_a_quarantined_workspace_is_evidence_and_stays(microagent, guest_image, world):
    with running(microagent, "base", "sh", "-c", "echo begun; exec sleep 1000") as process:
        assert first_line(process) == b"begun\n"
        microagent.json("quarantine", "one")
        process.kill()
        process.wait()
    assert microagent.json("status", "one")["state"] == "quarantined"
    assert microagent.json("delete", "--force", "one")["deleted"]


def test_a_terminal_is_the_guest_s(microagent, guest_image, world):
    ours, theirs = os.openpty()
    with microagent.popen("run", "--network", "isolated", "-t", "base", "sh", "-c", "tty; read x; echo got $x",
                          stdin=theirs, stdout=theirs, stderr=subprocess.PIPE) as process:
        os.close(theirs)
        told = b""
        with contextlib.suppress(OSError):  # EIO: nobody has the other end open any more
            while part := os.read(ours, 4096):
                told += part
                if b"/dev/" in told and b"typed" not in told:
                    os.write(ours, b"typed\r")
        assert process.wait(60) == 0
    os.close(ours)
    assert b"/dev/pts/" in told and b"got typed" in told


def test_restart_is_a_new_life_with_what_was_changed(workspaces, microagent):
    workspace = workspaces("again", "--network", "isolated")
    before = {process.pid for process in workspace.processes().values()}
    record = pathlib.Path(workspace.directory / "workspace.json")
    record.write_text(record.read_text().replace('"env": []', '"env": ["CHANGED=yes"]'))
    assert microagent.json("restart", "again", timeout=TIMEOUT)["state"] == "running"
    assert before.isdisjoint(process.pid for process in workspace.processes().values())
    assert workspace.shell("echo $CHANGED").strip() == "yes"
    states = [event["state"] for event in workspace.events()]
    assert states == ["prepared", "starting", "running", "stopping", "stopped", "starting", "running"]
    workspace.stop()
    assert microagent.json("restart", "again", timeout=TIMEOUT)["state"] == "running", "one that is stopped is started"
    error = microagent.refuses("restart", "nobody", code=EXIT_FAILURE)
    assert error["kind"] == "not_found"
    workspace.delete()
