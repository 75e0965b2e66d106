"""What carries a guest's packets in bench/net.py. A guest is a network namespace; the server stands on the host's side,
at an address that is no loopback one, since some contenders cut loopback short."""

import itertools
import json
import os
import pathlib
import shutil
import socket
import stat
import subprocess
import tempfile

from harness import mediated, tap
from harness.wait import wait_until
from harness.world import run

SERVER, GUEST_PORT, TUN = tap.SERVER, 9001, "/dev/net/tun"
# On the host, where none is an ephemeral one: one that was used lingers, and not every contender takes it again.
PORTS = itertools.count(8100)


def cpu_seconds(pids):
    ticks = 0
    for pid in pids:
        fields = pathlib.Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
        ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


def children_of(pid):
    return [int(child) for child in
            pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split()]


class Contender:
    """A guest and what connects it. `pids` are the processes that do the work: none where the kernel does it."""

    name, server, published = "", SERVER, None  # published: where the host reaches the guest's GUEST_PORT

    def __init__(self, mtu):
        self.mtu, self.namespace, self.process = mtu, tap.Namespace(), None
        tap.set_plain_tcp(self.namespace.run)

    def inside(self, *command):
        return self.namespace.inside(*command)

    def pids(self):
        return [self.process.pid] if self.process else []

    def resident_mib(self):
        """Of the process that moves the packets."""
        for line in pathlib.Path(f"/proc/{self.process.pid}/status").read_text(encoding="ascii").splitlines():
            if line.startswith("VmRSS"):
                return int(line.split()[1]) / 1024
        raise AssertionError("no VmRSS")

    def await_device(self, device):
        wait_until(lambda: "inet " in subprocess.run(self.inside("ip", "address", "show", device), text=True,
                                                     capture_output=True, check=False).stdout, f"{device} is there")

    def close(self):
        if self.process:
            self.process.terminate()
            self.process.wait()
        self.namespace.close()


class Loopback(Contender):
    name, server, published = "loopback", "127.0.0.1", ("127.0.0.1", GUEST_PORT)

    def inside(self, *command):
        return list(map(str, command))


class Veth(Contender):
    name = "veth"
    host, guest = "10.66.1.1", "10.66.1.2"

    def __init__(self, mtu):
        super().__init__(mtu)
        self.connect("veth0", [], self.namespace, self.host, self.guest)
        self.published = (self.guest, GUEST_PORT)

    def connect(self, device, here, there, near, far):
        run(*here, "ip", "link", "add", device, "mtu", self.mtu, "type", "veth", "peer", "name", "eth0", "netns",
            there.pid, "mtu", self.mtu)
        run(*here, "ip", "address", "add", f"{near}/24", "dev", device)
        run(*here, "ip", "link", "set", device, "up")
        there.run("ip", "address", "add", f"{far}/24", "dev", "eth0")
        there.run("ip", "link", "set", "eth0", "up")
        there.run("ip", "route", "add", "default", "via", near)


class Nat(Veth):
    """The kernel's router: a namespace between, that hides the guest behind its own address, and publishes its port."""

    name = "veth + NAT"

    def __init__(self, mtu):
        Contender.__init__(self, mtu)
        self.router, port = tap.Namespace(), next(PORTS)
        self.connect("nat0", [], self.router, "10.66.2.1", "10.66.2.2")
        self.connect("inner", self.router.inside(), self.namespace, "10.66.3.1", "10.66.3.2")
        self.router.run("sysctl", "--quiet", "net.ipv4.ip_forward=1")
        rules = f"""table ip nat {{
            chain post {{ type nat hook postrouting priority 100; oif eth0 masquerade; }}
            chain pre {{ type nat hook prerouting priority -100; iif eth0 tcp dport {port} \\
                         dnat to 10.66.3.2:{GUEST_PORT}; }}
        }}"""
        subprocess.run(self.router.inside("nft", "-f", "-"), input=rules, text=True, check=True)
        self.published = ("10.66.2.2", port)

    def close(self):
        super().close()
        self.router.close()


class Pasta(Contender):
    name = "pasta"
    queue = None

    def __init__(self, mtu):  # pylint: disable=super-init-not-called
        self.published = (SERVER, next(PORTS))
        nobody = ["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups"]
        self.mtu, self.namespace = mtu, tap.Namespace(
            [*nobody, "pasta", "--foreground", "--config-net", "--ipv4-only", "--mtu", mtu, "--interface", "wan",
             "--address", "10.66.4.2", "--netmask", "255.255.255.0", "--gateway", "10.66.4.1", "--ns-ifname", "tap0",
             "--tcp-ports", f"{SERVER}/{self.published[1]}:{GUEST_PORT}", "--"])
        self.process = self.namespace.process
        tap.set_plain_tcp(self.namespace.run)
        self.await_device("tap0")
        if self.queue:
            self.namespace.run("ip", "link", "set", "tap0", "txqueuelen", self.queue)


