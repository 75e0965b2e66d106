"""Images: from a registry, a layout or an archive to a guest whose root has everything that the layers say."""

import pathlib
import signal
import subprocess
import tarfile
import tempfile
import time

import pytest

from harness import images
from harness.cli import EXIT_FAILURE, EXIT_USAGE
from harness.wait import wait_until

# cap_net_raw=ep: linux/capability.h, struct vfs_cap_data of revision 2, little endian.
CAP_NET_RAW = "\x01\0\0\x02\0\x20\0\0" + 12 * "\0"


def strange_layers():
    """Everything that makes layers hard, in two of them."""
    lower = images.Layer().directory("srv", owner=(1001, 1002), mode=0o750)
    lower.directory("d").file("d/removed").file("d/kept", b"kept").directory("d/sub").file("d/sub/old")
    lower.directory("opaque").file("opaque/old").directory("usr/lib").symlink("lib", "usr/lib")
    lower.file("setuid", b"x", mode=0o4755, owner=(70000, 80000)).file("sticky", mode=0o2644)
    lower.file("both", b"the same").file("data", b"1" * 100_000)
    upper = images.Layer().file("d/.wh.removed").file("d/.wh.sub").directory("d/sub").file("d/sub/new")
    upper.directory("opaque").file("opaque/.wh..wh..opq").file("opaque/new").file("lib/below", b"below")
    upper.hard_link("again", "both").hard_link("d/third", "both")
    upper.device("devices-null", tarfile.CHRTYPE, (1, 3), 0o666).device("devices-sda", tarfile.BLKTYPE, (8, 0))
    upper.add("pipe", tarfile.FIFOTYPE).file("n\u00e4me with \"quotes\" and\nmore", b"named")
    upper.file("ping", b"#!", mode=0o755, xattrs={"security.capability": CAP_NET_RAW, "user.note": "a note"})
    return [lower.finish(), upper.finish()]


CONFIG = {"Entrypoint": ["/entry"], "Cmd": ["one", "two words"],
          "Env": ["FROM=image", "BOTH=image", "PATH=/opt:/bin:/usr/bin"], "User": "web",
          "WorkingDir": "/work/here", "StopSignal": "SIGUSR1"}
ENTRY = """
echo "$*; $(id -u):$(id -g) $(id -G); $PWD; $FROM $BOTH $HOME $PATH" >/tmp/entry.new
mv /tmp/entry.new /tmp/entry
trap 'echo asked >/work/here/asked; exit 7' USR1
trap 'echo told >/work/here/told; exit 8' TERM
while :; do sleep 1; done
"""


@pytest.fixture(scope="module", name="layout")
def fixture_layout(place):
    entry = images.Layer().directory("opt").script("entry", ENTRY)
    entry.directory("work").directory("work/here", owner=(1001, 1002))
    return images.write_layout(place / "strange", [images.busybox_layer(), *strange_layers(), entry.finish()], CONFIG)


@pytest.fixture(scope="module", name="reference")
def fixture_reference(registry, layout):
    return registry.push(layout, "team/strange:1")


@pytest.fixture(scope="module", name="guest")
def fixture_guest(workspaces, reference):
    return workspaces("strange", "--image", reference, "--env", "BOTH=workspace", timeout=120)


def test_the_record_names_image_and_digest(guest, reference):
    record = guest.status()["image"]
    assert record["reference"] == reference
    assert record["digest"].startswith("sha256:") and len(record["digest"]) == 71
    assert record["user"] == "web" and record["entrypoint"] == ["/entry"] and record["stopSignal"] == 10
    assert record["envNames"] == ["FROM", "BOTH", "PATH"], "values may be secrets"


def test_the_root_is_what_the_layers_say(guest):
    def stat(path, form):
        return guest.exec("/bin/stat", "-c", form, path).text.strip()

    assert stat("/srv", "%a %u:%g") == "750 1001:1002"
    assert stat("/setuid", "%a %u:%g") == "4755 70000:80000"
    assert stat("/sticky", "%a") == "2644"
    assert stat("/both", "%h") == "3"
    assert len({stat(path, "%i") for path in ("/both", "/again", "/d/third")}) == 1
    assert stat("/devices-null", "%F %t:%T %a") == "character special file 1:3 666"
    assert stat("/devices-sda", "%F %t:%T %a") == "block special file 8:0 600"
    assert stat("/pipe", "%F") == "fifo"
    assert stat("/setuid", "%Y") == "1600000000"
    assert stat("/ping", "%a") == "755"
    listed = guest.shell("ls /d /d/sub /opaque").split()
    assert listed == ["/d:", "kept", "sub", "third", "/d/sub:", "new", "/opaque:", "new"]
    assert guest.shell("cat /usr/lib/below /d/third") == "belowthe same"
    assert guest.exec("/bin/cat", "/n\u00e4me with \"quotes\" and\nmore").text == "named"
    assert guest.shell("wc -c </data").strip() == "100000"


