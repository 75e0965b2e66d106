"""Looks for secrets where none may be: the guest's memory, the state directory, command lines and environments."""

import mmap
import os
import pathlib

from harness.processes import processes_of


def scan_bytes(data, secrets):
    return [secret for secret in secrets if data.find(secret.encode()) >= 0]


def scan_file(path, secrets):
    with open(path, "rb") as file:
        if os.fstat(file.fileno()).st_size == 0:
            return []
        with mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ) as data:
            return scan_bytes(data, secrets)


def guest_memory(qemu):
    """The files that hold the guest's memory; there must be one."""
    directory = pathlib.Path(f"/proc/{qemu.pid}/fd")
    files = [path for path in directory.iterdir() if os.readlink(path).startswith("/memfd:")]
    assert files, "QEMU has no memory file"
    return files


def findings(guest, uid, secrets):
    """Where the secrets are, of everything that the guest or another process of the user could read."""
    found = []
    places = guest_memory(guest.processes()["qemu"]) + [p for p in guest.directory.rglob("*") if p.is_file()]
    assert any(path.name == "egress.jsonl" for path in places) and any(path.suffix == ".log" for path in places)
    for path in places:
        found += [(str(path), secret) for secret in scan_file(path, secrets)]
    for process in processes_of(uid):
        for name in ("cmdline", "environ"):
            data = pathlib.Path(f"/proc/{process.pid}/{name}").read_bytes()
            found += [(f"{process.program()} {name}", secret) for secret in scan_bytes(data, secrets)]
    return found
