"""What a workspace needs of the host, and is not there: start and doctor say what it is and how to get it."""

import pathlib
import socket
import subprocess

import pytest

from harness import prefix as installation
from harness.cli import EXIT_FAILURE, Microagent, Outcome


def missing(microagent, *, says, remedy, env=None):
    """A start that must fail for want of something, and leave nothing behind."""
    microagent.json("create", "web")
    error = microagent.refuses("start", "web", code=EXIT_FAILURE, env=env)
    assert says in error["message"], error
    assert remedy in error["remediation"], error
    status = microagent.json("status", "web")
    assert status["state"] in ("failed", "prepared") and "pids" not in status
    assert microagent.json("delete", "web")["deleted"] is True
    return error


def checks(microagent, code, env=None):
    return {check["name"]: check for check in microagent.json("doctor", code=code, env=env)["checks"]}


@pytest.fixture
def crippled(alone, build, fresh, scratch):
    """Makes an installation without some of its files."""
    place = scratch / "crippled"

    def make(**parts):
        installation.lay_out(build, place, **parts)
        return Microagent(place, fresh.state, fresh.account)

    yield make
    mounts = [line.split()[1] for line in open("/proc/mounts", encoding="utf-8") if f" {place}/" in line]
    for mount in mounts:
        subprocess.run(["umount", mount], check=True)
    subprocess.run(["rm", "-r", place], check=True)


def test_more_memory_than_the_host_has(workspaces, microagent):
    workspaces("huge", "--memory", "1048576", start=False)
    error = microagent.refuses("start", "huge", code=EXIT_FAILURE)
    assert error["kind"] == "resource_exhausted" and "1048576 MiB" in error["message"]
    assert "--memory" in error["remediation"]


def test_no_qemu(fresh, guest_image):
    missing(fresh, says="qemu", remedy="apt-get install qemu-system-x86", env={"PATH": "/nonexistent"})


def test_a_qemu_that_is_no_program(fresh, guest_image):
    missing(fresh, says="MICROAGENT_QEMU", remedy="MICROAGENT_QEMU", env={"MICROAGENT_QEMU": "/etc/passwd"})


def test_a_qemu_that_is_something_else(fresh, guest_image):
    """It starts and ends at once: the workspace fails, and is told why."""
    fresh.json("create", "web")
    error = fresh.run("--json", "start", "web", code=None, env={"MICROAGENT_QEMU": "/bin/false"}).error()
    assert "qemu" in error["message"].lower()
    assert fresh.json("status", "web")["state"] == "failed"


@pytest.mark.parametrize("kept, lost", [(("vmlinuz",), "initramfs"), (("initramfs",), "vmlinuz"), ((), "vmlinuz")])
def test_no_kernel_or_base_image(crippled, kept, lost):
    error = missing(crippled(guest_files=kept), says=lost, remedy="make guest")
    assert error["kind"] == "not_found"


@pytest.mark.parametrize("lost", ["microagent-supervisor", "microagent-netd", "microagent-mediator"])
def test_a_program_is_missing(crippled, guest_image, lost):
    kept = [program for program in installation.PROGRAMS if program != lost]
    missing(crippled(programs=kept), says=lost, remedy="one directory")


def test_a_kernel_without_content(fresh, guest_image):
    fresh.json("create", "web")
    guest = fresh.state / "guest"
    guest.mkdir()
    for name in installation.GUEST_FILES:
        (guest / name).touch()
    guest.chmod(0o755)
    error = fresh.refuses("start", "web", code=EXIT_FAILURE)
    assert str(guest / "vmlinuz") in error["message"] and "make guest" in error["remediation"]


def test_a_kernel_that_is_none(fresh, guest_image):
    """QEMU itself, or the guest's silence, tells; here QEMU refuses to load text."""
    fresh.json("create", "web")
    guest = fresh.state / "guest"
    guest.mkdir()
    for name in installation.GUEST_FILES:
        (guest / name).write_text("not a kernel\n" * 1000)
    guest.chmod(0o755)
    outcome = fresh.run("--json", "start", "web", "--timeout", "5", code=None, timeout=60)
    assert outcome.code != 0 and outcome.error()["message"]
    assert fresh.json("status", "web")["state"] == "failed"


def test_doctor_of_a_whole_installation(fresh, guest_image):
    found = checks(fresh, 0)
    assert all(check["passed"] for check in found.values() if check["required"]), found
    assert {"state directory", "disk room", "programs", "QEMU", "guest image", "memory files", "seccomp", "KVM",
            "namespaces", "ping sockets", "kernel", "clock", "ports", "images", "image room"} == set(found)
    assert "Linux" in found["kernel"]["detail"] and "version" in found["QEMU"]["detail"]
    text = fresh.run("doctor").text
    assert "FAILED" not in text