def test_the_command_runs_as_the_image_says(guest):
    guest.shell("for i in $(seq 100); do test -e /tmp/entry && exit; usleep 100000; done; exit 1")
    said = guest.shell("cat /tmp/entry").strip()
    assert said == "one two words; 1001:1002 1002 1500; /work/here; image workspace /srv /opt:/bin:/usr/bin"


def test_exec_takes_its_defaults_from_the_image(guest):
    assert guest.shell("pwd; id -u; echo $FROM $BOTH").split() == ["/work/here", "1001", "image", "workspace"]
    assert guest.exec("pwd", flags=("--workdir", "/d")).text == "/d\n"
    # A user who is not root may open its own output again.
    assert guest.shell("echo again >/dev/stdout") == "again\n"


def test_exec_runs_as_another_user_where_that_is_asked_for(guest):
    assert guest.exec("id", "-u", flags=("--user", "root")).text == "0\n"
    asked = guest.exec("/bin/sh", "-c", "id -u; id -g; id -G; echo $HOME $USER", flags=("-u", "web:extra")).text.split()
    assert asked == ["1001", "1500", "1500", "/srv", "web"]
    refused = guest.exec("true", flags=("-u", "nobody-here"), code=126)
    assert "no user nobody-here" in refused.err_text


def test_files_come_out_of_the_disk(guest, microagent, account):
    target = account.home / "kept"
    microagent.run("cp", "strange:/d/kept", str(target))
    assert target.read_bytes() == b"kept"


def test_the_second_workspace_takes_a_moment(microagent, workspaces, reference, registry, guest):
    del guest  # has pulled the image
    before = registry.requests()
    begun = time.monotonic()
    workspaces("second", "--image", reference, start=False)
    print(f"the second workspace was created in {(time.monotonic() - begun) * 1000:.0f} ms")
    assert registry.requests() == before, "the name is known"
    base, other = (microagent.workspaces / name / "base" for name in ("strange", "second"))
    assert base.samefile(other) and base.stat().st_mode & 0o777 == 0o400
    assert (microagent.workspaces / "second" / "disk.qcow2").stat().st_blocks * 512 < 1024 * 1024


def test_stop_asks_as_the_image_wants_and_the_disk_stays(workspaces, layout):
    guest = workspaces("lasting", "--image", layout, "--size", "3GiB", timeout=120)
    guest.shell("for i in $(seq 100); do test -e /tmp/entry && exit; usleep 100000; done; exit 1")
    guest.shell("echo written >/work/here/written; df -m / | tail -n 1 | awk '{print $2}' >/work/here/size")
    assert guest.stop()["state"] == "stopped"
    guest.start()
    assert guest.shell("cat written asked; test ! -e told") == "written\nasked\n"
    assert 2800 < int(guest.shell("cat size")) <= 3072
    # One that is not asked has its disk too.
    guest.shell("echo synced >synced; sync")
    guest.kill()
    guest.start()
    assert guest.shell("cat written synced") == "written\nsynced\n"


def test_a_command_takes_the_place_of_the_images(workspaces, layout):
    guest = workspaces("other-words", "--image", layout, "--", "three", "$HOME")
    guest.shell("for i in $(seq 100); do test -e /tmp/entry && exit; usleep 100000; done; exit 1")
    assert guest.shell("cat /tmp/entry").startswith("three $HOME; 1001:")
    assert guest.status()["command"] == ["three", "$HOME"]


