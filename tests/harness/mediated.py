"""netd on a tap with the real mediator behind it, and no guest, no QEMU: this process stands in for the supervisor. The
messages are those of src/flow/messages.h."""

import array
import fcntl
import ipaddress
import json
import os
import pathlib
import socket
import struct
import subprocess
import threading

from harness import tap
from harness.wait import wait_until

HEADER = struct.Struct("=HHIQ")  # version, type, trailing bytes, flow
CONFIGURE = struct.Struct("=6s6s4s4sBBH16sQ16s16sBB6x")
ENDPOINT = struct.Struct("=16sIB3x")
DIAL = struct.Struct("=24sIB3x")
ATTACH = struct.Struct("=B7x")
VERSION, DIAL_TYPE, CONFIGURE_TYPE, ATTACH_TYPE, READY_TYPE, STARTED_TYPE = 1, 20, 30, 31, 40, 41
TAP_DEVICE, TCP, DIALLED = 3, 6, 1 << 63
TUNSETOFFLOAD, TUNSETVNETHDRSZ, TUNSETVNETLE = 0x400454D0, 0x400454D8, 0x400454DC
TUN_F_CSUM, TUN_F_TSO4, TUN_F_TSO6, TUN_F_USO4, TUN_F_USO6 = 1, 2, 4, 32, 64
FAMILIES = {socket.AF_INET: 4, socket.AF_INET6: 6}


def packed(address):
    return ipaddress.ip_address(address).packed


def message(kind, body, flow=0):
    return HEADER.pack(VERSION, kind, 0, flow) + body


def configuration(mtu):
    mac = bytes.fromhex(tap.GUEST_MAC.replace(":", ""))
    return CONFIGURE.pack(mac, bytes.fromhex("026d61000001"), packed(tap.GUEST), packed(tap.GATEWAY), 24, 1, mtu,
                          packed(tap.GATEWAY), 0, packed(tap.GUEST6), packed(tap.GATEWAY6), 64, 1)


def sealed_file(data):
    """What the mediator reads its configuration from."""
    file = os.memfd_create("config", os.MFD_CLOEXEC)
    os.write(file, data)
    return file


def set_up_offloads(device):
    """What microagent-netd --tap does with a tap before it serves it: 12 bytes of header, little endian, checksums and
    segmentation left to us."""
    fcntl.ioctl(device, TUNSETVNETHDRSZ, struct.pack("i", 12))
    fcntl.ioctl(device, TUNSETVNETLE, struct.pack("i", 1))
    tcp = TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6
    try:
        fcntl.ioctl(device, TUNSETOFFLOAD, tcp | TUN_F_USO4 | TUN_F_USO6)
    except OSError:  # before Linux 6.2
        fcntl.ioctl(device, TUNSETOFFLOAD, tcp)


class MediatedGuest(tap.NamespaceGuest):
    """A namespace behind netd, and the mediator with a policy behind that. `publish`: pairs of the host's (address,
    port) and the guest's port; `resolvers`: whom the mediator asks for names; `trust`: certificates in PEM that vouch
    for servers, beside the host's own."""

    def __init__(self, build, scratch, egress, mtu=1500, publish=(), resolvers=(), trust=()):
        super().__init__(mtu)
        self.audit_file = pathlib.Path(scratch) / "audit.jsonl"
        self.authority = self.audit_file.parent / "egress-ca-key.pem"  # and its certificate, where TLS is intercepted
        self.settings = {"egress": egress, "trust": list(trust)}
        self.resolvers = list(resolvers)
        self.dialled = DIALLED
        self.supervisor, for_netd = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.control, for_mediator = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        for_verdicts, of_mediator = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        for one in (for_verdicts, of_mediator, for_netd, for_mediator):
            one.setblocking(False)
        self.mediator = self.start_mediator(build, for_mediator, of_mediator)
        self.netd = subprocess.Popen(
            [build / "bin" / "microagent-netd", "--supervisor-fd", str(for_netd.fileno()), "--mediator-fd",
             str(for_verdicts.fileno())], pass_fds=[for_netd.fileno(), for_verdicts.fileno()],
            stderr=subprocess.DEVNULL)
        for one in (for_verdicts, of_mediator, for_netd, for_mediator):
            one.close()
        self.supervisor.settimeout(30)
        self.expect(READY_TYPE)
        self.supervisor.send(message(CONFIGURE_TYPE, configuration(mtu)))
        set_up_offloads(self.tap)
        self.send_with(message(ATTACH_TYPE, ATTACH.pack(TAP_DEVICE)), self.take_tap())
        self.expect(STARTED_TYPE)
        self.supervisor.settimeout(None)
        threading.Thread(target=self.drain, args=(self.supervisor,), daemon=True).start()
        self.listeners = [self.publish(host, guest_port) for host, guest_port in publish]

    def start_mediator(self, build, control, verdicts):
        config = sealed_file(json.dumps({
            "workspace": "tap", "mode": "user", "auditFile": str(self.audit_file), **self.settings,
            "network": {"ip": f"{tap.GUEST}/24", "subnet": "192.168.64.0/24", "gateway": tap.GATEWAY,
                        "dns": self.resolvers}}).encode())
        passed = [config, control.fileno(), verdicts.fileno()]
        flags = ("--config-fd", "--supervisor-fd", "--netd-fd")
        words = [str(word) for pair in zip(flags, passed) for word in pair]
        process = subprocess.Popen([build / "bin" / "microagent-mediator", *words], pass_fds=passed,
                                   stderr=subprocess.DEVNULL)
        os.close(config)
        threading.Thread(target=self.drain, args=(self.control,), daemon=True).start()
        return process

    @staticmethod
    def drain(channel):
        """What the two report is of no interest, but must not pile up."""
        try:
            while channel.recv(1 << 17):
                pass
        except OSError:
            pass

    def expect(self, kind):
        _, told, _, _ = HEADER.unpack_from(self.supervisor.recv(1 << 17))
        assert told == kind, (told, kind)

    def send_with(self, data, descriptor):
        self.supervisor.sendmsg([data], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [descriptor]))])
        os.close(descriptor)

    def publish(self, host, guest_port):
        family = socket.AF_INET6 if ":" in host[0] else socket.AF_INET
        listener = socket.create_server(host, family=family, backlog=4096)
        threading.Thread(target=self.accept_all, args=(listener, guest_port), daemon=True).start()
        return listener

    def accept_all(self, listener, guest_port):
        while True:
            try:
                connection, peer = listener.accept()
            except OSError:
                return
            self.dialled += 1
            asks = ENDPOINT.pack(packed(peer[0]).ljust(16, b"\0"), peer[1], FAMILIES[connection.family])
            self.send_with(message(DIAL_TYPE, DIAL.pack(asks, guest_port, TCP), self.dialled), connection.detach())

    def wait_for_records(self, count, **wanted):
        """The records of the audit log that have these fields."""
        found = []

        def enough():
            found[:] = [record for record in map(json.loads, self.audit_file.read_text("utf-8").splitlines())
                        if all(record.get(key) == value for key, value in wanted.items())]
            return len(found) >= count

        wait_until(enough, f"{count} records with {wanted}")
        return found

    def close(self):
        for listener in self.listeners:
            listener.shutdown(socket.SHUT_RDWR)
            listener.close()
        self.mediator.kill()
        self.mediator.wait()
        super().close()
        self.supervisor.close()
        self.control.close()
