"""The static address block takes effect in the guest; what is invalid is refused by create (test_rules.py)."""

import pytest

from harness import world as net


@pytest.fixture(scope="module")
def fixed(world, workspaces):
    return workspaces("fixed", "--ip", "10.20.30.7/28", "--subnet", "10.20.30.0/28", "--gateway", "10.20.30.1", "--dns",
                      net.RESOLVER, "--dns", "203.0.113.53", "--route", "0.0.0.0/0 via 10.20.30.1", "--route",
                      "10.99.0.0/16 via 10.20.30.3")


@pytest.fixture(scope="module")
def plain(workspaces):
    return workspaces("plain")


def test_the_address(fixed):
    assert "inet 10.20.30.7/28 " in fixed.shell("ip addr show dev eth0")


def test_the_routes(fixed):
    routes = [line.strip() for line in fixed.shell("ip route").splitlines()]
    assert any(line.startswith("default via 10.20.30.1 dev eth0") for line in routes), routes
    assert any(line.startswith("10.99.0.0/16 via 10.20.30.3 dev eth0") for line in routes), routes
    assert any(line.startswith("10.20.30.0/28 dev eth0") for line in routes), routes
    assert len(routes) == 3, routes


def test_the_resolvers(fixed):
    lines = [line for line in fixed.shell("cat /etc/resolv.conf").splitlines() if line.startswith("nameserver")]
    assert lines == [f"nameserver {net.RESOLVER}", "nameserver 203.0.113.53"]


def test_the_gateway_answers(fixed):
    assert "1 packets received" in fixed.shell("ping -c 1 -W 5 10.20.30.1")


def test_the_network_works(fixed):
    assert fixed.shell(f"wget -q -O - http://{net.SERVER}/").strip() == "hello from the internet"
    assert fixed.shell("wget -q -O - http://www.example/").strip() == "hello from the internet"


def test_the_records(fixed):
    declared = {"mode": "user", "ip": "10.20.30.7/28", "subnet": "10.20.30.0/28", "gateway": "10.20.30.1",
                "dns": [net.RESOLVER, "203.0.113.53"],
                "routes": ["0.0.0.0/0 via 10.20.30.1", "10.99.0.0/16 via 10.20.30.3"]}
    record = fixed.network()
    assert record["network"] == declared
    runtime = record["runtime"]
    assert {key: runtime[key] for key in ("mode", "ip", "subnet", "gateway", "dns")} == {
        key: declared[key] for key in ("mode", "ip", "subnet", "gateway", "dns")}
    assert sorted(runtime["routes"]) == sorted(declared["routes"])


def test_undeclared(plain):
    assert "inet 192.168.64.2/24 " in plain.shell("ip addr show dev eth0")
    assert "default via 192.168.64.1 dev eth0" in plain.shell("ip route")
    lines = [line for line in plain.shell("cat /etc/resolv.conf").splitlines() if line.startswith("nameserver")]
    assert lines == ["nameserver 192.168.64.1"]


def test_routes_beside_the_default_one(workspaces):
    """A declared gateway stays the way to everywhere, unless a declared route says otherwise."""
    workspace = workspaces("more", "--route", f"{net.OTHER_SERVERS[0]}/32 via 192.168.64.1")
    routes = workspace.shell("ip route")
    assert f"{net.OTHER_SERVERS[0]} via 192.168.64.1 dev eth0" in routes, routes
    assert "default via 192.168.64.1 dev eth0" in routes, routes
    for server in (net.OTHER_SERVERS[0], net.SERVER):
        assert workspace.shell(f"wget -q -O - http://{server}/").strip() == "hello from the internet"


def test_a_point_to_point_network(workspaces):
    """RFC 3021: a /31 has two hosts, and neither network nor broadcast address."""
    workspace = workspaces("pair", "--ip", "10.20.30.0/31", "--gateway", "10.20.30.1")
    assert "inet 10.20.30.0/31 " in workspace.shell("ip addr show dev eth0")
    assert workspace.shell(f"wget -q -O - http://{net.SERVER}/").strip() == "hello from the internet"


def test_dhcp(plain):
    """For images with their own init: a client without our configuration gets the same address."""
    script = "#!/bin/sh\n[ $1 = bound ] && echo $ip $subnet $router $dns >/tmp/lease\nexit 0\n"
    plain.shell("cat >/tmp/lease.sh; chmod 755 /tmp/lease.sh", stdin=script.encode())
    plain.shell("udhcpc -i eth0 -n -q -f -t 5 -T 1 -s /tmp/lease.sh", timeout=30)
    assert plain.shell("cat /tmp/lease").split() == ["192.168.64.2", "255.255.255.0", "192.168.64.1", "192.168.64.1"]
