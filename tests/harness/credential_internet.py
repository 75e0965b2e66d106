"""The server of the tests' internet that wants credentials (credential_servers.py): its secrets, what it has seen, and
whether a guest has ever held one."""

import json
import os
import pathlib
import secrets
import subprocess
import sys

from harness import world as net
from harness.certificates import Certificates
from harness.wait import wait_until

PROGRAM = pathlib.Path(__file__).parent / "credential_servers.py"
PORT = 443
NAMES = ("openai", "anthropic", "github", "npm", "header", "basic", "query", "placeholder", "client", "token")
HOSTS = (*net.PROVIDERS, *(f"{name}.test" for name in ("registry", "header", "basic", "query", "placeholder", "oauth",
                                                       "login")))
MEMORY = "memfd:memory-backend-memfd"
STEP = 16 * 1024 * 1024


class CredentialInternet:
    def __init__(self, world, directory):
        directory.mkdir()
        directory.chmod(0o755)
        self.directory, self.log = directory, directory / "requests.jsonl"
        certificates = Certificates(directory / "certificates")
        (directory / "certificates").chmod(0o755)
        self.root = certificates.root
        self.root.chmod(0o644)
        certificate, key = certificates.make("credentials", *HOSTS)
        self.credentials = {name: f"test-{name}-{secrets.token_hex(16)}" for name in NAMES}
        self.repositories = directory / "repositories"
        self.repositories.mkdir()
        settings = {"address": net.CREDENTIAL_SERVER, "port": PORT, "certificate": str(certificate), "key": str(key),
                    "log": str(self.log), "directory": str(self.repositories), "credentials": self.credentials}
        self.process = subprocess.Popen(world.inside(sys.executable, PROGRAM, json.dumps(settings)))

        def listens():
            assert self.process.poll() is None, "the server that wants credentials has ended"
            return f"{net.CREDENTIAL_SERVER}:{PORT} " in net.run(*world.inside("ss", "-Hnlt"))

        wait_until(listens, "the server that wants credentials listens")

    def close(self):
        self.process.kill()
        self.process.wait()

    def seen(self, host):
        """The requests for a host, so far."""
        lines = [json.loads(line) for line in self.log.read_text().splitlines()]
        return [line for line in lines if line["host"] == host]


def find_in_memory(workspace, needles):
    """Which of the byte strings stand in the guest's memory: what it holds, and what of it is not written over yet."""
    qemu = workspace.processes()["qemu"].pid
    places = [f"/proc/{qemu}/fd/{fd}" for fd in os.listdir(f"/proc/{qemu}/fd")]
    [memory] = {os.stat(place).st_ino: place for place in places if MEMORY in os.readlink(place)}.values()
    longest = max(map(len, needles))
    found = set()
    with open(memory, "rb") as file:
        size = os.fstat(file.fileno()).st_size
        position = 0
        while position < size:
            try:
                begin = os.lseek(file.fileno(), position, os.SEEK_DATA)
            except OSError:
                break  # only holes are left
            end = os.lseek(file.fileno(), begin, os.SEEK_HOLE)
            tail = b""
            for offset in range(begin, end, STEP):
                chunk = tail + os.pread(file.fileno(), min(STEP, end - offset), offset)
                found.update(needle for needle in needles if needle in chunk)
                tail = chunk[-longest:]
            position = end
    return found
