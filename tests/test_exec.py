"""exec: streams, codes, signals, terminals, bounds."""

import base64
import fcntl
import hashlib
import os
import pty
import re
import signal
import struct
import subprocess
import termios

import pytest
from harness.wait import wait_until

MIB = 1 << 20
PATIENCE = 60  # the guest is emulated


@pytest.fixture(scope="module")
def web(workspaces):
    return workspaces("web", "--network", "isolated", "--env", "COLOUR=red")


def test_streams_stay_apart(web):
    done = web.exec("sh", "-c", "echo out; echo err >&2; exit 7", code=7)
    assert (done.out, done.err) == (b"out\n", b"err\n")
    record = web.microagent.json("exec", "web", "--", "sh", "-c", "echo out; echo err >&2; exit 7", code=7)
    assert (record["exitCode"], record["stdout"], record["stderr"]) == (7, "out\n", "err\n")


def test_a_record_loses_no_byte(web):
    """What is no text comes in base64, each stream for itself."""
    script = r"printf 'a\377\000\376'; echo err >&2"
    record = web.microagent.json("exec", "web", "--", "sh", "-c", script)
    assert base64.b64decode(record["stdoutBase64"]) == b"a\377\000\376" and record["stderr"] == "err\n"
    assert "stdout" not in record and "stderrBase64" not in record


def test_no_shell_reads_the_words(web):
    words = ["$HOME", "a b", "*", "", "'\"", "--json", "ä"]
    assert web.exec("printf", "%s\\n", *words).text.splitlines() == words


def test_codes_and_signals(web):
    web.exec("true")
    web.exec("sh", "-c", "exit 255", code=255)
    web.exec("sh", "-c", "kill -9 $$", code=128 + signal.SIGKILL)
    web.exec("sh", "-c", "kill -TERM $$", code=128 + signal.SIGTERM)
    assert "no-such-program" in web.exec("no-such-program", code=127).err_text
    web.exec("/etc/passwd", code=126)


def test_environment_and_directory(web):
    script = "echo $COLOUR $SHAPE; pwd"
    assert web.shell(script).splitlines() == ["red", "/"]
    flags = ("--env", "SHAPE=round", "-e", "COLOUR=blue", "--workdir", "/tmp")
    assert web.shell(script, flags=flags).splitlines() == ["blue round", "/tmp"]
    assert web.exec("true", code=126, flags=("-w", "/nowhere")).err_text


def test_standard_input(web):
    data = os.urandom(3 * MIB)
    assert web.exec("sha256sum", stdin=data).text.split()[0] == hashlib.sha256(data).hexdigest()
    assert web.exec("cat", stdin=b"").out == b""
    # A command that does not read it does not stop the show.
    assert web.exec("echo", "done", stdin=data).text == "done\n"
    assert web.exec("cat", stdin=data, flags=("--no-stdin",)).out == b""


def test_much_output_and_no_growth(web):
    """The host takes nothing until everybody waits; nobody gathers it."""
    total = 128 * MIB
    process = web.spawn("dd", "if=/dev/zero", "bs=64k", f"count={total >> 16}")
    netd = web.processes()["netd"]
    wait_until_it_stands(web, "dd")
    seen, largest = 0, max(resident(process.pid), resident(netd.pid))
    while data := process.stdout.read1(MIB):
        seen += len(data)
        assert not data.strip(b"\0")
        if seen % (4 * MIB) < len(data):
            largest = max(largest, resident(process.pid), resident(netd.pid))
    assert seen == total and process.wait(30) == 0
    assert 0 < largest < 16 * MIB


def wait_until_it_stands(web, name):
    """Until the one command of this name has written something, and from one look to the next nothing more."""
    looks = [0]

    def look():
        looks.append(int(web.shell(f"awk '/^wchar/ {{ print $2 }}' /proc/$(pidof {name})/io")))
        return looks[-1] > 0 and looks[-1] == looks[-2]

    wait_until(look, f"{name} stands still", PATIENCE)


def resident(pid):
    """A process's own memory in bytes; none where the process has ended and only waits to be asked how."""
    with open(f"/proc/{pid}/status", encoding="ascii") as status:
        found = re.search(r"RssAnon:\s+(\d+) kB", status.read())
    return int(found[1]) * 1024 if found else 0


def test_nobody_reads_the_output(web):
    process = web.spawn("sh", "-c", "dd if=/dev/zero bs=64k count=1000; echo >/tmp/written")
    wait_until(lambda: "dd if=" in web.shell("ps"), "the command runs", PATIENCE)
    wait_until_it_stands(web, "dd")
    web.shell("[ ! -e /tmp/written ]")
    process.stdout.close()
    assert process.wait(PATIENCE) != 0
    wait_until(lambda: "dd if=" not in web.shell("ps"), "the command is ended", PATIENCE)


def test_timeout(web):
    done = web.exec("sleep", "611", code=124, flags=("--timeout", "1.5"))
    assert "took longer than 1.5 s" in done.err_text
    wait_until(lambda: "sleep 611" not in web.shell("ps"), "the command is killed", PATIENCE)
    record = web.microagent.json("exec", "--timeout", "1", "web", "--", "sleep", "611", code=124)
    assert record["exitCode"] == 124 and record["timedOut"] is True
    web.exec("true", flags=("--timeout", "60"))


