"""Named volumes: disks that outlive the workspaces that use them, one at a time."""

import itertools
import shutil
import subprocess

import pytest

from harness import images
from harness.cli import EXIT_FAILURE, EXIT_USAGE


@pytest.fixture(scope="module", name="layout")
def fixture_layout(place):
    layer = images.Layer().directory("srv/data", owner=(1001, 1002), mode=0o2770)
    return images.write_layout(place / "image", [images.busybox_layer(), layer.finish()], {"User": "web"})


@pytest.fixture(scope="module", name="first")
def fixture_first(workspaces):
    """A workspace of the built-in base, which has no other disk."""
    return workspaces("first", "--volume", "shared:/data/deep", "--volume", "own:/own")


def volumes(microagent):
    return {volume["name"]: volume for volume in microagent.json("volume", "ls")["volumes"]}


def test_volumes_are_made_and_mounted(first, microagent):
    assert first.shell("echo first >/data/deep/file; echo own >/own/file; grep -c ' ext4 ' /proc/mounts") == "2\n"
    assert first.status()["volumes"] == [{"name": "shared", "path": "/data/deep"}, {"name": "own", "path": "/own"}]
    found = volumes(microagent)["shared"]
    assert found["attachedTo"] == "first" and found["workspaces"] == ["first"]
    assert found["bytes"] == 10 * 1024**3 and found["usedBytes"] < 100 * 1024**2, "it is sparse"
    assert "first" in microagent.run("volume", "ls").text


def test_a_volume_has_the_size_that_it_is_made_with(microagent, workspaces):
    record = microagent.json("volume", "create", "small", "--size", "300MiB")
    assert record["volume"] == "small" and record["bytes"] == 300 * 1024**2
    assert microagent.refuses("volume", "create", "small", code=EXIT_FAILURE)["kind"] == "conflict"
    for words in (["Small"], ["../x"], ["tiny", "--size", "1MiB"], ["odd", "--size", "much"]):
        microagent.refuses("volume", "create", *words, code=EXIT_USAGE)
    guest = workspaces("sized", "--volume", "small:/small")
    assert 200 < int(guest.shell("df -m /small | tail -n 1 | awk '{print $2}'")) < 300
    guest.stop()
    guest.delete()
    microagent.json("volume", "rm", "small")
    assert "small" not in volumes(microagent)


def test_one_workspace_at_a_time(first, workspaces, microagent):
    second = workspaces("second", "--volume", "shared:/shared", start=False)
    error = microagent.refuses("start", "second", code=EXIT_FAILURE, timeout=60)
    assert error["kind"] == "conflict" and '"first"' in error["message"] and "stop first" in error["remediation"]
    assert first.shell("cat /data/deep/file") == "first\n", "and nothing has happened to the first"
    first.stop()
    second.start()
    assert second.shell("cat /shared/file; echo second >>/shared/file") == "first\n"
    error = microagent.refuses("start", "first", code=EXIT_FAILURE, timeout=60)
    assert '"second"' in error["message"]
    # Whatever the end of its holder.
    second.shell("sync")
    second.kill()
    first.start()
    assert first.shell("cat /data/deep/file") == "first\nsecond\n"


def test_a_volume_outlives_its_workspaces(first, microagent, workspaces):
    del first
    one = workspaces("one", "--volume", "lasting:/v")
    one.shell("echo lasting >/v/file")
    one.stop()
    one.delete()
    assert volumes(microagent)["lasting"]["workspaces"] == []
    other = workspaces("other", "--volume", "lasting:/w")
    assert other.shell("cat /w/file") == "lasting\n"


def test_a_new_volume_belongs_to_whom_its_directory_does(workspaces, layout):
    guest = workspaces("owned", "--image", layout, "--volume", "given:/srv/data", timeout=120)
    assert guest.exec("/bin/stat", "-c", "%a %u:%g", "/srv/data").text == "2770 1001:1002\n"
    guest.shell("echo mine >/srv/data/file")
    guest.stop()
    guest.start()
    assert guest.shell("cat /srv/data/file") == "mine\n"


