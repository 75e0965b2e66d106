"""The rules of --publish and of the static address block: each is checked by create, before anything is written."""

import pytest

BLOCK = {"--ip": "10.20.30.2/24", "--subnet": "10.20.30.0/24", "--gateway": "10.20.30.1"}

BAD_MAPPINGS = ["", "x", "80", ":", "::", "8080:", ":80", "8080:http", "http:80", "8080:80/sctp", "8080:80/",
                "8080:80/tcp/udp", "8080:0", "65536:80", "8080:65536", "-1:80", "08080:80", "+8080:80",
                "8080 :80", "localhost:8080:80", "1.2.3:8080:80", "256.0.0.1:8080:80", "::1:8080:80", "[::1:8080:80",
                "[]:8080:80", "[127.0.0.1]:8080:80", "[::1]8080:80", "8000-8010:9000-9005", "8010-8000:9010-9000",
                "8000-8010:80", "0-5:9000-9005", "8000-:80-", "1:2:3:4", "8080:80\n", "0x50:80", "1-65535:1-65535"]

COLLIDING = [["8080:80", "8080:81"], ["8080:80", "127.0.0.1:8080:81"], ["0.0.0.0:8080:80", "8080:81"],
             [":8080:80", "0.0.0.0:8080:80"], ["[::]:8080:80", "8080:80"], ["[::1]:8080:80", "[::1]:8080:81"],
             ["[0:0::1]:8080:80", "[::1]:8080:81"], ["8000-8010:9000-9010", "8005:80"], ["8080:80/udp", "8080:80/udp"],
             ["127.0.0.1:8080:80", "[::ffff:127.0.0.1]:8080:80"]]

APART = [["8080:80", "8081:80"], ["8080:80", "8080:80/udp"], ["127.0.0.1:8080:80", "127.0.0.2:8080:80"],
         ["0:80", "0:80"], ["127.0.0.1:8080:80", "[::1]:8080:80"]]


def block(**changes):
    """The flags of a valid block, but for the changes; None leaves one out."""
    values = {**BLOCK, **{"--" + key: value for key, value in changes.items()}}
    return [word for flag, value in values.items() if value is not None for word in (flag, value)]


