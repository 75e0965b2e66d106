"""A world of its own for a program: fresh network, mount and process namespaces, a scratch directory, root's rights."""

import ctypes
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile

FIRST_PROCESS = pathlib.Path(__file__).resolve().parent / "first_process.py"
TEST_ROOT = pathlib.Path(__file__).resolve().parents[2] / "tools" / "test-root"
PR_SET_PDEATHSIG = 1
UNSHARE = ["unshare", "--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"]


def become_root():
    """Runs this program again by sudo; returns where there is none, or it asks for a password."""
    may = shutil.which("sudo") and subprocess.run(["sudo", "-n", "true"], capture_output=True, check=False)
    if not may or may.returncode != 0:
        return
    names = ("MICROAGENT_BUILD", "MICROAGENT_QEMU", "TMPDIR")
    kept = [f"{name}={os.environ[name]}" for name in names if name in os.environ]
    identity = f"MICROAGENT_TEST_USER={os.getuid()}:{os.getgid()}"
    os.execvp("sudo", ["sudo", "-n", "env", *kept, identity, sys.executable, *sys.argv])


def why_not_alone():
    """The reason why there can be no world of our own; nothing where there can."""
    if os.getuid() != 0:
        return "this needs root, or sudo without a password"
    tried = subprocess.run([*UNSHARE, "true"], capture_output=True, text=True, check=False)
    return tried.stderr.strip() if tried.returncode != 0 else None


def die_with_parent():
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def run(command, environment):
    # Killed with us, it takes its world along (--kill-child).
    child = subprocess.Popen(command, env=environment, preexec_fn=die_with_parent)
    # A tired ctest or person asks us to go: the world goes, and we stay to tidy up. (unshare hears of no SIGTERM.)
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda number, frame: child.kill())
    return child.wait()


def fetch_test_root():
    """Fetches what guests need while there is still a way to Debian's archive: the world to come has none. Without one,
    the tests that need such a guest fail, and say so; the others run."""
    subprocess.run([sys.executable, str(TEST_ROOT)], check=False)


def stay_only_alone(script):
    """Returns in a world of its own; elsewhere `script` is run again in one, and this process ends as that does."""
    if "MICROAGENT_TEST_ALONE" not in os.environ:
        sys.exit(run_alone([str(script), *sys.argv[1:]]))
    if os.environ["MICROAGENT_TEST_ALONE"]:
        sys.exit(f"{script}: no namespaces of our own: {os.environ['MICROAGENT_TEST_ALONE']}")


def run_alone(command):
    """Runs a Python program's words, alone in a world where that can be had; the environment says why where not. Gives
    its exit code."""
    if os.getuid() != 0:
        become_root()
    reason = why_not_alone()
    fetch_test_root()
    # Its path is short, and open for the ordinary user whatever the build directory is.
    scratch = tempfile.mkdtemp(prefix="microagent-e2e.")
    os.chmod(scratch, 0o755)
    environment = dict(os.environ, MICROAGENT_TEST_SCRATCH=scratch, MICROAGENT_TEST_ALONE=reason or "",
                       PYTHONDONTWRITEBYTECODE="1")
    words = [sys.executable, *command]
    try:
        return run(words if reason else [*UNSHARE, sys.executable, str(FIRST_PROCESS), *words], environment)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