class TunedPasta(Pasta):
    name, queue = "pasta tuned", 20_000


class Slirp(Contender):
    name = "slirp4netns"

    def __init__(self, mtu):
        super().__init__(mtu)
        self.published = (SERVER, next(PORTS))
        control = f"/tmp/slirp-{os.getpid()}-{self.namespace.pid}.sock"
        words = ["slirp4netns", "--configure", f"--mtu={mtu}", f"--api-socket={control}", self.namespace.pid, "tap0"]
        self.process = subprocess.Popen(list(map(str, words)), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.await_device("tap0")
        wait_until(lambda: os.path.exists(control), "slirp4netns listens")
        with socket.socket(socket.AF_UNIX) as api:
            api.connect(control)
            wanted = {"execute": "add_hostfwd", "arguments": {"proto": "tcp", "host_addr": SERVER,
                      "host_port": self.published[1], "guest_addr": "10.0.2.100", "guest_port": GUEST_PORT}}
            api.sendall(json.dumps(wanted).encode())
            api.shutdown(socket.SHUT_WR)
            answer = api.recv(4096)
            assert b"error" not in answer, answer
        os.unlink(control)


class Mediated(Contender):
    """netd with the mediator in the path, as in a workspace: a policy that allows the server by its address."""

    name = "netd + mediator"
    build = None

    def __init__(self, mtu):  # pylint: disable=super-init-not-called
        self.published = (SERVER, next(PORTS))
        self.scratch = tempfile.TemporaryDirectory()
        egress = {"mode": "broker", "allow": [{"cidr": "198.51.100.0/24"}]}
        self.guest = mediated.MediatedGuest(self.build, self.scratch.name, egress, mtu, [(self.published, GUEST_PORT)])
        self.namespace, self.process, self.mtu = self.guest.namespace, self.guest.netd, mtu

    def pids(self):
        return [self.process.pid, self.guest.mediator.pid]

    def close(self):
        self.guest.close()
        self.scratch.cleanup()


class Netd(Contender):
    name = "netd --tap"
    build = None

    def __init__(self, mtu):  # pylint: disable=super-init-not-called
        self.published = (SERVER, next(PORTS))
        self.guest = tap.TapGuest(self.build, mtu, [f"{SERVER}:{self.published[1]}:{GUEST_PORT}"])
        self.namespace, self.process, self.mtu = self.guest.namespace, self.guest.netd, mtu

    def pids(self):
        return [self.process.pid, *children_of(self.process.pid)]  # the second stands for the mediator

    def close(self):
        self.guest.close()


ALL = {kind.name: kind for kind in (Loopback, Veth, Nat, Pasta, TunedPasta, Slirp, Netd, Mediated)}
NEEDS = {"veth + NAT": "nft", "pasta": "pasta", "pasta tuned": "pasta", "slirp4netns": "slirp4netns"}


def missing(name):
    """Why a contender cannot take part here."""
    tool = NEEDS.get(name)
    return f"{tool} is not installed" if tool and not shutil.which(tool) else None


def let_everybody_make_taps():
    """As most hosts do, since pasta runs as nobody. Where this one does not, a node of our own stands in, in our mounts
    alone."""
    if os.stat(TUN).st_mode & stat.S_IWOTH:
        return
    node = os.path.join(os.environ["MICROAGENT_TEST_SCRATCH"], "tun")
    os.mknod(node, stat.S_IFCHR, os.stat(TUN).st_rdev)
    os.chmod(node, 0o666)
    run("mount", "--bind", node, TUN)


def prepare(sink):
    """The host's side: its address, and a device that leads out, which pasta wants to see."""
    tap.prepare_host()
    let_everybody_make_taps()
    run("ip", "link", "add", "wan", "type", "veth", "peer", "name", "lan", "netns", sink.pid)
    run("ip", "address", "add", "203.0.113.2/24", "dev", "wan")
    run("ip", "link", "set", "wan", "up")
    sink.run("ip", "link", "set", "lan", "up")
    run("ip", "route", "add", "default", "via", "203.0.113.1")