def test_an_image_with_its_own_init(workspaces, place):
    layer = images.Layer().symlink("sbin/init", "../bin/busybox").directory("etc/init.d")
    layer.file("etc/inittab", b"::sysinit:/etc/init.d/rc\n::respawn:/etc/init.d/service\n"
                              b"::shutdown:/bin/touch /bye\n")
    layer.script("etc/init.d/rc", "echo $(cat /proc/1/comm) $$ >/booted\n")
    layer.script("etc/init.d/service", "echo run >>/service\nexec sleep 100000\n")
    reference = images.write_layout(place / "init", [images.busybox_layer(), layer.finish()], {"StopSignal": "SIGUSR2"})
    guest = workspaces("own-init", "--image", reference, "--init", "/sbin/init", timeout=120)
    guest.shell("for i in $(seq 100); do test -e /service && exit; usleep 100000; done; exit 1")
    assert guest.shell("cat /booted").startswith("init ")
    assert guest.shell("readlink /proc/1/exe").strip() == "/bin/busybox"
    # Its children are its own: what it respawns comes again.
    again = "for i in $(seq 100); do test $(wc -l </service) -ge 2 && exit; usleep 100000; done; exit 1"
    guest.shell(f"killall sleep; {again}")
    assert guest.stop()["state"] == "stopped"
    guest.start()
    assert guest.shell("ls /bye").strip() == "/bye"


def test_an_archive_of_docker(workspaces, place, layout):
    archive = place / "strange.tar"
    images.skopeo_copy(layout, f"docker-archive:{archive}:strange:1")
    archive.chmod(0o644)
    record = workspaces("archived", "--image", f"docker-archive:{archive}", start=False, timeout=120).status()
    assert record["image"]["entrypoint"] == ["/entry"]


def test_an_image_for_several_platforms(workspaces, place, registry):
    layout = images.write_layout(place / "many", [images.busybox_layer()], {"Cmd": ["true"]},
                                 platforms=("arm64", "amd64"))
    record = workspaces("many", "--image", registry.push(layout, "many:1"), start=False, timeout=120).status()
    assert record["image"]["command"] == ["true"]


def test_a_moved_tag_is_seen_when_asked_for(workspaces, place, registry):
    first = images.write_layout(place / "first", [images.Layer().file("a").finish()])
    second = images.write_layout(place / "second", [images.Layer().file("b").finish()])
    name = registry.push(first, "moving:1")
    digest = workspaces("moving1", "--image", name, start=False).status()["image"]["digest"]
    registry.push(second, "moving:1")
    assert workspaces("moving2", "--image", name, start=False).status()["image"]["digest"] == digest
    moved = workspaces("moving3", "--image", name, "--pull", start=False).status()["image"]
    assert moved["digest"] != digest
    pinned = workspaces("moving4", "--image", f"{name.removesuffix(':1')}@{digest}", start=False).status()["image"]
    assert pinned["digest"] == digest


def test_an_image_is_run_more_than_once_at_a_time(microagent, workspaces, layout, guest):
    del guest  # has made the image, and waits for the network to be there
    first = microagent.popen("run", "--network", "isolated", layout, "--", "-c", "echo here; sleep 1000",
                             stdout=subprocess.PIPE, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL)
    # The image's own entrypoint runs; that the workspace lives is enough here.
    wait_until(lambda: any(entry["state"] == "running" and entry["name"].startswith("run-")
                           for entry in microagent.json("list")["workspaces"]), "the first one runs", 60)
    try:
        workspaces("beside", "--image", layout, start=False, timeout=20)
    finally:
        first.send_signal(signal.SIGTERM)
        first.communicate(timeout=60)


def test_a_digest_is_what_is_pulled(microagent, place):
    other = images.write_layout(place / "other", [images.Layer().file("evil").finish()])
    liar = images.LyingRegistry(other)
    pinned = f"{liar.address}/team/app@{images.digest(b'wanted')}"
    error = microagent.refuses("create", "pinned", "--image", pinned, code=EXIT_FAILURE)
    liar.close()
    assert "something else in its registry" in error["message"] and error["kind"] == "permanent"
    assert not (microagent.workspaces / "pinned").exists()


def test_the_cache_may_lie_on_another_file_system(fresh, layout, account):
    with tempfile.TemporaryDirectory(dir="/dev/shm") as cache:
        account.own(pathlib.Path(cache))
        environment = {"MICROAGENT_CACHE": cache}
        fresh.json("create", "far", "--image", layout, env=environment, timeout=120)
    base = fresh.workspaces / "far" / "base"
    assert base.stat().st_mode & 0o777 == 0o400 and base.stat().st_nlink == 1
    fresh.json("start", "far", timeout=200)
    assert fresh.run("exec", "far", "--", "/bin/cat", "/d/kept").text == "kept"
    fresh.json("delete", "--force", "far")


