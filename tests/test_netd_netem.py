"""A guest whose own kernel loses, repeats and reorders what it sends and what it hears (its sch_netem): streams arrive
whole all the same."""

import hashlib
import os
import re
import subprocess
import sys

import pytest

from harness import python_guest
from harness import world as net
from harness.internet import body

PACKAGES = ("iproute2",)
PORT = 9400
MIB = 1 << 20
STREAMS = 16
BLOCKS = int(os.environ.get("MICROAGENT_TEST_NETEM_MIB", "128")) // STREAMS  # of a MiB, in each stream
PATIENCE = 600  # seconds for one transfer
WIRE = "delay 300us loss 5% duplicate 1% reorder 25% 50%"  # a quarter overtakes those that are delayed

# The guest's address moves to a namespace behind a pair of devices, so that each direction leaves by a device of its
# own, which is where netem works: eth0 towards the host, `outer` towards the client.
BAD_WIRE = f"""
set -e
IP=/bin/ip TC=/sbin/tc  # by their places: busybox, whose shell this is, has lesser ones of its own
modprobe veth
modprobe sch_netem
gateway=$($IP route | sed -n 's/^default via \\([^ ]*\\).*/\\1/p')
address=$($IP -4 -oneline address show dev eth0 | sed 's/.* inet \\([^/]*\\).*/\\1/')
mac=$($IP neighbour show "$gateway" | sed -n 's/.* lladdr \\([^ ]*\\).*/\\1/p')
mkdir -p /run/netns
$IP netns add client
$IP link add outer type veth peer name inner netns client
$IP address flush dev eth0
$IP link set outer up
$IP route add "$address" dev outer
$IP route add "$gateway" dev eth0
$IP route add default via "$gateway" dev eth0
$IP neighbour replace "$gateway" lladdr "$mac" dev eth0 nud permanent
echo 1 >/proc/sys/net/ipv4/ip_forward
echo 1 >/proc/sys/net/ipv4/conf/outer/proxy_arp
$IP -netns client link set lo up
$IP -netns client address add "$address/32" dev inner
$IP -netns client link set inner up
$IP -netns client route add default dev inner
$TC qdisc add dev eth0 root netem {WIRE}
$TC qdisc add dev outer root netem {WIRE}
"""

# Both ends, one thread a stream. A client says by one letter whether it will send or hear.
SERVE = """
import hashlib, socket, sys, threading

def serve(connection):
    with connection:
        if connection.recv(1) == b"d":
            for _ in range(blocks): connection.sendall(block)
            return
        digest = hashlib.sha256()
        while piece := connection.recv(1 << 18): digest.update(piece)
        connection.sendall(digest.hexdigest().encode())

blocks, block = int(sys.argv[3]), sys.stdin.buffer.read()
listener = socket.create_server((sys.argv[1], int(sys.argv[2])))
print("serving", flush=True)
while True:
    threading.Thread(target=serve, args=(listener.accept()[0],), daemon=True).start()
"""
TRANSFER = """
import hashlib, socket, sys, threading

def up(connection):
    connection.sendall(b"u")
    for _ in range(blocks): connection.sendall(block)
    connection.shutdown(socket.SHUT_WR)
    return connection.makefile().read()

def down(connection):
    connection.sendall(b"d")
    digest = hashlib.sha256()
    while piece := connection.recv(1 << 18): digest.update(piece)
    return digest.hexdigest()

def work():
    with socket.create_connection((sys.argv[1], int(sys.argv[2])), timeout=60) as connection:
        digests.append({"up": up, "down": down}[sys.argv[4]](connection))

blocks, digests, block = int(sys.argv[3]), [], sys.stdin.buffer.read()
threads = [threading.Thread(target=work) for _ in range(int(sys.argv[5]))]
for thread in threads: thread.start()
for thread in threads: thread.join()
print(*digests)
"""


@pytest.fixture(scope="module")
def guest(world, prefix, microagent, workspaces):
    python_guest.install(prefix, microagent, PACKAGES)
    made = workspaces("bad-wire", "--memory", python_guest.MEMORY)
    made.exec("ping", "-c", "1", net.SERVER)  # so that it knows the gateway
    made.shell(BAD_WIRE)
    return made


@pytest.fixture(scope="module")
def server(world):
    process = subprocess.Popen(world.inside(sys.executable, "-c", SERVE, net.SERVER, str(PORT), str(BLOCKS)),
                               stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    process.stdin.write(body(MIB))
    process.stdin.close()
    assert process.stdout.readline() == b"serving\n"
    yield process
    process.kill()
    process.wait()


def lost(guest):
    """How many packets either device has dropped."""
    told = guest.shell("/sbin/tc -s qdisc show | grep -A 1 netem")
    return [int(count) for count in re.findall(r"dropped (\d+)", told)]


@pytest.mark.parametrize("direction", ["up", "down"])
def test_streams_arrive_whole(guest, server, direction):
    """MICROAGENT_TEST_NETEM_MIB in all; the full measure is 1024."""
    before = lost(guest)
    said = guest.exec("/bin/ip", "netns", "exec", "client", "python3", "-c", TRANSFER, net.SERVER, PORT, BLOCKS,
                      direction, STREAMS, stdin=body(MIB), timeout=PATIENCE).text.split()
    digest = hashlib.sha256()
    for _ in range(BLOCKS):
        digest.update(body(MIB))
    assert said == [digest.hexdigest()] * STREAMS
    assert all(now - then > BLOCKS * STREAMS for now, then in zip(lost(guest), before)), "the wire was good"
