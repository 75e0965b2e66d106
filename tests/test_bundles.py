"""Bundles: tar archives whose content a workspace's disk has at its first boot."""

import bz2
import gzip
import lzma
import subprocess
import tarfile

import pytest

from harness import images
from harness.cli import EXIT_FAILURE, EXIT_USAGE

# cap_dac_override=ep: linux/capability.h, struct vfs_cap_data of revision 2, little endian.
CAP_DAC_OVERRIDE = "\x01\0\0\x02\x02\0\0\0" + 12 * "\0"


@pytest.fixture(scope="module", name="layout")
def fixture_layout(place):
    layer = images.Layer().directory("srv", owner=(7, 8), mode=0o755).file("srv/old", b"old").file("srv/kept", b"kept")
    layer.directory("usr/lib").symlink("lib", "usr/lib").symlink("srv/out", "/usr")
    return images.write_layout(place / "image", [images.busybox_layer(), layer.finish()])


def put(place, name, content):
    (place / name).write_bytes(content)
    return str(place / name)


def app():
    """Everything that makes archives hard."""
    layer = images.Layer().directory("app", owner=(1001, 1002), mode=0o2770)
    layer.file("app/setuid", b"x", mode=0o4755, owner=(70000, 80000)).file("app/both", b"the same")
    layer.hard_link("app/again", "app/both").symlink("app/link", "both").file("app/.wh.kept", b"a name")
    layer.device("app/null", tarfile.CHRTYPE, (1, 3), 0o666).add("app/pipe", tarfile.FIFOTYPE)
    layer.script("app/start", "echo started from $(cat /srv/app/app/link)\n")
    cat = images.BUSYBOX.read_bytes()  # which goes by its own name
    layer.file("app/cat", cat, mode=0o755, xattrs={"security.capability": CAP_DAC_OVERRIDE, "user.note": "a note"})
    layer.directory("app/plain").file("app/plain/cat", cat, mode=0o755)
    layer.file("app/large", bytes(range(256)) * 200_000)
    return layer.finish()


@pytest.fixture(scope="module", name="guest")
def fixture_guest(workspaces, place, layout):
    """Its bundles, in every compression, go to a directory of the image's, to a new one, and to the root."""
    over = images.Layer()
    over.directory(".", owner=(1000, 1000), mode=0o700).directory("srv", owner=(1000, 1000), mode=0o700)
    over.file("srv/old", b"new").file("lib/below", b"below")
    zst = subprocess.run(["zstd", "-qc"], input=images.Layer().file("zst", b"zst").finish(), stdout=subprocess.PIPE,
                         check=True).stdout
    bundles = [
        put(place, "app.tar.gz", gzip.compress(app())) + ":/srv/app",
        put(place, "over.tar.xz", lzma.compress(over.finish())),
        put(place, "plain.tar", images.Layer().file("plain", b"plain").finish()) + ":/opt/new/place",
        put(place, "two.tar.bz2", bz2.compress(images.Layer().file("bz2", b"bz2").finish())) + ":/opt/new",
        put(place, "three.tar.zst", zst) + ":/opt/new",
    ]
    words = [word for bundle in bundles for word in ("--bundle", bundle)]
    return workspaces("bundled", "--image", layout, *words, timeout=120)


def test_the_disk_has_what_the_archives_say(guest):
    def stat(path, form):
        return guest.exec("/bin/stat", "-c", form, path).text.strip()

    assert stat("/srv/app/app", "%a %u:%g") == "2770 1001:1002"
    assert stat("/srv/app/app/setuid", "%a %u:%g %Y") == "4755 70000:80000 1600000000"
    assert stat("/srv/app/app/both", "%h") == "2"
    assert stat("/srv/app/app/both", "%i") == stat("/srv/app/app/again", "%i")
    assert stat("/srv/app/app/null", "%F %t:%T %a") == "character special file 1:3 666"
    assert stat("/srv/app/app/pipe", "%F") == "fifo"
    assert guest.shell("/srv/app/app/start; cat /srv/app/app/.wh.kept") == "started from the same\na name"
    assert guest.shell("sha256sum </srv/app/app/large").split()[0] == images.digest(
        bytes(range(256)) * 200_000).removeprefix("sha256:")
    assert guest.shell("cat /opt/new/place/plain /opt/new/bz2 /opt/new/zst /usr/lib/below") == "plainbz2zstbelow"


