"""What /proc says of processes."""

import os
import pathlib

PROC = pathlib.Path("/proc")


class Process:
    def __init__(self, pid):
        self.pid = pid
        self.path = PROC / str(pid)

    def exists(self):
        """A zombie is one no more: nothing but its exit code is left."""
        try:
            return not self.status()["State"].startswith("Z")
        except (FileNotFoundError, ProcessLookupError):
            return False

    def status(self):
        lines = (self.path / "status").read_text().splitlines()
        return {key: value.strip() for key, value in (line.split(":", 1) for line in lines)}

    def words(self):
        """The command line; nothing of a process that has just ended."""
        try:
            return (self.path / "cmdline").read_bytes().decode(errors="replace").split("\0")[:-1]
        except (FileNotFoundError, ProcessLookupError):
            return []

    def program(self):
        return os.path.basename((self.words() or [""])[0])

    def parent(self):
        try:
            return int(self.status()["PPid"])
        except (FileNotFoundError, ProcessLookupError):
            return 0

    def is_supervisor_of(self, workspace):
        words = self.words()
        return "--workspace" in words and words[words.index("--workspace") + 1] == workspace

    def network_namespace(self):
        return os.stat(self.path / "ns" / "net").st_ino

    def interfaces(self):
        """Those of the process's own network namespace."""
        lines = (self.path / "net" / "dev").read_text().splitlines()[2:]
        return [line.split(":")[0].strip() for line in lines]

    def descriptors(self):
        """What each open descriptor leads to: a path, or a word such as socket:[123]."""
        targets = {}
        for entry in (self.path / "fd").iterdir():
            try:
                targets[int(entry.name)] = os.readlink(entry)
            except FileNotFoundError:
                continue
        return targets

    def __repr__(self):
        return f"Process({self.pid}, {self.program() if self.exists() else 'gone'})"


def processes_of(uid):
    """All live processes of a user."""
    found = []
    for entry in PROC.iterdir():
        if not entry.name.isdigit():
            continue
        process = Process(int(entry.name))
        try:
            if process.exists() and int(process.status()["Uid"].split()[0]) == uid:
                found.append(process)
        except (FileNotFoundError, ProcessLookupError):
            continue
    return found


def socket_families(process):
    """The kinds of the process's sockets, by inode: what /proc/net of its namespace calls them."""
    inodes = {target[len("socket:["):-1] for target in process.descriptors().values() if target.startswith("socket:[")}
    kinds = {}
    for kind, column in (("unix", 6), ("tcp", 9), ("tcp6", 9), ("udp", 9), ("udp6", 9), ("icmp", 9), ("icmp6", 9),
                         ("raw", 9), ("raw6", 9), ("packet", 8), ("netlink", 9)):
        table = process.path / "net" / kind
        if not table.exists():
            continue
        for line in table.read_text().splitlines()[1:]:
            words = line.split()
            if len(words) > column and words[column] in inodes:
                kinds[words[column]] = kind
    return kinds, inodes