def test_doctor_looks_at_the_disk_for_images(fresh, guest_image):
    room = checks(fresh, 0, env={"MICROAGENT_CACHE": "/proc/images"})["image room"]  # where nothing has room
    assert not room["passed"] and not room["required"] and "0 MiB" in room["detail"], room
    assert "MICROAGENT_CACHE" in room["remedy"]


def test_doctor_tells_what_is_missing(crippled):
    microagent = crippled(programs=["microagent", "microagent-supervisor"], guest_files=())
    found = checks(microagent, EXIT_FAILURE, env={"PATH": "/nonexistent"})
    for name in ("programs", "QEMU", "guest image"):
        assert not found[name]["passed"] and found[name]["detail"] and found[name]["remedy"], found[name]
    text = microagent.run("doctor", code=EXIT_FAILURE, env={"PATH": "/nonexistent"}).text
    assert "FAILED" in text and "cannot run here" in text


def test_doctor_tries_the_ports_that_are_wanted(fresh, guest_image):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        fresh.json("create", "web", "-p", f"{port}:80")
        for words in (["doctor"], ["doctor", "-p", f"127.0.0.1:{port}:80"]):
            ports = next(check for check in fresh.json(*words)["checks"] if check["name"] == "ports")
            assert not ports["passed"] and not ports["required"] and f":{port}:80/tcp" in ports["detail"], ports
            assert "ss -lntup" in ports["remedy"]
    assert checks(fresh, 0)["ports"]["passed"]
    assert "--publish" in fresh.refuses("doctor", "-p", "80")["message"]


def test_doctor_knows_which_ports_need_privilege(fresh, guest_image, alone):
    setting = pathlib.Path("/proc/sys/net/ipv4/ip_unprivileged_port_start")
    before = setting.read_text()
    setting.write_text("1024")
    try:
        fresh.json("create", "low", "-p", "80:80")
        ports = checks(fresh, 0)["ports"]
        assert not ports["passed"] and "low" in ports["detail"] and "privileged" in ports["detail"], ports
        assert "net.ipv4.ip_unprivileged_port_start=80" in ports["remedy"]
        setting.write_text("80")
        assert checks(fresh, 0)["ports"]["passed"]
    finally:
        setting.write_text(before)


def test_doctor_tells_why_kvm_is_not_used(fresh, guest_image):
    """Whether or not the device is there: it is tried, and a refusal has its reason and is no failure."""
    kvm = checks(fresh, 0)["KVM"]
    assert not kvm["required"] and kvm["detail"]
    if not kvm["passed"]:
        assert kvm["remedy"] and "emulated" in kvm["detail"]


# A /dev whose kvm opens and answers nothing, and a processor that would have what KVM needs; for what it runs alone.
HOST_WITH_A_DEAD_KVM = """
set -e
mkdir -p "$0/dev"
mount --rbind /dev "$0/dev"
sed 's/^flags\\t*:/& svm/' /proc/cpuinfo >"$0/cpuinfo"
mount --bind "$0/cpuinfo" /proc/cpuinfo
mount -t tmpfs -o mode=755 dev /dev
for name in null zero full random urandom tty; do touch /dev/$name; mount --bind "$0/dev/$name" /dev/$name; done
touch /dev/kvm
mount --bind /dev/null /dev/kvm
exec "$@"
"""


def test_a_kvm_device_that_cannot_run_a_guest(alone, fresh, scratch, guest_image):
    """It opens, and is none at all: doctor says so, and a guest is emulated, with the reason in its record."""
    place = fresh.account.make_directory(scratch / "kvm", mode=0o755)

    def there(*words):
        command = ["unshare", "--mount", "sh", "-c", HOST_WITH_A_DEAD_KVM, place, "setpriv",
                   f"--reuid={fresh.account.uid}", f"--regid={fresh.account.gid}", "--clear-groups",
                   fresh.prefix / "bin" / "microagent", "--json", "--state-dir", fresh.state, *words]
        done = subprocess.run([str(word) for word in command], capture_output=True, check=False, timeout=90)
        assert done.returncode == 0, (done.stdout, done.stderr)
        return Outcome(words, 0, done.stdout, done.stderr).json

    kvm = next(check for check in there("doctor")["checks"] if check["name"] == "KVM")
    assert not kvm["passed"] and "/dev/kvm opens, but" in kvm["detail"] and kvm["remedy"]
    fresh.json("create", "web", "--network", "isolated")
    record = there("start", "web")
    assert record["state"] == "running" and record["acceleration"] == "tcg"
    assert "/dev/kvm opens, but" in record["accelerationReason"]
    fresh.json("kill", "web")
    fresh.json("delete", "web")