def test_a_killed_client_takes_its_command_along(web):
    process = web.spawn("sleep", "612")
    wait_until(lambda: "sleep 612" in web.shell("ps"), "the command runs", PATIENCE)
    process.kill()
    process.wait()
    wait_until(lambda: "sleep 612" not in web.shell("ps"), "the command is killed", PATIENCE)


def test_signals_are_passed_on(web):
    process = web.spawn("sh", "-c", "trap 'echo caught; exit 9' INT; echo ready; while :; do usleep 10000; done")
    assert process.stdout.readline() == b"ready\n"
    process.send_signal(signal.SIGINT)
    assert process.communicate(timeout=PATIENCE)[0] == b"caught\n"
    assert process.returncode == 9


def test_sixty_four_at_once(web):
    processes = [web.spawn("sh", "-c", f"read line; echo {i} $line", stdin=subprocess.PIPE) for i in range(64)]
    for i, process in enumerate(processes):
        out, err = process.communicate(f"line-{i}\n".encode(), timeout=120)
        assert (out, err, process.returncode) == (f"{i} line-{i}\n".encode(), b"", 0)


# The shell may ask the terminal where its cursor is.
PROMPT = r"# (\x1b\[6n)?$"


class Terminal:
    """The command with a terminal of this size around it."""

    def __init__(self, web, *words, rows=31, columns=97):
        self.master, slave = pty.openpty()
        self.resize(rows, columns)
        self.process = web.microagent.popen("exec", "-t", "web", "--", *words, stdin=slave, stdout=slave, stderr=slave,
                                            env={"TERM": "vt100"}, start_new_session=True)
        self.slave, self.seen = slave, b""

    def resize(self, rows, columns):
        fcntl.ioctl(self.master, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def type(self, text):
        os.write(self.master, text.encode())

    def expect(self, pattern, timeout=PATIENCE):
        os.set_blocking(self.master, False)

        def look():
            try:
                self.seen += os.read(self.master, 65536)
            except BlockingIOError:
                pass
            return re.search(pattern.encode(), self.seen)

        found = wait_until(look, f"the terminal shows {pattern}", timeout)
        self.seen = self.seen[found.end():]
        return found


@pytest.fixture
def terminal(web):
    made = []

    def make(*words, **options):
        made.append(Terminal(web, *words, **options))
        return made[-1]

    yield make
    for one in made:
        if one.process.poll() is None:
            one.process.kill()
        one.process.wait()
        os.close(one.master)
        os.close(one.slave)


def test_a_terminal(terminal):
    shell = terminal("sh")
    shell.expect(PROMPT)
    shell.type("tty; stty size; echo $TERM\n")
    shell.expect(r"/dev/pts/\d+\r\n31 97\r\nvt100\r\n")
    settings = termios.tcgetattr(shell.slave)
    assert not settings[3] & (termios.ECHO | termios.ICANON | termios.ISIG), "every key goes to the guest"
    # The command itself says when it has the terminal: before, the shell takes a ^C for a key.
    shell.type("echo began-$((600 + 13)); sleep 613\n")
    shell.expect("began-613")
    shell.type("\003")
    shell.expect(PROMPT)
    shell.type("exit 5\n")
    assert shell.process.wait(PATIENCE) == 5
    settings = termios.tcgetattr(shell.slave)
    assert settings[3] & termios.ECHO and settings[3] & termios.ICANON, "the terminal is as it was"


def test_a_terminal_changes_its_size(terminal):
    shell = terminal("sh", "-c", "trap 'stty size' WINCH; echo ready; while :; do usleep 10000; done")
    shell.expect("ready")
    shell.resize(40, 120)
    os.kill(shell.process.pid, signal.SIGWINCH)
    shell.expect("40 120")


def test_a_terminal_s_shell_ends_with_its_client(web, terminal):
    shell = terminal("sh")
    shell.expect(PROMPT)
    shell.type("sleep 614\n")
    wait_until(lambda: "sleep 614" in web.shell("ps"), "the command runs", PATIENCE)
    shell.process.kill()
    wait_until(lambda: "sleep 614" not in web.shell("ps"), "the terminal has hung up", PATIENCE)


def test_words_that_make_no_sense(web):
    for words, said in ((["exec", "web"], "there is no command to run"),
                        (["exec", "-e", "NOVALUE", "web", "--", "true"], "no name or no value"),
                        (["exec", "-w", "tmp", "web", "--", "true"], "not absolute"),
                        (["exec", "--timeout", "0", "web", "--", "true"], "--timeout"),
                        (["exec", "-t", "-n", "web", "--", "true"], "--no-stdin")):
        assert said in web.microagent.refuses(*words)["message"]
    error = web.microagent.run("--json", "exec", "-t", "web", "--", "true", code=2).error()
    assert "a terminal's output is no record" in error["message"]


def test_readiness(web):
    ready = web.status()["readiness"]
    assert ready["execReady"]["ready"] and ready["shellReady"]["ready"]
