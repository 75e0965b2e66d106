"""cp: both ways, and guests that do not play fair."""

import io
import os
import stat
import subprocess
import tarfile

import pytest

from harness import python_guest
from harness.wait import wait_until


@pytest.fixture(scope="module")
def web(workspaces):
    return workspaces("web", "--network", "isolated")


@pytest.fixture
def here(account, scratch, request):
    """A directory of the ordinary user's."""
    return account.make_directory(scratch / "home" / request.node.name[:40])


def own(account, path):
    account.own(path)
    for entry in path.rglob("*"):
        if not entry.is_symlink():
            account.own(entry)


def cp(web, *words, code=0, **options):
    return web.microagent.run("cp", *words, code=code, **options)


def test_a_tree_there_and_back(web, here, account):
    tree = here / "tree"
    (tree / "sub" / "empty").mkdir(parents=True)
    (tree / "plain").write_bytes(b"content\n")
    (tree / "sub" / "tool").write_bytes(b"#!/bin/sh\necho tool\n")
    (tree / "sub" / "tool").chmod(0o755)
    (tree / "sub" / "large").write_bytes(os.urandom(5_000_000))
    (tree / "sub" / "large").chmod(0o600)
    (tree / "sub" / ("long" * 50)).write_bytes(b"x")
    os.symlink("../plain", tree / "sub" / "link")
    os.symlink("/etc/passwd", tree / "dangling")
    os.utime(tree / "dangling", (10**9, 10**9), follow_symlinks=False)
    own(account, tree)
    cp(web, str(tree), "web:/srv")
    assert web.shell("/srv/tree/sub/tool; cat /srv/tree/sub/link; readlink /srv/tree/dangling") == \
        "tool\ncontent\n/etc/passwd\n"
    cp(web, "web:/srv/tree", str(here / "back"))
    for path in tree.rglob("*"):
        copy = here / "back" / path.relative_to(tree)
        status, same = path.lstat(), copy.lstat()
        assert status.st_mode == same.st_mode, path
        assert int(status.st_mtime) == int(same.st_mtime), path
        if path.is_symlink():
            assert os.readlink(path) == os.readlink(copy)
        elif path.is_file():
            assert path.read_bytes() == copy.read_bytes()
    assert (here / "back" / "sub" / "empty").is_dir()
    assert (here / "back" / "plain").stat().st_uid == account.uid


def test_where_it_goes(web, here, account):
    (here / "file").write_text("one")
    own(account, here)
    cp(web, str(here / "file"), "web:/srv/")
    cp(web, str(here / "file"), "web:/srv/renamed")
    assert web.shell("cat /srv/file /srv/renamed") == "oneone"
    web.shell("mkdir -p /srv/d; echo two >/srv/d/inner")
    cp(web, "web:/srv/d/.", str(here))
    assert (here / "inner").read_text() == "two\n"
    cp(web, "web:srv/renamed", str(here / "other"))
    assert (here / "other").read_text() == "one"
    for words, said in (((str(here / "nothing"), "web:/srv"), "nothing"),
                        (("web:/nothing", str(here)), "nothing"),
                        ((str(here / "file"), "web:/no/such/place"), "/no/such"),
                        (("web:/srv/file", str(here / "no/such/place")), "no/such")):
        assert said in cp(web, *words, code=1).error_line()
    assert "neither end" in cp(web, "a", "b", code=2).error_line()
    assert "both ends" in cp(web, "web:/a", "web:/b", code=2).error_line()


def test_streams(web, here):
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w", format=tarfile.GNU_FORMAT) as tar:
        for name in ("short", "d/" + "long" * 60):
            member = tarfile.TarInfo(name)
            member.size = 3
            tar.addfile(member, io.BytesIO(b"abc"))
    cp(web, "-", "web:/mnt", stdin=archive.getvalue())
    assert web.shell(f"cat /mnt/short /mnt/d/{'long' * 60}") == "abcabc"
    out = cp(web, "web:/mnt/d", "-").out
    with tarfile.open(fileobj=io.BytesIO(out)) as tar:
        assert tar.getnames() == ["d", "d/" + "long" * 60]
    pipe = subprocess.run(["tar", "x", "-C", str(here)], input=out, check=True)
    assert pipe.returncode == 0 and (here / "d").is_dir()


def test_a_record(web, here):
    record = web.microagent.json("cp", "web:/etc/passwd", str(here))
    assert record == {"ok": True, "workspace": "web", "source": "web:/etc/passwd", "destination": str(here)}
    assert (here / "passwd").read_text().startswith("root:")


# GHSA-4vq3-cjpp-v7fg: what a guest made must not lead out of the destination.


def test_a_link_in_the_destination_is_not_followed(web, here, account):
    victim, target = here / "victim", here / "target"
    for directory in (victim, target):
        account.make_directory(directory)
    os.symlink(victim, target / "out")
    web.shell("mkdir -p /srv/evil/out; echo owned >/srv/evil/out/file")
    cp(web, "web:/srv/evil/.", str(target), code=None)
    assert list(victim.iterdir()) == []


