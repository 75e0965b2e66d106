"""Four processes a workspace, separate, confined, and none with any privilege; every flow passes through a verdict."""

import os

import pytest

from harness import world as net
from harness.clients import ask_when_served
from harness.processes import socket_families

NO_CAPABILITY = "0000000000000000"
SECCOMP_FILTER = "2"
WORKERS = ("netd", "mediator", "qemu")


@pytest.fixture(scope="module")
def web(world, workspaces):
    workspace = workspaces("web", "--publish", "18400:80", "--entrypoint", "nc -ll -p 80 -e cat")
    workspace.wait_for_listener(80)
    # Flows of every kind, so that what is looked at is at work.
    workspace.shell(f"wget -q -O /dev/null http://www.example/ && ping -c 1 -W 5 {net.SERVER}")
    return workspace


@pytest.fixture(scope="module")
def processes(web):
    return web.processes()


def test_there_are_four_programs(processes):
    assert {name: process.program() for name, process in processes.items()} == {
        "supervisor": "microagent-supervisor", "netd": "microagent-netd", "mediator": "microagent-mediator",
        "qemu": "qemu-system-x86_64"}
    assert len({process.pid for process in processes.values()}) == 4


def test_the_supervisor_is_the_parent_of_the_others(processes):
    for name in WORKERS:
        assert int(processes[name].status()["PPid"]) == processes["supervisor"].pid


def test_nobody_has_privilege(processes, microagent):
    for name, process in processes.items():
        status = process.status()
        assert status["Uid"].split() == [str(microagent.account.uid)] * 4 and microagent.account.uid != 0, name
        assert status["Gid"].split() == [str(microagent.account.gid)] * 4, name
        for kind in ("CapInh", "CapPrm", "CapEff", "CapAmb"):
            assert status[kind] == NO_CAPABILITY, (name, kind)


def test_nobody_can_gain_any(processes):
    said = {name: process.status()["NoNewPrivs"] for name, process in processes.items()}
    assert said == dict.fromkeys(processes, "1")


@pytest.mark.parametrize("name", WORKERS)
def test_who_handles_the_guest_s_bytes_is_filtered(processes, name):
    status = processes[name].status()
    assert status["Seccomp"] == SECCOMP_FILTER and int(status["Seccomp_filters"]) >= 1


def test_qemu_is_in_an_empty_network(processes):
    qemu = processes["qemu"]
    if qemu.network_namespace() == os.stat("/proc/self/ns/net").st_ino:
        pytest.skip("this host gives an ordinary user no network namespace; QEMU is confined by seccomp alone")
    assert qemu.interfaces() == ["lo"]
    assert processes["netd"].network_namespace() == processes["mediator"].network_namespace()


def test_qemu_has_no_socket_of_the_network(processes):
    kinds, inodes = socket_families(processes["qemu"])
    assert set(kinds.values()) <= {"unix"}, kinds


def test_netd_opens_no_socket_but_uses_what_it_is_given(processes, web):
    """It may not: the kernel ends whoever tries (netd's own tests do try). What it holds is what it was handed: local
    sockets, and those of the flows that live."""
    with web.spawn("nc", net.SERVER, str(net.TCP_ECHO), stdin=-1) as flow:
        flow.stdin.write(b"hello\n")
        flow.stdin.flush()
        assert flow.stdout.readline() == b"hello\n"
        kinds, inodes = socket_families(processes["netd"])
        assert "tcp" in kinds.values(), kinds
        flow.stdin.close()
        flow.wait(20)
    assert not [target for target in processes["netd"].descriptors().values()
                if target.startswith("/") and not target.startswith(("/dev/null", "/memfd:", "/dev/shm"))]


def test_netd_holds_no_secret_and_no_path(processes):
    words = (processes["netd"].path / "cmdline").read_bytes()
    assert b"/workspaces/" not in words
    assert (processes["netd"].path / "environ").read_bytes() in (b"", b"\0") or b"HOME" not in (
        processes["netd"].path / "environ").read_bytes()


def test_the_mediator_has_no_guest_memory(processes):
    def holds(name):
        held = [*processes[name].descriptors().values(), (processes[name].path / "maps").read_text()]
        return any("memory-backend" in one for one in held)

    assert holds("qemu") and not holds("mediator") and not holds("supervisor")


def test_every_flow_is_in_the_log(web):
    """What opens a flow is written before the flow lives; so is, for each, its end."""
    assert ask_when_served(18400, b"hello") == b"hello"
    web.wait_for_record(event="egress_close", dst=f"{net.SERVER}:80")
    records = web.egress()
    kinds = {(record["event"], record.get("proto")) for record in records}
    assert ("egress_allow", "tcp") in kinds and ("egress_allow", "icmp") in kinds
    assert any(record["event"] == "egress_dns_allow" and record["qname"] == "www.example" for record in records)
    for record in records:
        assert record["workspace"] == "web" and record["ts"] and record["seq"]


def test_two_workspaces_share_nothing(web, workspaces):
    other = workspaces("other")
    assert not {process.pid for process in web.processes().values()} & {
        process.pid for process in other.processes().values()}
    mine = {target for name in WORKERS for target in web.processes()[name].descriptors().values()}
    theirs = {target for name in WORKERS for target in other.processes()[name].descriptors().values()}
    shared = {target for target in mine & theirs if not target.startswith(("/dev/", "anon_inode:", "/memfd:"))
              and "/share/microagent/" not in target and "/bin/" not in target}
    assert shared == set()