def test_file_capabilities_take_effect(guest):
    guest.shell("echo secret >/root/secret; chmod 600 /root/secret")
    guest.exec("/srv/app/app/plain/cat", "/root/secret", flags=("-u", "web"), code=1)
    assert guest.exec("/srv/app/app/cat", "/root/secret", flags=("-u", "web")).text == "secret\n"


def test_what_the_image_has_stays(guest):
    def stat(path):
        return guest.exec("/bin/stat", "-c", "%a %u:%g", path).text.strip()

    assert guest.shell("cat /srv/old /srv/kept") == "newkept"
    assert stat("/") == "755 0:0" and stat("/srv") == "755 7:8", "directories that are there are left as they are"


def test_it_stays_and_is_told(guest, microagent, place):
    record = guest.status()["bundles"]
    assert record[0] == {"file": str(place / "app.tar.gz"), "path": "/srv/app"}
    assert record[1]["path"] == "/" and len(record) == 5
    assert "app.tar.gz in /srv/app" in microagent.run("status", "bundled").text
    guest.shell("rm /srv/app/app/large; echo mine >/opt/new/place/plain")
    guest.stop()
    (place / "app.tar.gz").unlink()
    guest.start()
    assert guest.shell("cat /opt/new/place/plain; ls /srv/app/app | grep -c large || true") == "mine\n0\n"


def test_a_spec_names_them_from_where_it_lies(microagent, account, place, layout, workspaces):
    home = account.make_directory(account.home / "bundled-spec")
    put(home, "conf.tar", images.Layer().file("conf", b"of the spec").finish())
    spec = home / "microagent.yaml"
    spec.write_text(f"image: {layout}\nbundles: ['conf.tar:/etc/app']\n")
    account.own(spec)
    more = put(place, "more.tar", images.Layer().file("conf", b"of the flag").finish())
    guest = workspaces("specced", "--file", str(spec), "--bundle", more + ":/etc/app", timeout=120)
    assert guest.shell("cat /etc/app/conf") == "of the flag", "the flags' bundles come behind the spec's"
    spec.write_text(f"name: specced\nimage: {layout}\nbundles: ['conf.tar:/etc/other']\n")
    error = microagent.refuses("apply", str(spec), code=EXIT_FAILURE)
    assert error["kind"] == "conflict" and "bundles" in error["message"]


def test_run_takes_them(microagent, place, layout):
    bundle = put(place, "run.tar", images.Layer().file("said", b"said\n").finish())
    outcome = microagent.run("run", "--bundle", bundle + ":/srv/run", layout, "cat", "/srv/run/said", timeout=200)
    assert outcome.text == "said\n"


def test_what_is_wrong_is_refused_and_leaves_nothing(microagent, place, layout):
    def refuses(bundle, *flags, code=EXIT_FAILURE):
        error = microagent.refuses("create", "never", "--image", layout, "--bundle", bundle, *flags, code=code)
        assert not [path for path in microagent.workspaces.iterdir() if "never" in path.name], "nothing half-made"
        assert error["remediation"]
        return error

    whole = app()
    assert refuses(f"{place}/absent.tar")["kind"] == "not_found"
    assert "regular" in refuses(f"{place}", code=EXIT_USAGE)["message"]
    assert "cannot be read" in refuses(put(place, "text.tar", b"no archive " * 100))["message"]
    assert "cannot be read" in refuses(put(place, "cut.tar", whole[:100_000]))["message"]
    assert "cannot be read" in refuses(put(place, "cut.tgz", gzip.compress(whole)[:10_000]))["message"]
    assert "empty" in refuses(put(place, "empty.tar", b""))["message"]
    for name, hostile in {"upwards": images.Layer().file("../../evil"),
                          "linked": images.Layer().file("a").hard_link("b", "../../etc/passwd"),
                          "out": images.Layer().file("out/evil")}.items():
        said = refuses(put(place, f"{name}.tar", hostile.finish()) + ":/srv")["message"]
        assert "leads out" in said and name in said
    file = put(place, "file.tar", images.Layer().file("f").finish())
    assert "hidden" in refuses(file + ":/data/x", "--volume", "data:/data", code=EXIT_USAGE)["message"]
    assert "absolute" in refuses(file + ":/a/../b", code=EXIT_USAGE)["message"]
    sized = refuses(put(place, "big.tar", images.Layer().file("f", bytes(600_000_000)).finish()), "--size", "512MiB",
                    code=EXIT_USAGE)
    assert "at least" in sized["message"]
    assert "--image" in microagent.refuses("create", "never", "--bundle", file, code=EXIT_USAGE)["remediation"]
