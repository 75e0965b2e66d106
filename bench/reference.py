"""The guest that our figures are compared with: the same kernel, base image, machine and processor, but QEMU's own user
network, and a shell in place of our init, which is driven over the serial console."""

import os
import pathlib
import select
import subprocess
import time

PROMPT = b"\nbench-is-ready\n"
BOOT_TIMEOUT = 60
ADDRESS = "10.0.2.15"

# What our init does, in as far as the measurements need it.
INIT = """#!/bin/busybox sh
export PATH=/bin:/sbin:/usr/bin:/usr/sbin
mount -t devtmpfs dev /dev; mount -t proc proc /proc; mount -t sysfs sys /sys; mount -t tmpfs tmp /tmp
while read occasion path; do insmod $path; done </lib/microagent/modules
ip link set lo up; ip link set eth0 up
ip address add {address}/24 dev eth0; ip route add default via 10.0.2.2
stty -echo -onlcr <>/dev/console
PS1= PS2= exec sh </dev/console >/dev/console 2>&1
"""


def cpio_entry(name, mode, content):
    """One file of the `newc` format (cpio(5))."""
    def pad(data):
        return data + b"\0" * (-len(data) % 4)

    encoded = name.encode() + b"\0"
    fields = [0, mode, 0, 0, 1, 0, len(content), 0, 0, 0, 0, len(encoded), 0]
    return pad(b"070701" + b"".join(b"%08X" % field for field in fields) + encoded) + pad(content)


def compose_initrd(base, tool, target):
    """The base image, and behind it an archive with our script and the tool."""
    data = base.read_bytes()
    target.write_bytes(data + b"\0" * (-len(data) % 4) + cpio_entry("bench", 0o40755, b"")
                       + cpio_entry("bench/init", 0o100755, INIT.format(address=ADDRESS).encode())
                       + cpio_entry("bench/netpipe", 0o100755, tool.read_bytes()) + cpio_entry("TRAILER!!!", 0, b""))
    target.chmod(0o644)


def command(ours, initrd, ports):
    """Our QEMU's words, `ours`, with its channels and devices replaced by QEMU's own network; `ports` maps those of the
    host to those of the guest."""
    kept, words = [ours[0]], iter(ours[1:])
    for word in words:
        if word in ("-nodefaults", "-no-user-config", "-no-reboot"):
            kept.append(word)
            continue
        value = next(words)
        if word in ("-chardev", "-mon", "-device", "-netdev", "-serial"):
            continue
        if word == "-initrd":
            value = str(initrd)
        if word == "-append":
            value += " rdinit=/bench/init"
        kept += [word, value]
    forwards = "".join(f",hostfwd=tcp:127.0.0.1:{host}-:{guest}" for host, guest in ports.items())
    return [*kept, "-chardev", "stdio,id=console,signal=off", "-serial", "chardev:console", "-netdev",
            f"user,id=net{forwards}", "-device", "virtio-net-device,netdev=net"]


class ReferenceGuest:
    def __init__(self, account, command):
        self.begun = time.monotonic()
        self.process = account.popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        self.seen = b""

    def wait_until_ready(self):
        """Seconds from QEMU's start to a shell whose network is set up."""
        self.run("true", timeout=BOOT_TIMEOUT)
        return time.monotonic() - self.begun

    def run(self, command, timeout=60):
        """What the command writes. The shell may not listen yet: what it is sent waits for it."""
        self.process.stdin.write(f"{command}\necho; echo bench-is-ready\n".encode())
        self.process.stdin.flush()
        return self._read_to_prompt(time.monotonic() + timeout)

    def _read_to_prompt(self, deadline):
        while PROMPT not in self.seen:
            ready, _, _ = select.select([self.process.stdout], [], [], max(0.0, deadline - time.monotonic()))
            data = os.read(self.process.stdout.fileno(), 65536) if ready else b""
            if not data:
                raise RuntimeError(f"the reference guest does not answer; it said {self.seen[-2000:]!r}")
            self.seen += data.replace(b"\r", b"")
        text, _, self.seen = self.seen.partition(PROMPT)
        return text.decode(errors="replace")

    def end(self):
        self.process.kill()
        self.process.communicate()


def words_of(pid):
    """The command line of a process."""
    return [word.decode() for word in pathlib.Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")[:-1]]
