"""QEMU's monitor, as its supervisor has it: to do to a guest what no command does."""

import ctypes
import os

from harness.world import run

SYS_PIDFD_GETFD = 438


def tell(workspace, command):
    """Says a QMP command to the workspace's QEMU, over the supervisor's own descriptor."""
    processes = workspace.processes()
    theirs = processes["qemu"].descriptors()[_monitor_place(processes["qemu"].words())]
    supervisor = processes["supervisor"]
    place = next(number for number, target in supervisor.descriptors().items() if target == _peer_of(theirs))
    process = os.pidfd_open(supervisor.pid)
    descriptor = ctypes.CDLL(None, use_errno=True).syscall(SYS_PIDFD_GETFD, process, place, 0)
    assert descriptor >= 0, os.strerror(ctypes.get_errno())
    os.write(descriptor, b'{"execute":"%s"}\n' % command.encode())
    os.close(descriptor)
    os.close(process)


def _monitor_place(words):
    chardev = next(word for word in words if word.startswith("socket,id=qmp,"))
    return int(chardev.rpartition("fd=")[2])


def _peer_of(target):
    """Of one end of a socket pair the other, in the words of /proc: socket:[INODE]."""
    inode = target.removeprefix("socket:[").removesuffix("]")
    for line in run("ss", "-Hx").splitlines():
        words = line.split()
        if words[-3] == inode:
            return f"socket:[{words[-1]}]"
    raise AssertionError(f"{target} has no peer")