def test_a_guest_s_archive_cannot_climb(web, here, account):
    """Links that an earlier copy brought lead nowhere for the next; for archives that lie, see src/archive."""
    victim, target = here / "victim", here / "target"
    for directory in (victim, target):
        account.make_directory(directory)
    (victim / "file").write_text("untouched")
    own(account, here)
    web.shell(f"mkdir -p /srv/links; ln -s {victim} /srv/links/out; ln -s ../../victim /srv/links/up")
    cp(web, "web:/srv/links", str(target))
    assert os.readlink(target / "links" / "out") == str(victim)
    web.shell("rm -r /srv/links; mkdir -p /srv/links/out /srv/links/up; echo owned | tee /srv/links/out/file"
              " >/srv/links/up/file")
    cp(web, "web:/srv/links", str(target), code=None)
    assert (victim / "file").read_text() == "untouched" and len(list(victim.iterdir())) == 1


# Takes the place of the guest's exec service: gets hold of init's socket, stops init, and answers every request for
# /any/NAME with the archive that lies at /lies/NAME.
LIAR = """
import ctypes, os, socket, struct
PIDFD_GETFD, PTRACE_ATTACH = 438, 16
libc = ctypes.CDLL(None, use_errno=True)
def frame(kind, payload):
    return struct.pack("<B3xI", kind, len(payload)) + payload
def listeners():
    init = os.pidfd_open(1)
    for name in os.listdir("/proc/1/fd"):
        if os.readlink("/proc/1/fd/" + name).startswith("socket:"):
            taken = socket.socket(fileno=libc.syscall(PIDFD_GETFD, init, int(name), 0))
            if taken.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
                yield taken
            else:
                taken.detach()
listener, = listeners()
listener.setblocking(True)
assert libc.ptrace(PTRACE_ATTACH, 1, None, None) == 0
os.waitpid(1, 0x40000000)
with open("/dev/console", "w") as console:
    console.write("the liar serves" + chr(10))
while True:
    stream, _ = listener.accept()
    _, length = struct.unpack("<B3xI", stream.recv(8, socket.MSG_WAITALL))
    name = stream.recv(length, socket.MSG_WAITALL).split(b"/")[-1]
    stream.sendall(frame(23, open(b"/lies/" + name, "rb").read()) + frame(25, bytes(8)))
    stream.recv(1)
    stream.close()
"""


def file(name):
    member = tarfile.TarInfo(name)
    member.size = 4
    return member


def other(name, kind, target=""):
    member = tarfile.TarInfo(name)
    member.type, member.linkname, member.mode = kind, target, 0o755
    return member


def archive_of(*members):
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w", format=tarfile.GNU_FORMAT) as tar:
        for member in members:
            tar.addfile(member, io.BytesIO(b"evil"))
    return archive.getvalue()


def beside(name):
    """What leads to the neighbour of what was asked for."""
    return other(name, tarfile.DIRTYPE), other(f"{name}/l", tarfile.SYMTYPE, "../.ssh")


LIES = {"notes": archive_of(file("notes"), file(".bashrc")),
        "written": archive_of(*beside("written"), file("written/l/keys")),
        "linked": archive_of(*beside("linked"), other("linked/k", tarfile.LNKTYPE, "linked/l/keys"))}


@pytest.fixture(name="liar")
def fixture_liar(prefix, microagent, workspaces):
    """A guest whose exec service has been replaced by one that sends what nobody asked for."""
    python_guest.install(prefix, microagent)
    liar = workspaces("liar", "--network", "isolated", "--memory", python_guest.MEMORY)
    liar.shell("mkdir /lies")
    for name, archive in LIES.items():
        liar.exec("sh", "-c", f"cat >/lies/{name}", stdin=archive)
    liar.background("python3", "-c", LIAR)
    wait_until(lambda: "the liar serves" in (liar.directory / "console.log").read_text(errors="replace"), "it lies", 20)
    return liar


def test_a_guest_cannot_choose_names(liar, here, account):
    """CVE-2019-6111 of scp, and the same by way of links that stay below the destination."""
    said = cp(liar, "liar:/srv/notes", str(here), code=1).error_line()
    assert "not asked for: .bashrc" in said
    assert [path.name for path in here.iterdir()] == ["notes"]
    keys = here / ".ssh" / "keys"
    keys.parent.mkdir()
    keys.write_text("mine")
    own(account, here)
    for name, why in (("written", "a symbolic link lies on the way"), ("linked", "a hard link")):
        for destination in (here, here / f"{name}-renamed"):
            assert why in cp(liar, f"liar:/srv/{name}", str(destination), code=1).error_line()
            assert keys.read_text() == "mine" and keys.stat().st_nlink == 1


def test_special_modes_and_nodes_stay_out(web, here):
    web.shell("mkdir -p /srv/special; cd /srv/special; echo x >tool; chmod 6755 tool; mkfifo pipe; mknod null c 1 3")
    cp(web, "web:/srv/special", str(here))
    assert stat.S_IMODE((here / "special" / "tool").stat().st_mode) == 0o755
    assert not any(stat.S_ISCHR(path.lstat().st_mode) for path in (here / "special").iterdir())
    cp(web, "--setuid", "web:/srv/special/tool", str(here / "kept"))
    assert stat.S_IMODE((here / "kept").stat().st_mode) == 0o6755
