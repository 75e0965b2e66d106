"""The host goes down while a workspace runs: all of it is killed at once, what was being written is cut short, and the
disks are as they were at that moment. The next start boots, and what the guest had synced is there."""

import json
import os
import signal

import pytest

from harness import images
from harness.wait import wait_until

OTHER_LIFE = "00000000-1111-2222-3333-444444444444"
WRITER = """
mkdir -p /lost /data/lost; i=0
while :; do dd if=/dev/zero of=/lost/$i bs=64k count=4; echo $i >/data/lost/$i; i=$((i+1)); done
"""


@pytest.fixture(scope="module", name="layout")
def fixture_layout(place):
    return images.write_layout(place / "image", [images.busybox_layer()])


@pytest.fixture(name="guest")
def fixture_guest(workspaces, layout, request):
    name = f"crashed-{request.node.name.rpartition('_')[2]}"
    return workspaces(name, "--image", layout, "--size", "1GiB", "--volume", f"{name}:/data")


def pull_the_plug(guest):
    """Kills everything in the midst of writing; the supervisor first, so that nobody writes down that the rest died."""
    guest.shell("echo synced >/kept; echo synced >/data/kept; sync")
    guest.background("sh", "-c", WRITER)
    guest.shell("until test -e /data/lost/20; do usleep 20000; done")
    processes = guest.processes()
    for name in ("supervisor", "qemu", "netd", "mediator"):
        try:
            os.kill(processes[name].pid, signal.SIGKILL)
        except ProcessLookupError:  # it dies with the supervisor
            assert name != "supervisor"
    wait_until(lambda: not any(process.exists() for process in processes.values()), "all is gone")


def overwrite(guest, name, text):
    path = guest.directory / name
    path.write_text(text)
    path.chmod(0o600)
    guest.microagent.account.own(path)


def cut_short(guest, name):
    """A line that was being appended."""
    with open(guest.directory / name, "r+", encoding="utf-8") as file:
        lines = file.readlines()
        file.write(lines[-1][:len(lines[-1]) // 2])


def forget_this_life(guest):
    """What a start after a reboot finds: a record of a life that was before it."""
    record = json.loads((guest.directory / "runtime.json").read_text())
    assert record["state"] == "running" and record["bootID"]
    overwrite(guest, "runtime.json", json.dumps(dict(record, bootID=OTHER_LIFE)))


def assert_whole(guest):
    assert guest.shell("cat /kept /data/kept") == "synced\nsynced\n"
    # Both disks were in use, and their journals were played back.
    assert guest.shell("dmesg | grep -c 'EXT4-fs.*recovery complete'").strip() == "2"
    assert guest.shell("dmesg | grep -ci 'EXT4-fs.*error'", code=1).strip() == "0"
    assert guest.shell("rm -r /lost /data/lost; echo again >/kept; sync; cat /kept") == "again\n"


def test_the_disks(guest):
    pull_the_plug(guest)
    guest.start()
    assert_whole(guest)


def test_the_records(guest):
    pull_the_plug(guest)
    forget_this_life(guest)
    overwrite(guest, ".runtime.json.new", '{"version": 1, "state": "run')
    overwrite(guest, ".workspace.json.new", "")
    overwrite(guest, ".egress-usage.json.new", "{")
    cut_short(guest, "events.jsonl")
    cut_short(guest, "egress.jsonl")
    # Sockets outlive whoever bound them, and so does what was made for the boot.
    assert (guest.directory / "control.sock").is_socket()
    overwrite(guest, "initrd", "half")

    record = guest.status()
    assert record["state"] == "failed" and record["reason"] == "lost"
    assert guest.microagent.json("list")["workspaces"][0]["name"].startswith("crashed-")
    guest.start()
    assert_whole(guest)
    states = [event["state"] for event in guest.events()]
    assert states[-3:] == ["failed", "starting", "running"]
    assert [line for line in guest.egress() if line["event"] == "egress_listen"][-1]["workspace"] == guest.name
    assert guest.microagent.json("egress", guest.name, "--verify")["ok"]
