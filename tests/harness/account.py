"""The ordinary user as whom every program of microagent runs."""

import os
import pathlib
import subprocess

NAME = "microagent-test"
UID = 64321  # nobody's; known by name only where the tests cover /etc/passwd (world.py)


class Account:
    def __init__(self, home):
        self.uid, self.gid = self._identity()
        self.home = pathlib.Path(home)
        self.make_directory(self.home)

    @staticmethod
    def _identity():
        """The caller's own, where that is an ordinary user's."""
        if os.getuid() != 0:
            return os.getuid(), os.getgid()
        caller = os.environ.get("MICROAGENT_TEST_USER", f"{UID}:{UID}")
        uid, gid = (int(word) for word in caller.split(":"))
        return uid, gid

    def make_directory(self, path, mode=0o700):
        path.mkdir(mode=mode)
        self.own(path)
        return path

    def own(self, path):
        if os.getuid() == 0:
            os.chown(path, self.uid, self.gid)

    def popen(self, command, env=None, **options):
        """A process of this user, without privilege, with only the environment that a login would give, and `env`."""
        environment = {"PATH": "/usr/local/bin:/usr/bin:/bin", "HOME": str(self.home), "LANG": "C.UTF-8"}
        if "MICROAGENT_QEMU" in os.environ:  # another QEMU than the system's is to be tested
            environment["MICROAGENT_QEMU"] = os.environ["MICROAGENT_QEMU"]
        environment.update(env or {})
        if os.getuid() == 0:
            options.update(user=self.uid, group=self.gid, extra_groups=[])
        options.setdefault("cwd", self.home)
        return subprocess.Popen([str(word) for word in command], env=environment, **options)
