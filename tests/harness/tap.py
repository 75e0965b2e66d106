"""A guest that is only a network namespace, behind `microagent-netd --tap`: fast, and its kernel is this machine's.

    host (this process, netd)                               guest (a namespace)
      198.51.100.1, 2001:db8:5::1 on lo    ── netd ──      tap0 192.168.64.2/24, fd12:3456:789a::2/64
"""

import ctypes
import fcntl
import os
import pathlib
import socket
import struct
import subprocess
import sys
import threading

from harness.wait import wait_until
from harness.world import run

SERVER = "198.51.100.1"  # of the host's own, and no loopback address: some contenders cut loopback short
SERVER6 = "2001:db8:5::1"
GUEST, GATEWAY, GUEST_MAC = "192.168.64.2", "192.168.64.1", "02:6d:61:00:00:02"
GUEST6, GATEWAY6 = "fd12:3456:789a::2", "fd12:3456:789a::1"
CLONE_NEWNET = 0x40000000
TUNSETIFF, IFF_TAP, IFF_NO_PI, IFF_VNET_HDR = 0x400454CA, 0x0002, 0x1000, 0x4000
LIBC = ctypes.CDLL(None, use_errno=True)


class Namespace:
    """A network namespace that lasts as long as its one idle process, which `maker` starts in it."""

    def __init__(self, maker=("unshare", "--net", "--")):
        self.process = subprocess.Popen([*map(str, maker), "sh", "-c", "echo ready; exec sleep infinity"],
                                        stdout=subprocess.PIPE, text=True)
        assert self.process.stdout.readline() == "ready\n"
        children = pathlib.Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text("ascii").split()
        self.pid = int(children[0]) if children else self.process.pid
        run(*self.inside("ip", "link", "set", "lo", "up"))

    def inside(self, *command):
        return ["nsenter", "--target", str(self.pid), "--net", "--", *map(str, command)]

    def run(self, *command):
        return run(*self.inside(*command))

    def make_tap(self, name):
        """A tap device of this namespace, and the descriptor of its other end."""
        made = []

        def work():  # in a thread of its own: a namespace is a thread's
            with open(f"/proc/{self.pid}/ns/net", "rb") as namespace:
                if LIBC.setns(namespace.fileno(), CLONE_NEWNET) != 0:
                    raise OSError(ctypes.get_errno(), "setns")
            tap = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
            fcntl.ioctl(tap, TUNSETIFF, struct.pack("16sH22x", name.encode(), IFF_TAP | IFF_NO_PI | IFF_VNET_HDR))
            made.append(tap)

        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
        assert made, f"no tap {name}"
        return made[0]

    def close(self):
        self.process.kill()
        self.process.wait()


def prepare_host():
    """The host's side, once: its address, and what a busy client needs."""
    run("ip", "link", "set", "lo", "up")
    run("ip", "address", "replace", f"{SERVER}/32", "dev", "lo")
    run("ip", "address", "replace", f"{SERVER6}/128", "dev", "lo")
    set_plain_tcp(run)


def set_plain_tcp(runner):
    runner("sysctl", "--quiet", "net.ipv4.ip_local_port_range=10000 65000", "net.ipv4.tcp_tw_reuse=1",
           "net.ipv4.ping_group_range=0 2147483647")
    allowed = pathlib.Path("/proc/sys/net/ipv4/tcp_allowed_congestion_control").read_text(encoding="ascii").split()
    control = "cubic" if "cubic" in allowed else "reno"
    runner("sysctl", "--quiet", f"net.ipv4.tcp_congestion_control={control}", "net.ipv4.tcp_rmem=4096 131072 6291456",
           "net.ipv4.tcp_wmem=4096 16384 4194304")


class NamespaceGuest:
    """A namespace with a tap, and behind it whatever becomes `netd`."""

    netd = None

    def __init__(self, mtu):
        self.namespace = Namespace()
        self.tap = self.namespace.make_tap("tap0")
        self.run, self.inside = self.namespace.run, self.namespace.inside
        set_plain_tcp(self.run)
        self.run("ip", "link", "set", "tap0", "address", GUEST_MAC, "mtu", mtu, "up")
        self.run("ip", "address", "add", f"{GUEST}/24", "dev", "tap0")
        self.run("ip", "route", "add", "default", "via", GATEWAY)
        self.run("ip", "address", "add", f"{GUEST6}/64", "dev", "tap0", "nodad")
        self.run("ip", "route", "add", "default", "via", GATEWAY6)

    def take_tap(self):
        """Its descriptor is the caller's from now on."""
        taken, self.tap = self.tap, None
        return taken

    def status(self, field):
        """Of netd itself; its child, which stands for the mediator, is another process."""
        for line in pathlib.Path(f"/proc/{self.netd.pid}/status").read_text(encoding="ascii").splitlines():
            name, _, value = line.partition(":")
            if name == field:
                return value.split()[0]
        raise AssertionError(f"no {field}")

    def resident(self):
        """Bytes."""
        return int(self.status("VmRSS")) * 1024

    def private(self):
        """Bytes that are netd's own: neither the program's text nor its libraries'."""
        return int(self.status("RssAnon")) * 1024

    def wake_ups(self):
        return int(self.status("voluntary_ctxt_switches"))

    def client(self, script, *arguments, **options):
        """A Python program inside."""
        return subprocess.Popen(self.inside(sys.executable, "-c", script, *arguments), stdin=subprocess.PIPE,
                                stdout=subprocess.PIPE, text=True, **options)

    def close(self):
        self.netd.kill()
        self.netd.wait()
        self.namespace.close()


class TapGuest(NamespaceGuest):
    """A namespace behind `microagent-netd --tap`."""

    def __init__(self, build, mtu=1500, publish=()):
        super().__init__(mtu)
        words = [build / "bin" / "microagent-netd", "--tap", self.tap, "--mtu", mtu, "--guest6", f"{GUEST6}/64",
                 "--gateway6", GATEWAY6]
        for mapping in publish:
            words += ["--publish", mapping]
        self.netd = subprocess.Popen(list(map(str, words)), pass_fds=[self.tap], stderr=subprocess.DEVNULL)
        os.close(self.take_tap())
        wait_until(lambda: self.status("Seccomp") == "2", "netd is in its sandbox")


class Holder:
    """A server on the host that accepts and holds connections, so that they are idle."""

    def __init__(self, port):
        self.listener = socket.create_server((SERVER, port), backlog=4096)
        self.held = []
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                self.held.append(self.listener.accept()[0])
            except OSError:
                return

    def close(self):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        for connection in self.held:
            connection.close()