# what: (flags, the flag that is to blame, a word of the message)
BAD_BLOCKS = {
    "ip without gateway": (block(gateway=None), "--ip", "gateway"),
    "subnet without ip": (["--subnet", "10.0.0.0/24"], "--subnet", "needs an ip"),
    "gateway without ip": (["--gateway", "10.0.0.1"], "--gateway", "needs an ip"),
    "ip without prefix": (block(ip="10.20.30.2"), "--ip", "prefix"),
    "ip with a long prefix": (block(ip="10.20.30.2/33"), "--ip", "33"),
    "ip with an empty prefix": (block(ip="10.20.30.2/"), "--ip", "10.20.30.2/"),
    "ip is no address": (block(ip="10.20.30/24"), "--ip", "10.20.30/24"),
    "ip with leading zeroes": (block(ip="010.020.030.002/24"), "--ip", "010"),
    "ip is IPv6": (block(ip="fd00::2/64"), "--ip", "fd00::2/64"),
    "ip is empty": (block(ip=""), "--ip", "empty"),
    "dns is the guest's own loopback": (["--dns", "127.0.0.53"], "--dns", "the guest itself"),
    "a /32": (block(ip="10.20.30.2/32", subnet=None), "--ip", "32"),
    "subnet is no prefix": (block(subnet="10.20.30.0"), "--subnet", "10.20.30.0"),
    "subnet has host bits": (block(subnet="10.20.30.4/24"), "--subnet", "10.20.30.4/24"),
    "prefix lengths disagree": (block(subnet="10.20.0.0/16"), "--subnet", "16"),
    "ip outside the subnet": (block(subnet="10.20.31.0/24"), "--ip", "10.20.30.2"),
    "gateway outside the subnet": (block(gateway="10.20.31.1"), "--gateway", "10.20.31.1"),
    "gateway is no address": (block(gateway="router"), "--gateway", "router"),
    "gateway with a prefix": (block(gateway="10.20.30.1/24"), "--gateway", "10.20.30.1/24"),
    "ip is the network": (block(ip="10.20.30.0/24"), "--ip", "network address"),
    "ip is the broadcast": (block(ip="10.20.30.255/24"), "--ip", "broadcast address"),
    "gateway is the network": (block(gateway="10.20.30.0"), "--gateway", "network address"),
    "gateway is the broadcast": (block(gateway="10.20.30.255"), "--gateway", "broadcast address"),
    "ip is the gateway": (block(gateway="10.20.30.2"), "--gateway", "own address"),
    "ip is multicast": (block(ip="224.0.0.5/24", subnet=None, gateway="224.0.0.1"), "--ip", "224.0.0.5"),
    "ip is loopback": (block(ip="127.0.0.5/24", subnet=None, gateway="127.0.0.1"), "--ip", "127.0.0.5"),
    "dns is a name": (["--dns", "one.one.one.one"], "--dns", "one.one.one.one"),
    "dns is empty": (["--dns", ""], "--dns", "resolver"),
    "dns with a port": (["--dns", "1.1.1.1:53"], "--dns", "1.1.1.1:53"),
    "dns is multicast": (["--dns", "224.0.0.1"], "--dns", "224.0.0.1"),
    "dns is nobody": (["--dns", "0.0.0.0"], "--dns", "0.0.0.0"),
    "route is a word": (block() + ["--route", "everywhere"], "--route", "everywhere"),
    "route without via": (block() + ["--route", "10.0.0.0/8"], "--route", "10.0.0.0/8"),
    "route to no prefix": (block() + ["--route", "10.0.0.0 via 10.20.30.1"], "--route", "10.0.0.0"),
    "route has host bits": (block() + ["--route", "10.1.2.3/8 via 10.20.30.1"], "--route", "10.1.2.3/8"),
    "route via a stranger": (block() + ["--route", "0.0.0.0/0 via 10.20.31.1"], "--route", "10.20.31.1"),
    "route via itself": (block() + ["--route", "0.0.0.0/0 via 10.20.30.2"], "--route", "10.20.30.2"),
    "route via the broadcast": (block() + ["--route", "0.0.0.0/0 via 10.20.30.255"], "--route", "broadcast"),
    "two routes to one place": (block() + ["--route", "10.0.0.0/8 via 10.20.30.1", "--route",
                                           "10.0.0.0/8 via 10.20.30.3"], "--route", "already"),
}

GOOD_BLOCKS = {
    "nothing": ([], {}),
    "whole": (block(), {"ip": "10.20.30.2/24", "subnet": "10.20.30.0/24", "gateway": "10.20.30.1"}),
    "subnet left out": (block(subnet=None), {"ip": "10.20.30.2/24", "gateway": "10.20.30.1"}),
    "a /31": (block(ip="10.20.30.0/31", subnet="10.20.30.0/31"),
              {"ip": "10.20.30.0/31", "subnet": "10.20.30.0/31", "gateway": "10.20.30.1"}),
    "a /30": (block(ip="10.20.30.2/30", subnet=None), {"ip": "10.20.30.2/30", "gateway": "10.20.30.1"}),
    "resolvers alone": (["--dns", "1.1.1.1", "--dns", "8.8.8.8"], {"dns": ["1.1.1.1", "8.8.8.8"]}),
    "the same resolver twice": (["--dns", "1.1.1.1", "--dns", "1.1.1.1"], {"dns": ["1.1.1.1"]}),
    "routes of the undeclared network": (["--route", "10.0.0.0/8 via 192.168.64.1"],
                                         {"routes": ["10.0.0.0/8 via 192.168.64.1"]}),
    "a default route by name": (["--route", "default via 192.168.64.1"], {"routes": ["0.0.0.0/0 via 192.168.64.1"]}),
}


