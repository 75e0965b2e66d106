"""What `make install` puts beside the programs: completions that the shells themselves take, and manual pages."""

import os
import pty
import select
import shutil
import subprocess

import pytest

from harness.wait import wait_until

TAB, KILL_LINE = b"\t", b"\x15"


@pytest.fixture(scope="module")
def share(build, tmp_path_factory):
    """The part of an installation that is made of the program's own words."""
    place = tmp_path_factory.mktemp("installed")
    subprocess.run(["cmake", "--install", build, "--prefix", place], check=True, stdout=subprocess.DEVNULL)
    return place / "share"


@pytest.fixture(scope="module")
def environment(share, tmp_path_factory):
    """Of a person's shell: the installed program, and a state directory with a workspace."""
    state = tmp_path_factory.mktemp("state")
    variables = {"PATH": f"{share.parent / 'bin'}:/usr/bin:/bin", "HOME": str(state), "TERM": "dumb",
                 "MICROAGENT_HOME": str(state / "microagent"), "PS1": "$ ", "LANG": "C.UTF-8"}
    subprocess.run(["microagent", "create", "website"], env=variables, check=True, stdout=subprocess.DEVNULL)
    return variables


class Typist:
    """A shell on a terminal, and somebody who types."""

    def __init__(self, argv, environment):
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.execvpe(argv[0], argv, environment)
        self.shown = b""

    def look(self):
        while select.select([self.fd], [], [], 0)[0]:
            try:
                self.shown += os.read(self.fd, 65536)
            except OSError:  # EIO: the shell has ended
                break
        return self.shown

    def command(self, line):
        """Runs a line, to its end."""
        self.shown = b""
        os.write(self.fd, line.encode() + b"; echo do''ne\n")
        wait_until(lambda: b"done" in self.look(), f"{line} is done; {self.shown}", 30)

    def completes(self, typed, *expected):
        """What the shell shows once it is asked; the line is then given up."""
        self.shown = b""
        os.write(self.fd, typed.encode() + TAB)
        wait_until(lambda: all(word.encode() in self.look() for word in expected),
                   f"{typed} becomes {expected}", 30)
        shown = self.shown.decode(errors="replace")
        os.write(self.fd, KILL_LINE)
        return shown

    def close(self):
        os.write(self.fd, KILL_LINE + b"exit\n")
        os.close(self.fd)
        os.waitpid(self.pid, 0)


def bash(share, environment):
    shell = Typist(["bash", "--norc", "--noprofile", "-i"], environment)
    for setting in ("show-all-if-ambiguous on", "bell-style none", "enable-bracketed-paste off"):
        shell.command(f"bind 'set {setting}'")
    shell.command(f"source {share / 'bash-completion/completions/microagent'}")
    return shell


def zsh(share, environment):
    shell = Typist(["zsh", "-f", "-i"], environment)
    shell.command(f"unsetopt zle_bracketed_paste beep; fpath=({share / 'zsh/site-functions'} $fpath)")
    shell.command("autoload -Uz compinit; compinit -u -D")
    return shell


@pytest.fixture(scope="module", params=[bash, zsh], ids=lambda shell: shell.__name__)
def shell(request, share, environment):
    if shutil.which(request.param.__name__) is None:
        pytest.skip(f"there is no {request.param.__name__}")
    typist = request.param(share, environment)
    yield typist
    typist.close()


def test_a_shell_completes_commands(shell):
    shell.completes("microagent quar", "microagent quarantine")
    shell.completes("microagent sta", "start", "stats", "status")
    shell.completes("microagent egress expl", "egress explain")


def test_a_shell_completes_options(shell):
    shell.completes("microagent create --entry", "--entrypoint")
    shell.completes("microagent start --reset", "--reset-caps")
    shell.completes("microagent --output js", "--output json")


def test_a_shell_completes_workspaces(shell):
    shell.completes("microagent stop web", "stop website")
    shell.completes("microagent start --timeout 5 web", "--timeout 5 website")
    assert "website" not in shell.completes("microagent create web --entry", "--entrypoint")


@pytest.fixture(scope="module")
def fish(share, environment):
    if shutil.which("fish") is None:
        pytest.skip("there is no fish")
    script = share / "fish/vendor_completions.d/microagent.fish"

    def complete(line):
        done = subprocess.run(["fish", "--no-config", "-c", f'source {script}; complete -C "{line}"'], env=environment,
                              capture_output=True, text=True, check=True, timeout=60)
        assert done.stderr == ""
        return [proposal.split("\t")[0] for proposal in done.stdout.splitlines()]

    return complete


def test_fish_completes(fish):
    assert fish("microagent quar") == ["quarantine"]
    assert set(fish("microagent sta")) == {"start", "status", "stats"}
    assert fish("microagent egress expl") == ["explain"]
    assert fish("microagent create --entry") == ["--entrypoint"]
    assert "--entrypoint" not in fish("microagent stop --")
    assert fish("microagent --output js") == ["json"]
    assert "website" in fish("microagent stop web")
    assert "website" not in fish("microagent create web")


def pages(share):
    return sorted((share / "man" / "man1").glob("*.1"))


def test_there_is_a_page_for_every_command(share, environment):
    helped = subprocess.run(["microagent", "--help"], env=environment, capture_output=True, text=True, check=True)
    listed = helped.stdout.split("\nSubcommands:\n")[1].split("\n\n")[0].splitlines()
    commands = {line.split()[0].strip(",") for line in listed if line[2] != " "}
    names = {page.stem for page in pages(share)}
    assert {f"microagent-{command}" for command in commands} <= names and "microagent" in names
    assert "microagent-egress-allow" in names


def test_pages_are_good_man(share):
    if shutil.which("mandoc") is None:
        pytest.skip("there is no mandoc")
    done = subprocess.run(["mandoc", "-T", "lint", "-W", "warning", *pages(share)], capture_output=True, text=True,
                          check=False, timeout=120)
    # It would have all references lead to pages that are installed here.
    told = [line for line in done.stdout.splitlines() if "referenced manual not found" not in line]
    assert told == []


def test_man_shows_a_page(share):
    shown = subprocess.run(["man", "-l", share / "man/man1/microagent-create.1"], capture_output=True, text=True,
                           check=True, timeout=60, env={**os.environ, "MANWIDTH": "100", "MANPAGER": "cat"})
    assert shown.stderr == ""
    text = shown.stdout
    assert "MICROAGENT-CREATE(1)" in text and "--publish MAPPING" in text
    assert "microagent create web -p 8080:80 --entrypoint 'httpd -f -p 80'" in text