def test_an_image_that_nobody_uses_can_go(fresh, layout, scratch):
    cache = {"MICROAGENT_CACHE": str(fresh.account.make_directory(scratch / "pruned-cache"))}

    def images_of(*flags):
        return fresh.json("prune", "--images", *flags, env=cache)["images"]

    digest = fresh.json("create", "brief", "--image", layout, env=cache, timeout=120)["image"]["digest"]
    assert images_of("--dry-run") == [], "a workspace is made of it"
    fresh.json("delete", "--force", "brief", env=cache)
    assert "images" not in fresh.json("prune", "--dry-run", env=cache), "only where it is asked for"
    (unused,) = images_of("--dry-run")
    assert unused["digest"] == digest and unused["bytes"] > 1000
    assert images_of("--yes") == [unused]
    assert images_of("--dry-run") == []
    assert not list((scratch / "pruned-cache" / "images").glob("[0-9a-f]*"))


def test_images_can_be_pulled_shown_and_removed(fresh, place, scratch):
    cache = {"MICROAGENT_CACHE": str(fresh.account.make_directory(scratch / "image-cache"))}
    layout = images.write_layout(place / "pulled", [images.Layer().file("a").finish()], {"Cmd": ["a"]})
    assert fresh.json("image", "ls", env=cache)["images"] == []
    pulled = fresh.json("image", "pull", layout, env=cache, timeout=120)["image"]
    assert pulled["reference"] == layout and pulled["command"] == ["a"]
    (shown,) = fresh.json("image", env=cache)["images"]
    assert shown["digest"] == pulled["digest"] and shown["references"] == [layout] and not shown["used"]
    assert layout in fresh.run("image", "ls", env=cache).text
    fresh.json("create", "user", "--image", layout, env=cache, timeout=60)
    assert fresh.json("image", "ls", env=cache)["images"][0]["used"]
    assert fresh.refuses("image", "rm", layout, code=EXIT_FAILURE, env=cache)["kind"] == "conflict"
    fresh.json("delete", "user", env=cache)
    assert fresh.refuses("image", "rm", "oci:/absent", code=EXIT_FAILURE, env=cache)["kind"] == "not_found"
    assert fresh.refuses("image", "rm", "../../etc", code=EXIT_FAILURE, env=cache)["kind"] == "not_found"
    alias = layout.replace("/pulled:", "/pulled-alias:")
    (place / "pulled-alias").symlink_to("pulled")
    assert fresh.json("image", "pull", alias, env=cache, timeout=120)["image"]["digest"] == pulled["digest"]
    removed = fresh.json("image", "rm", alias, env=cache)
    assert removed == {"ok": True, "digest": pulled["digest"], "reference": alias, "deleted": False}, removed
    assert fresh.json("image", "ls", env=cache)["images"][0]["references"] == [layout]
    assert fresh.json("image", "rm", pulled["digest"][:20], env=cache)["digest"] == pulled["digest"]
    assert fresh.json("image", "ls", env=cache)["images"] == []


def test_what_cannot_be_had_is_refused(microagent, place, registry):
    def refuses(image, *flags, code=EXIT_FAILURE):
        error = microagent.refuses("create", "never", "--image", image, *flags, code=code)
        assert not (microagent.workspaces / "never").exists()
        return error

    assert refuses(f"{registry.address}/nothing:1")["kind"] == "not_found"
    assert refuses(f"oci:{place}/absent")["kind"] == "not_found"
    assert "names no image" in refuses("Not An Image", code=EXIT_USAGE)["message"]
    arm = images.write_layout(place / "arm", [images.Layer().finish()], platforms=("arm64",))
    assert "linux/arm64" in refuses(arm)["message"]
    hostile = images.write_layout(place / "hostile", [images.Layer().file("../../evil").finish()])
    assert "leads out" in refuses(hostile)["message"]
    small = images.write_layout(place / "small", [images.busybox_layer()])
    assert "bounds" in refuses(small, "--size", "10MiB", code=EXIT_USAGE)["message"]
    assert "init" in microagent.refuses("create", "never", "--init", "/sbin/init")["message"]
    assert "disk" in microagent.refuses("create", "never", "--size", "1GiB")["message"]


def test_an_unknown_user_of_an_image_fails_the_start(workspaces, place):
    layout = images.write_layout(place / "nobody", [images.busybox_layer()], {"User": "nobody-here"})
    guest = workspaces("nobody", "--image", layout, start=False)
    outcome = guest.microagent.run("start", "nobody", code=EXIT_FAILURE, timeout=200)
    assert "nobody-here" in outcome.err_text