def nothing_is_written(microagent):
    return not list(microagent.workspaces.glob("*")) and not list((microagent.state / "locks").glob("*"))


@pytest.mark.parametrize("mapping", BAD_MAPPINGS)
def test_a_malformed_mapping_is_refused(fresh, mapping):
    error = fresh.refuses("create", "web", "--publish=" + mapping)
    assert error["kind"] == "usage" and error["message"].startswith("--publish")
    assert nothing_is_written(fresh)


@pytest.mark.parametrize("mappings", COLLIDING, ids=" and ".join)
def test_mappings_that_collide_are_refused(fresh, mappings):
    flags = [word for mapping in mappings for word in ("--publish", mapping)]
    error = fresh.refuses("create", "web", *flags)
    assert f"--publish {mappings[1]}" in error["message"]
    assert nothing_is_written(fresh)


@pytest.mark.parametrize("mappings", APART, ids=" and ".join)
def test_mappings_that_do_not_collide_are_taken(fresh, mappings):
    flags = [word for mapping in mappings for word in ("--publish", mapping)]
    assert len(fresh.json("create", "web", *flags)["network"]["portForwards"]) == len(mappings)


@pytest.mark.parametrize("mapping, forwards", [
    ("8080:80", [("tcp", "127.0.0.1", 8080, 80)]),
    (":8080:80", [("tcp", "127.0.0.1", 8080, 80)]),
    ("127.0.0.1:8080:80/tcp", [("tcp", "127.0.0.1", 8080, 80)]),
    ("0.0.0.0:8080:80", [("tcp", "0.0.0.0", 8080, 80)]),
    ("[::1]:8080:80", [("tcp", "::1", 8080, 80)]),
    ("[0:0:0::1]:8080:80", [("tcp", "::1", 8080, 80)]),
    ("8053:53/udp", [("udp", "127.0.0.1", 8053, 53)]),
    ("0:80", [("tcp", "127.0.0.1", 0, 80)]),
    ("65535:65535", [("tcp", "127.0.0.1", 65535, 65535)]),
    ("8000-8002:9000-9002/udp", [("udp", "127.0.0.1", 8000 + i, 9000 + i) for i in range(3)]),
])
def test_a_mapping_is_understood(fresh, mapping, forwards):
    record = fresh.json("create", "web", "--publish", mapping)
    assert record["network"]["portForwards"] == [
        dict(zip(("protocol", "host", "hostPort", "guestPort"), forward)) for forward in forwards]


@pytest.mark.parametrize("flags", [["--publish", "8080:80"], block(), ["--dns", "1.1.1.1"],
                                   ["--route", "0.0.0.0/0 via 192.168.64.1"], ["--gateway", "192.168.64.1"]],
                         ids=lambda flags: flags[0])
def test_isolated_takes_nothing_of_a_network(fresh, flags):
    error = fresh.refuses("create", "web", "--network", "isolated", *flags)
    assert "isolated" in error["message"]
    assert nothing_is_written(fresh)


@pytest.mark.parametrize("flags, flag, word", BAD_BLOCKS.values(), ids=BAD_BLOCKS)
def test_a_bad_address_is_refused(fresh, flags, flag, word):
    error = fresh.refuses("create", "web", *flags)
    assert error["kind"] == "usage"
    assert error["message"].startswith(flag) and word in error["message"], error
    assert nothing_is_written(fresh)


@pytest.mark.parametrize("flags, record", GOOD_BLOCKS.values(), ids=GOOD_BLOCKS)
def test_a_good_address_is_recorded(fresh, flags, record):
    created = fresh.json("create", "web", *flags)
    assert created["network"] == {"mode": "user", **record}


def test_many_ports_are_bounded(fresh):
    error = fresh.refuses("create", "web", "--publish", "10000-20000:10000-20000")
    assert "more than a workspace may publish" in error["message"]
