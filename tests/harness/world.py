"""The networks of the tests: a "host" where microagent runs, and an "internet" beyond it.

    host (this process and microagent)                     internet (internet.py and unbound)
      192.0.2.2/24, 2001:db8::2/64   ── veth ──   192.0.2.1/24, 2001:db8::1/64; also 203.0.113.1, 198.51.100.1

The namespaces have no names: they vanish with the processes in them.
"""

import ctypes
import os
import pathlib
import subprocess
import sys

from harness import account
from harness.wait import wait_until

HOST, HOST6 = "192.0.2.2", "2001:db8::2"
SERVER, SERVER6 = "192.0.2.1", "2001:db8::1"
OTHER_SERVERS = ("203.0.113.1", "198.51.100.1")
RESOLVER = "192.0.2.53"
CREDENTIAL_SERVER = "198.51.100.10"  # see credential_servers.py
# Whom programs ask that nobody has told otherwise. Here, too, they find only the tests' server.
PROVIDERS = ("api.openai.com", "api.anthropic.com", "github.com")
BLACKHOLE, UNREACHABLE = "198.51.100.66", "198.51.100.67"  # silence, and an ICMP error, whatever is sent there
TCP_ECHO = UDP_ECHO = 7
GREETER, TLS_ECHO = 25, 443
DIGEST_PORT, SOURCE_PORT, HTTP_PORT = 9000, 9001, 80  # see internet.py
CLOSED_PORT = 9999

HERE = pathlib.Path(__file__).parent
MS_BIND = 4096

ZONE = f"""
$TTL 300
@ SOA ns.test. root.test. 1 3600 600 86400 60
@ NS ns.test.
ns A {RESOLVER}
one A {OTHER_SERVERS[0]}
two A {OTHER_SERVERS[0]}
elsewhere A {OTHER_SERVERS[1]}
www.denied A {OTHER_SERVERS[0]}
only.denied A {SERVER}
many.denied A {SERVER}
alias CNAME private
private A 10.9.8.7
chain CNAME link
link CNAME one
service HTTPS 1 . alpn=h2 ipv4hint={OTHER_SERVERS[0]} ech=AAECAwQ=
*.many A {OTHER_SERVERS[0]}
short 2 A {OTHER_SERVERS[0]}
"""
ZONE += "".join(f"{name} A {CREDENTIAL_SERVER}\n"
                for name in ("registry", "header", "basic", "query", "placeholder", "oauth", "login"))
UNBOUND = f"""
server:
  interface: {RESOLVER}
  access-control: 0.0.0.0/0 allow
  do-daemonize: no
  username: ""
  chroot: ""
  pidfile: ""
  use-syslog: no
  verbosity: 0
  module-config: "iterator"
  local-zone: "." static
  local-zone: "test." transparent
  local-zone: "example." static
  local-data: "www.example. 300 A {SERVER}"
  local-data: "www.example. 300 AAAA {SERVER6}"
  local-data: "six.example. 300 AAAA {SERVER6}"
  local-data: "two.example. 300 A {OTHER_SERVERS[0]}"
  local-data: "two.example. 300 A {OTHER_SERVERS[1]}"
  local-data: "inside.example. 300 A 10.9.8.7"
"""
# More than fits into a datagram: the answer must come by TCP.
UNBOUND += "".join(f'  local-data: "big.example. 300 A 203.0.113.{i}"\n' for i in range(1, 251))
BIG_ANSWERS = 250
UNBOUND += "".join(f'  local-zone: "{name}." static\n  local-data: "{name}. 300 A {CREDENTIAL_SERVER}"\n'
                   for name in PROVIDERS)
UNBOUND += """
auth-zone:
  name: "test."
  zonefile: "{zone}"
  for-downstream: yes
  for-upstream: no
  fallback-enabled: no
"""


def run(*command, **options):
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, check=False, **options)
    assert done.returncode == 0, f"{' '.join(map(str, command))}: {done.stderr.strip()}"
    return done.stdout


