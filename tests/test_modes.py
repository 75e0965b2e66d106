"""The two network modes: user has one device, isolated has none at all."""

import pytest


@pytest.fixture(scope="module")
def sealed(workspaces):
    return workspaces("sealed", "--network", "isolated")


def test_an_isolated_guest_has_no_device(sealed):
    assert sealed.shell("ls /sys/class/net").split() == ["lo"]
    assert sealed.shell("ls /sys/bus/virtio/drivers/virtio_net 2>/dev/null; ls /sys/bus/virtio/devices").split().count(
        "virtio0") == 1, "more than the vsock device is on the bus"
    assert sealed.shell("ip route").strip() == ""


def test_an_isolated_guest_reaches_nobody(sealed):
    assert sealed.shell("wget -q -O - http://192.0.2.1/ || echo unreachable").strip() == "unreachable"
    assert sealed.shell("ping -c 1 -W 2 192.0.2.1 >/dev/null 2>&1 || echo unreachable").strip() == "unreachable"


def test_an_isolated_guest_s_loopback_works(sealed):
    assert sealed.shell("ping -c 1 -W 2 127.0.0.1 >/dev/null && echo works").strip() == "works"


def test_qemu_of_an_isolated_guest_has_no_network(sealed):
    words = (sealed.processes()["qemu"].path / "cmdline").read_bytes().split(b"\0")
    assert not [word for word in words if b"virtio-net" in word or b"netdev" in word]
    assert b"none" in words[words.index(b"-nic") + 1] if b"-nic" in words else True


def test_the_records_of_an_isolated_workspace(sealed, microagent):
    assert sealed.network()["network"] == {"mode": "isolated"}
    assert sealed.network()["runtime"] == {"mode": "isolated"}
    row = [row for row in microagent.json("list")["workspaces"] if row["name"] == "sealed"][0]
    assert row["networkMode"] == "isolated" and row["state"] == "running"


def test_a_user_guest_has_one_device(workspaces):
    workspace = workspaces("open")
    assert sorted(workspace.shell("ls /sys/class/net").split()) == ["eth0", "lo"]
    assert workspace.network()["network"] == {"mode": "user"}
