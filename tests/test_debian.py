"""Images that are a whole Debian: one runs Python and Node as its configuration says, one has its own init."""

import json
import os
import stat
import tarfile

import pytest

from harness import debian_image, images

TIMEOUT = 100
CONFIG = {"Entrypoint": ["/usr/bin/python3", "-u", "/srv/entry.py"], "Cmd": ["one", "two words"],
          "Env": ["FROM=image", "BOTH=image"], "User": "worker", "WorkingDir": "/srv/work", "StopSignal": "SIGINT"}
ENTRY = b"""
import json, os, signal, sys, time
facts = dict(argv=sys.argv[1:], uid=os.getuid(), gid=os.getgid(), groups=sorted(os.getgroups()), cwd=os.getcwd(),
             home=os.environ["HOME"], names=[os.environ.get("FROM"), os.environ.get("BOTH")])
open("facts.new", "w").write(json.dumps(facts))
os.rename("facts.new", "facts")
try:
    signal.pause()
except KeyboardInterrupt:
    open("asked", "w").write("by SIGINT")
"""
# Everything of the guest's root file system, one JSON object a line.
WALK = """
import json, os, stat
device = os.lstat("/").st_dev
def tell(path):
    facts = os.lstat(path)
    if facts.st_dev != device and path not in ("/proc", "/sys", "/dev", "/run", "/tmp"):
        return
    told = dict(path=path, mode=facts.st_mode, uid=facts.st_uid, gid=facts.st_gid, size=facts.st_size,
                rdev=[os.major(facts.st_rdev), os.minor(facts.st_rdev)], mtime=int(facts.st_mtime),
                inode=facts.st_ino, target=os.readlink(path) if stat.S_ISLNK(facts.st_mode) else "",
                xattrs={name: os.getxattr(path, name, follow_symlinks=False).hex()
                        for name in os.listxattr(path, follow_symlinks=False)})
    print(json.dumps(told))
    if stat.S_ISDIR(facts.st_mode) and facts.st_dev == device:
        for name in os.listdir(path):
            tell(os.path.join(path, name))
tell("/")
"""
NODE = """
const http = require('http');
http.createServer((request, answer) => answer.end(JSON.stringify({path: request.url, node: process.version})))
  .listen(8080, '127.0.0.1', () => console.log('listening'));
"""
CALL = "import urllib.request as r; print(r.urlopen('http://127.0.0.1:8080/from-python').read().decode())"
UNIT = b"""[Unit]
Description=What the test looks for
[Service]
ExecStart=/usr/bin/sleep infinity
ExecStop=/usr/bin/touch /var/lib/stopped-in-order
[Install]
WantedBy=multi-user.target
"""


@pytest.fixture(scope="module", name="layer")
def fixture_layer():
    return debian_image.layer()


@pytest.fixture(scope="module", name="upper")
def fixture_upper():
    """What the image has over Debian."""
    layer = images.Layer().file("srv/entry.py", ENTRY).directory("srv/work", owner=(1000, 1000))
    layer.file("etc/passwd", b"root:x:0:0:root:/root:/bin/bash\nnobody:x:65534:65534::/:/bin/false\n"
                             b"worker:x:1000:1000::/home/worker:/bin/bash\n")
    layer.file("etc/group", b"root:x:0:\nworker:x:1000:\naudio:x:29:worker\n")
    layer.file("etc/.wh.issue.net").directory("usr/share/keyrings").file("usr/share/keyrings/.wh..wh..opq")
    layer.file("usr/share/keyrings/only", b"this one").hard_link("srv/python", "usr/bin/python3.11")
    layer.device("srv/null", tarfile.CHRTYPE, (1, 3), 0o666).file("srv/set-group", mode=0o2755, owner=(0, 29))
    return layer.finish()


@pytest.fixture(scope="module", name="reference")
def fixture_reference(place, registry, layer, upper):
    layout = images.write_layout(place / "agent", [layer.read_bytes(), upper], CONFIG)
    return registry.push(layout, "debian/agent:12")


@pytest.fixture(scope="module", name="agent")
def fixture_agent(workspaces, reference):
    return workspaces("agent", "--image", reference, "--env", "BOTH=workspace", timeout=TIMEOUT)


def test_the_configuration_is_honoured(agent):
    agent.shell("for i in $(seq 50); do test -e facts && exit; sleep 0.5; done; exit 1")
    facts = json.loads(agent.shell("cat facts"))
    assert facts == {"argv": ["one", "two words"], "uid": 1000, "gid": 1000, "groups": [29], "cwd": "/srv/work",
                     "home": "/home/worker", "names": ["image", "workspace"]}


def test_python_and_node_work(agent):
    with agent.spawn("node", "-e", NODE) as server:
        assert server.stdout.readline() == b"listening\n"
        answer = json.loads(agent.exec("python3", "-c", CALL).text)
        server.kill()
    assert answer["path"] == "/from-python" and answer["node"].startswith("v18.")


def test_stop_asks_by_the_image_s_signal(agent):
    agent.stop()
    agent.start()
    assert agent.shell("cat asked") == "by SIGINT"