def cover(path, content, scratch):
    """Puts a file of our own over one of the machine's, for this mount namespace alone."""
    own = scratch / pathlib.Path(path).name
    own.write_text(content)
    own.chmod(0o644)
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.mount(str(own).encode(), os.path.realpath(path).encode(), None, MS_BIND, None) != 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()), path)


class World:
    """Made once; needs that pytest runs in namespaces of its own (tests/run)."""

    def __init__(self, scratch):
        self.scratch = scratch
        self._know_user()
        cover("/etc/resolv.conf", f"nameserver {RESOLVER}\n", scratch)
        self.servers = subprocess.Popen([sys.executable, str(HERE / "internet.py")], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, text=True)
        self._expect("alone")
        self._connect()
        self.servers.stdin.write("serve\n")
        self.servers.stdin.flush()
        self._expect("serving")
        self.resolver = self._start_resolver()

    def close(self):
        self.resolver.kill()
        self.resolver.wait()
        self.servers.stdin.close()
        self.servers.wait(10)

    def inside(self, *command):
        """A command's words, to run it in the internet."""
        return ["nsenter", "--target", str(self.servers.pid), "--net", "--", *command]

    def use_resolvers(self, *addresses):
        """What the host's resolv.conf names from now on."""
        (self.scratch / "resolv.conf").write_text("".join(f"nameserver {address}\n" for address in addresses))

    def _know_user(self):
        line = f"{account.NAME}:x:{account.UID}:{account.UID}::/nonexistent:/bin/sh\n"
        cover("/etc/passwd", pathlib.Path("/etc/passwd").read_text() + line, self.scratch)

    def _expect(self, word):
        line = self.servers.stdout.readline().strip()
        assert line == word, f"the internet says {line!r}, not {word!r}"

    def _connect(self):
        pid = self.servers.pid
        run("ip", "link", "set", "lo", "up")
        run("ip", "link", "add", "wan", "type", "veth", "peer", "name", "lan", "netns", pid)
        here, there = ["ip"], self.inside("ip")
        for ip, device, addresses in ((here, "wan", [f"{HOST}/24", f"{HOST6}/64"]),
                                      (there, "lan", [f"{SERVER}/24", f"{RESOLVER}/24", f"{SERVER6}/64"]),
                                      (there, "lo", [f"{address}/32"
                                                     for address in (*OTHER_SERVERS, CREDENTIAL_SERVER)])):
            run(*ip, "link", "set", device, "up")
            for address in addresses:
                # Nobody else has it: no need to ask around for a second.
                nodad = ["nodad"] if ":" in address else []
                run(*ip, "address", "add", address, "dev", device, *nodad)
        run("ip", "route", "add", "default", "via", SERVER)
        run("ip", "route", "add", "default", "via", SERVER6)
        run(*there, "route", "add", "blackhole", BLACKHOLE)
        run(*there, "route", "add", "unreachable", UNREACHABLE)
        run(*self.inside("sysctl", "--quiet", "net.ipv4.ip_forward=1"))
        run("sysctl", "--quiet", "net.ipv4.ping_group_range=0 2147483647")
        # What a plain Debian does, where this kernel lets a namespace choose it.
        allowed = pathlib.Path("/proc/sys/net/ipv4/tcp_allowed_congestion_control").read_text().split()
        control = "cubic" if "cubic" in allowed else "reno"
        run("sysctl", "--quiet", f"net.ipv4.tcp_congestion_control={control}")

    def _start_resolver(self):
        configuration = self.scratch / "unbound.conf"
        zone = self.scratch / "test.zone"
        zone.write_text(ZONE)
        configuration.write_text(UNBOUND.replace("{zone}", str(zone)))
        log = open(self.scratch / "unbound.log", "wb")  # pylint: disable=consider-using-with
        process = subprocess.Popen(self.inside("unbound", "-d", "-c", str(configuration)), stdout=log, stderr=log)

        def answers():
            assert process.poll() is None, (self.scratch / "unbound.log").read_text()
            return f"{RESOLVER}:53" in run(*self.inside("ss", "-Hnlt"))

        wait_until(answers, "unbound listens")
        return process
