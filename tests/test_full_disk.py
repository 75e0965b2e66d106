"""A disk that is full, or has no inode left: the error says so, and nothing is half-created."""

import os
import signal
import subprocess

import pytest

from harness import images
from harness.cli import EXIT_FAILURE, Microagent
from harness.processes import Process
from harness.wait import wait_until


@pytest.fixture
def small_disk(alone, fresh, scratch):
    """Makes a file system of our own, with mount options that bound it; gives the command with its state there."""
    place = scratch / "small"
    place.mkdir()

    def mount(options):
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"mode=700,uid={fresh.account.uid},{options}", "tmpfs", place],
                       check=True)
        return Microagent(fresh.prefix, place, fresh.account)

    yield mount
    subprocess.run(["umount", place], check=True)
    place.rmdir()


def fill(microagent):
    """Leaves not one byte."""
    with open(microagent.state / "ballast", "wb", buffering=0) as ballast:
        try:
            while True:
                ballast.write(b"x" * 4096)
        except OSError:
            pass


@pytest.mark.parametrize("kib", [4, 8, 12, 16, 20])
def test_create_on_a_disk_that_is_too_small(small_disk, kib):
    microagent = small_disk(f"size={kib}k")
    outcome = microagent.run("--json", "create", "web", code=None)
    if outcome.code == 0:
        assert microagent.json("status", "web")["state"] == "prepared"
        return
    assert outcome.code == EXIT_FAILURE and outcome.error()["kind"] == "resource_exhausted"
    assert not microagent.workspaces.exists() or list(microagent.workspaces.iterdir()) == []


@pytest.mark.parametrize("inodes", range(2, 9))
def test_create_without_inodes(small_disk, inodes):
    microagent = small_disk(f"nr_inodes={inodes}")
    outcome = microagent.run("--json", "create", "web", code=None)
    if outcome.code == 0:
        assert microagent.json("status", "web")["state"] == "prepared"
        return
    assert outcome.code == EXIT_FAILURE and outcome.error()["kind"] == "resource_exhausted"
    assert not microagent.workspaces.exists() or list(microagent.workspaces.iterdir()) == []


def test_create_works_once_there_is_room_again(small_disk):
    microagent = small_disk("size=256k")
    microagent.json("list")
    fill(microagent)
    assert microagent.refuses("create", "web", code=EXIT_FAILURE)["kind"] == "resource_exhausted"
    assert list(microagent.workspaces.iterdir()) == []
    (microagent.state / "ballast").unlink()
    assert microagent.json("create", "web")["state"] == "prepared"


def test_what_there_is_can_be_read_and_deleted_on_a_full_disk(small_disk):
    microagent = small_disk("size=256k")
    microagent.json("create", "web")
    fill(microagent)
    assert microagent.json("status", "web")["state"] == "prepared"
    assert microagent.json("list")["workspaces"][0]["name"] == "web"
    assert microagent.json("delete", "web")["deleted"] is True


def test_start_on_a_full_disk(small_disk, guest_image):
    microagent = small_disk("size=1m")
    microagent.json("create", "web")
    fill(microagent)
    error = microagent.run("--json", "start", "web", code=EXIT_FAILURE, timeout=60).error()
    assert error["kind"] == "resource_exhausted"
    (microagent.state / "ballast").unlink()
    status = microagent.json("status", "web")
    assert status["state"] in ("prepared", "failed")
    assert "supervisorPid" not in status and "pids" not in status


def test_the_guest_s_image_does_not_fit(small_disk, guest_image):
    """The disk fills while the start writes: it says so, and the workspace can be deleted."""
    microagent = small_disk("size=1m")
    microagent.json("create", "web")
    error = microagent.run("--json", "start", "web", code=EXIT_FAILURE, timeout=60).error()
    assert error["kind"] == "resource_exhausted"
    assert microagent.json("status", "web")["state"] == "failed"
    assert not (microagent.workspaces / "web" / "initrd").exists()
    assert microagent.json("delete", "web")["deleted"] is True


def rows(microagent):
    return {row["name"]: row for row in microagent.json("list")["workspaces"]}


def assert_pending(microagent, reason):
    """Who looks is told what the history of the workspace cannot tell."""
    event = microagent.json("status", "web")["pendingEvent"]
    assert event["reason"] == reason and event["detail"] and event["observedAt"], event
    assert rows(microagent)["web"]["pendingEvent"]["reason"] == reason
    assert "waits for room on the disk to be recorded" in microagent.run("status", "web").text
    assert "an event waits for room on the disk" in microagent.run("list").text
    assert reason not in [event.get("reason") for event in microagent.json("events", "web")["events"]]


def assert_told(microagent, reason):
    told = wait_until(lambda: [event for event in microagent.json("events", "web")["events"]
                               if event.get("reason") == reason], "the event is told", 30)
    assert len(told) == 1
    assert "pendingEvent" not in microagent.json("status", "web") and "pendingEvent" not in rows(microagent)["web"]
    return told[0]


def test_a_supervisor_that_died_and_a_full_disk(small_disk, guest_image, world):
    """Nobody can write down that it did, and everybody is told."""
    del guest_image, world
    microagent = small_disk("size=120m")
    microagent.json("create", "web", "--network", "isolated")
    record = microagent.json("start", "web", timeout=200)
    all_of_them = [Process(pid) for pid in (record["supervisorPid"], *record["pids"].values())]
    os.kill(record["supervisorPid"], signal.SIGKILL)
    # Their end frees what they had open.
    wait_until(lambda: not any(process.exists() for process in all_of_them), "they are gone")
    fill(microagent)
    for _ in range(2):
        assert_pending(microagent, "lost")
        status = microagent.json("status", "web")
        assert status["state"] == "failed" and status["event"]["detail"] == "the supervisor died"
        assert microagent.json("network", "web")["state"] == "failed"
    (microagent.state / "ballast").unlink()
    assert microagent.json("status", "web")["state"] == "failed"
    assert assert_told(microagent, "lost")["detail"] == "the supervisor died"
    microagent.json("start", "web", timeout=200)
    microagent.json("delete", "--force", "web", timeout=60)


def test_a_guest_is_told_that_its_host_has_no_room(small_disk, guest_image, world, place):
    """It gets an error and goes on; it does not stand still for ever."""
    del guest_image, world
    microagent = small_disk("size=120m")
    layout = images.write_layout(place / "image", [images.busybox_layer()])
    microagent.json("create", "web", "--image", layout, "--network", "isolated", timeout=120)
    microagent.json("start", "web", timeout=200)
    (microagent.state / "ballast").write_bytes(bytes(8 * 1024 * 1024))
    written = microagent.run("exec", "--timeout", "50", "web", "--", "dd", "if=/dev/urandom", "of=/big", "bs=1M",
                             "count=160", "conv=fsync", code=None, timeout=120)
    assert written.code == 1 and "rror" in written.err_text, written
    assert microagent.run("exec", "web", "--", "echo", "alive").text == "alive\n"
    assert microagent.json("status", "web")["state"] == "running"
    # The record lies on the same disk: it says so once there is room.
    assert_pending(microagent, "disk")
    (microagent.state / "ballast").unlink()
    told = assert_told(microagent, "disk")
    assert "No space" in told["detail"] or "nospace" in told["detail"], told
    microagent.json("delete", "--force", "web", timeout=60)