@pytest.mark.parametrize("content", ["", "echo mine >/srv/data/file;"])
def test_later_a_volume_belongs_to_whom_its_users_say(workspaces, layout, content):
    name = f"taken{len(content)}"
    guest = workspaces(name, "--image", layout, "--volume", f"{name}:/srv/data", timeout=120)
    guest.exec("sh", "-c", f"{content} chown 0:0 /srv/data; chmod 700 /srv/data", flags=("--user", "root"))
    guest.stop()
    guest.start()
    assert guest.exec("/bin/stat", "-c", "%a %u:%g", "/srv/data").text == "700 0:0\n"


def test_removal(first, microagent):
    del first
    error = microagent.refuses("volume", "rm", "own", code=EXIT_FAILURE)
    assert error["kind"] == "conflict" and "first" in error["message"]
    assert microagent.refuses("volume", "rm", "none", code=EXIT_FAILURE)["kind"] == "not_found"
    microagent.json("create", "brief", "--volume", "brief:/b")
    assert "brief" in microagent.refuses("volume", "rm", "brief", code=EXIT_FAILURE)["message"]
    microagent.json("delete", "brief")
    microagent.json("volume", "rm", "brief")
    assert "brief" not in volumes(microagent)


@pytest.mark.parametrize("volume, words", [
    ("data", "no volume"), ("Data:/d", "name"), (":/d", "name"), ("data:", "absolute path"),
    ("data:d", "absolute path"),
    ("data:/", "absolute path"), ("data:/a/../b", "absolute path"), ("../x:/d", "name")])
def test_what_is_no_volume(microagent, volume, words):
    error = microagent.refuses("create", "never", "--volume", volume, code=EXIT_USAGE)
    assert words in error["message"] and "--volume" in error["message"]


def test_volumes_in_each_others_way(microagent):
    twice = microagent.refuses("create", "never", "--volume", "a:/x", "--volume", "b:/x")
    assert "/x has a volume already" in twice["message"]
    same = microagent.refuses("create", "never", "--volume", "a:/x", "--volume", "a:/y")
    assert "twice" in same["message"]
    many = [word for number in range(5) for word in ("--volume", f"v{number}:/v{number}")]
    assert "more than 4" in microagent.refuses("create", "never", *many)["message"]


@pytest.mark.parametrize("call", ["fsync", "rename"])
def test_a_create_that_is_killed_leaves_nothing_half_made(fresh, call):
    """Killed before each of its steps in turn: a workspace that is there has its volumes, and each volume is whole."""
    if shutil.which("strace") is None:
        pytest.skip("there is no strace")
    fresh.json("list")
    kills = 0
    for number in itertools.count(1):
        name, ours = f"killed-{number}", {f"one-{number}", f"two-{number}"}
        words = [word for volume in sorted(ours) for word in ("--volume", f"{volume}:/{volume}")]
        killer = ["strace", "-f", "-o", "/dev/null", "-e", f"inject={call}:signal=KILL:when={number}"]
        with fresh.account.popen([*killer, fresh.prefix / "bin" / "microagent", "--json", "create", name, *words],
                                 env={"MICROAGENT_HOME": str(fresh.state)}, stdout=subprocess.PIPE) as process:
            process.communicate(timeout=60)
        there = volumes(fresh)
        for volume in ours & set(there):
            subprocess.run(["/sbin/e2fsck", "-fn", fresh.state / "volumes" / f"{volume}.ext4"], check=True,
                           capture_output=True)
        if name in [row["name"] for row in fresh.json("list")["workspaces"]]:
            assert ours <= set(there) and fresh.json("status", name)["volumes"]
        else:
            fresh.json("create", name, *words)
        if process.returncode == 0:
            break
        kills += 1
    assert kills >= 3
    fresh.json("prune", "--all", "--yes")
    assert list(fresh.workspaces.iterdir()) == []