def expected(*layers):
    """What the layers say of each path, by the rules of the OCI image specification."""
    tree = {}
    for path in layers:
        with tarfile.open(path) as tar:
            members = [(os.path.normpath("/" + member.name), member) for member in tar]
        for name, _ in members:
            directory, _, base = name.rpartition("/")
            gone = f"{directory}/" if base == ".wh..wh..opq" else f"{directory}/{base.removeprefix('.wh.')}"
            if base.startswith(".wh."):
                tree = {path: member for path, member in tree.items()
                        if not path.startswith(gone if gone.endswith("/") else gone + "/") and path != gone}
        tree.update((name, member) for name, member in members if "/.wh." not in name)
    return tree


def difference(path, member, found, tree):
    """What the guest has otherwise than the layers."""
    kinds = {tarfile.REGTYPE: stat.S_IFREG, tarfile.DIRTYPE: stat.S_IFDIR, tarfile.SYMTYPE: stat.S_IFLNK,
             tarfile.CHRTYPE: stat.S_IFCHR}
    if member.islnk():
        target = "/" + member.linkname.removeprefix("./")
        member = tree[target]
    prefix = "SCHILY.xattr."
    wanted = {"mode": kinds[member.type] | member.mode, "uid": member.uid, "gid": member.gid}
    if not member.isdir():  # others are made in a directory at the boot
        wanted["mtime"] = int(member.mtime)
    if member.isreg():
        wanted["size"] = member.size
    if member.issym():
        wanted["target"] = member.linkname
    if member.ischr():
        wanted["rdev"] = [member.devmajor, member.devminor]
    wanted["xattrs"] = {key.removeprefix(prefix): value.encode("utf-8", "surrogateescape").hex()
                        for key, value in member.pax_headers.items() if key.startswith(prefix)}
    return {key: (value, found[key]) for key, value in wanted.items() if found[key] != value}


def test_every_file_is_what_the_layers_say(microagent, place, layer, upper, world):
    del world  # it has the account's name
    upper_file = place / "upper.tar"
    upper_file.write_bytes(upper)
    tree = expected(layer, upper_file)
    config = dict(CONFIG, User="", Entrypoint=[])
    layout = images.write_layout(place / "plain", [layer.read_bytes(), upper], config)
    words = ("run", "--network", "isolated", layout, "python3", "-c", WALK)
    told = microagent.run(*words, timeout=TIMEOUT).text.splitlines()
    found = {record["path"]: record for record in map(json.loads, told)}
    ours = {"/", "/etc/resolv.conf", "/etc/hosts", "/etc/hostname"}
    mounted = ("/proc", "/sys", "/dev", "/run", "/tmp")
    compared = {path: member for path, member in tree.items() if path not in ours and not path.startswith(mounted)}
    assert len(compared) > 6000
    missing = [path for path in compared if path not in found]
    wrong = {path: difference(path, member, found[path], tree) for path, member in compared.items() if path in found}
    assert (missing, {path: what for path, what in wrong.items() if what}) == ([], {})
    more = {path for path in found if path not in tree and path not in ours}
    assert [path for path in more if not path.startswith((*mounted, "/lost+found", "/usr/lib/modules"))] == []
    assert found["/srv/python"]["inode"] == found["/usr/bin/python3.11"]["inode"]


def test_systemd_is_process_1(workspaces, place, layer):
    unit = images.Layer().file("etc/systemd/system/own.service", UNIT)
    unit.directory("etc/systemd/system/multi-user.target.wants")
    unit.symlink("etc/systemd/system/multi-user.target.wants/own.service", "../own.service")
    # It would wait for udev, which this image does not have, to see its terminal.
    unit.symlink("etc/systemd/system/serial-getty@ttyS0.service", "/dev/null")
    layout = images.write_layout(place / "systemd", [layer.read_bytes(), unit.finish()])
    guest = workspaces("system", "--image", layout, "--init", "/sbin/init", timeout=TIMEOUT)
    # It can be asked only a moment after we are ready.
    guest.shell("for i in $(seq 60); do test -S /run/systemd/private && exit; sleep 0.5; done; exit 1")
    state = guest.shell("systemctl is-system-running --wait; systemctl --failed --plain --no-legend", timeout=TIMEOUT)
    assert state == "running\n", guest.shell("journalctl -b -p warning --no-pager | tail -n 30")
    assert guest.shell("cat /proc/1/comm; systemctl is-active own.service") == "systemd\nactive\n"
    assert guest.shell("getcap /usr/bin/ping") == "/usr/bin/ping cap_net_raw=ep\n"
    # Nothing else lets a user send an echo request then.
    guest.shell("echo 1 0 >/proc/sys/net/ipv4/ping_group_range")
    ping = "setpriv --reuid=65534 --regid=65534 --clear-groups ping -c 1 -W 10 192.168.64.1"
    assert "1 received" in guest.shell(ping)
    assert guest.shell(f"setcap -r /usr/bin/ping; {ping} && exit 1; setcap cap_net_raw=ep /usr/bin/ping") == ""
    assert guest.stop("--timeout", "60")["event"]["detail"] == "the guest shut down cleanly"
    guest.start()
    assert guest.shell("ls /var/lib/stopped-in-order").strip() == "/var/lib/stopped-in-order"
