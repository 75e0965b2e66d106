"""What a guest on a disk keeps of whom it trusts: as long as its TLS is intercepted."""

import pytest

from harness import images

BUNDLE = "/etc/ssl/certs/ca-certificates.crt"
THEIRS = "what the image trusts\n"
ACCOUNTS = b"root:x:0:0:root:/root:/bin/sh\nagent:x:1000:1000::/home/agent:/bin/sh\n"
SPEC = "name: kept\nimage: {image}\negress:\n  mode: {mode}\n"
OURS = ("grep -rl microagent /etc /usr/local /root /home 2>/dev/null;"
        " find /etc /root /home -name 'cert9.db' -o -name 'microagent*'; true")


@pytest.fixture(scope="module", name="spec")
def fixture_spec(account, place):
    layer = images.Layer().file("etc/passwd", ACCOUNTS).directory("etc/ssl").directory("etc/ssl/certs")
    layer.file(BUNDLE[1:], THEIRS.encode()).directory("root", mode=0o700).directory("home")
    layer.directory("home/agent", mode=0o700, owner=(1000, 1000))
    layout = images.write_layout(place / "small", [images.busybox_layer(), layer.finish()])
    path = account.home / "kept.yaml"

    def write(mode):
        path.write_text(SPEC.format(image=layout, mode=mode))
        account.own(path)
        return str(path)

    return write


@pytest.fixture(scope="module", name="guest")
def fixture_guest(workspaces, spec):
    return workspaces("kept", "--file", spec("mitm"))


def trust_ready(guest):
    return guest.status()["readiness"]["trustReady"]


def test_everyone_at_home_in_the_guest_trusts(guest):
    assert trust_ready(guest)["ready"], trust_ready(guest)
    facts = guest.shell("stat -c '%U %a %n' /root/.pki/nssdb/cert9.db /home/agent/.pki/nssdb /home/agent/.pki/nssdb/*")
    assert facts.splitlines() == ["root 600 /root/.pki/nssdb/cert9.db", "agent 700 /home/agent/.pki/nssdb",
                                  "agent 600 /home/agent/.pki/nssdb/cert9.db"]
    assert guest.shell(f"head -n 1 {BUNDLE}") == THEIRS


def test_what_others_have_made_of_it_is_left_alone_and_said(guest):
    """A policy for Firefox that does not name the certificate."""
    policies = "/etc/firefox/policies/policies.json"
    guest.shell(f"rm {policies} && echo '{{}}' >{policies}")
    guest.stop()
    guest.start()
    ready = trust_ready(guest)
    assert not ready["ready"] and f"{policies} does not have" in ready["error"], ready
    assert guest.shell(f"cat {policies}") == "{}\n"
    guest.shell(f"rm {policies}")


def test_nothing_is_left_where_nothing_is_intercepted_any_longer(guest, microagent, spec):
    guest.stop()
    microagent.run("apply", spec("broker"))
    guest.start()
    assert trust_ready(guest)["ready"] is False and "error" not in trust_ready(guest), trust_ready(guest)
    assert guest.shell(OURS) == ""
    assert guest.shell(f"cat {BUNDLE}") == THEIRS
    assert "SSL_CERT_FILE" not in guest.exec("env").text
