"""microagent.yaml: what is understood, and what is refused with its line."""

import pytest

from harness.cli import EXIT_USAGE

WHOLE = """\
name: web
network:
  mode: user
  forwards:
    - host: 127.0.0.1
      hostPort: 18080
      guestPort: 80
      protocol: tcp
    - {hostPort: 18100-18102, guestPort: 9100-9102, protocol: udp}
  ip: 10.20.30.2/24
  subnet: 10.20.30.0/24
  gateway: 10.20.30.1
  dns:
    - 1.1.1.1
    - 8.8.8.8
  routes:
    - 0.0.0.0/0 via 10.20.30.1
resources:
  memory: 1GiB
  cpus: 2
env:
  GREETING: hello
  COLOUR: red
entrypoint: httpd -f -p 80
egress:
  allow:
    - 10.1.2.3:5432
"""

REFUSED = {
    # what: (text, line, words of the message)
    "unknown key": ("name: web\ncolour: red\n", 2, "unknown key"),
    "unknown network key": ("name: web\nnetwork:\n  mode: user\n  bridge: br0\n", 4, "network.bridge"),
    "unknown forward key": ("name: web\nnetwork:\n  forwards:\n    - hostPort: 1\n      guestPort: 2\n      port: 3\n",
                            6, "forwards[0].port"),
    "unknown resource": ("name: web\nresources: {disk: 1}\n", 2, "resources.disk"),
    "unknown egress key": ("name: web\negress:\n  alow: []\n", 3, "egress.alow"),
    "a key twice": ("name: web\nname: wob\n", 2, "twice"),
    "a bad mode": ("name: web\nnetwork:\n  mode: bridge\n", 3, "bridge"),
    "a bad name": ("\nname: We/b\n", 2, "We/b"),
    "a list for a name": ("name: [web]\n", 1, "name"),
    "a map for a list": ("name: web\nnetwork:\n  dns: {a: b}\n", 3, "network.dns"),
    "text for a map": ("name: web\nnetwork: user\n", 2, "network"),
    "a forward without ports": ("name: web\nnetwork:\n  forwards:\n    - host: 127.0.0.1\n", 4, "hostPort"),
    "a bad port": ("name: web\nnetwork:\n  forwards:\n    - hostPort: 70000\n      guestPort: 80\n", 4, "70000"),
    "a bad ip": ("name: web\nnetwork:\n  ip: 10.0.0.256/24\n  gateway: 10.0.0.1\n", 3, "10.0.0.256"),
    "a bad gateway": ("name: web\nnetwork:\n  ip: 10.0.0.2/24\n  gateway: 10.0.1.1\n", 4, "10.0.1.1"),
    "a bad resolver": ("name: web\nnetwork:\n  dns:\n    - 1.1.1.1\n    - one\n", 5, "one"),
    "a bad route": ("name: web\nnetwork:\n  ip: 10.0.0.2/24\n  gateway: 10.0.0.1\n  routes:\n    - everywhere\n", 6,
                    "everywhere"),
    "bad memory": ("name: web\nresources:\n  memory: lots\n", 3, "lots"),
    "bad cpus": ("name: web\nresources:\n  cpus: -1\n", 3, "-1"),
    "bad env": ("name: web\nenv:\n  - GOOD=1\n  - BAD\n", 4, "value"),
    "a bad allow": ("name: web\negress:\n  allow:\n    - 10.0.0.0/8\n    - nonsense/9\n", 5, "nonsense"),
    "no YAML": ("name: web\nnetwork: [\n", 3, "not YAML"),
    "a tab": ("name: web\nnetwork:\n\tmode: user\n", 3, "not YAML"),
    "nothing": ("", 1, "empty"),
    "two documents": ("name: web\n---\nname: wob\n", 3, "second document"),
    "a scalar": ("web\n", 1, "not a map"),
}


@pytest.fixture
def spec(fresh, scratch):
    path = scratch / "microagent.yaml"

    def write(text):
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        path.chmod(0o644)
        return path

    yield write
    path.unlink(missing_ok=True)


def allowed(microagent, name):
    """The rules themselves; the record of a workspace only counts them."""
    return [rule["rule"] for rule in microagent.json("egress", "list", name)["egress"]["allow"]]


def test_a_whole_spec(fresh, spec):
    record = fresh.json("create", "--file", spec(WHOLE))
    assert record["workspace"] == "web"
    assert record["network"] == {
        "mode": "user", "ip": "10.20.30.2/24", "subnet": "10.20.30.0/24", "gateway": "10.20.30.1",
        "dns": ["1.1.1.1", "8.8.8.8"], "routes": ["0.0.0.0/0 via 10.20.30.1"],
        "portForwards": [{"protocol": "tcp", "host": "127.0.0.1", "hostPort": 18080, "guestPort": 80}]
                        + [{"protocol": "udp", "host": "127.0.0.1", "hostPort": 18100 + i, "guestPort": 9100 + i}
                           for i in range(3)]}
    assert record["resources"] == {"memoryMiB": 1024, "cpus": 2}
    assert sorted(record["envNames"]) == ["COLOUR", "GREETING"]
    assert record["entrypoint"] == "httpd -f -p 80"
    assert allowed(fresh, "web") == ["10.1.2.3:5432"]


def test_flags_win_and_lists_unite(fresh, spec):
    record = fresh.json("create", "other", "--file", spec(WHOLE.replace("name: web\n", "")), "--memory", "256", "--dns",
                        "9.9.9.9", "--publish", "18200:80", "--env", "COLOUR=blue", "--env", "SIZE=1", "--egress-allow",
                        "10.9.0.0/16", "--entrypoint", "sleep 9")
    assert record["workspace"] == "other"
    assert record["resources"] == {"memoryMiB": 256, "cpus": 2}
    assert record["network"]["dns"] == ["1.1.1.1", "8.8.8.8", "9.9.9.9"]
    assert [forward["hostPort"] for forward in record["network"]["portForwards"]] == [18080, 18100, 18101, 18102, 18200]
    assert sorted(record["envNames"]) == ["COLOUR", "GREETING", "SIZE"]
    assert allowed(fresh, "other") == ["10.1.2.3:5432", "10.9.0.0/16"]
    assert record["entrypoint"] == "sleep 9"


def test_a_flag_and_a_spec_collide(fresh, spec):
    error = fresh.refuses("create", "--file", spec(WHOLE), "--publish", "18080:81")
    assert "18080" in error["message"]


@pytest.mark.parametrize("text, line, words", REFUSED.values(), ids=REFUSED)
def test_what_is_wrong_is_refused_with_its_line(fresh, spec, text, line, words):
    path = spec(text)
    error = fresh.refuses("create", "--file", path)
    assert f"{path}:{line}:" in error["message"], error
    assert words in error["message"], error
    assert not list(fresh.workspaces.glob("*"))


def test_bytes_that_are_no_text(fresh, spec):
    fresh.refuses("create", "--file", spec(b"name: \xff\xfe\x00\n"))


def test_a_huge_spec(fresh, spec):
    error = fresh.run("--json", "create", "--file", spec("name: web\n#" + "x" * (33 << 20)), code=None)
    assert error.code in (1, 2) and error.error()["message"]


def test_a_bomb_of_aliases(fresh, spec):
    """Ten levels of ten aliases each stand for ten thousand million entries."""
    levels = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    levels += [f"a{i}: &a{i} [" + ", ".join([f"*a{i - 1}"] * 10) + "]" for i in range(1, 10)]
    fresh.run("--json", "create", "--file", spec("name: web\n" + "\n".join(levels) + "\n"), code=EXIT_USAGE, timeout=10)


def test_deep_nesting(fresh, spec):
    fresh.run("--json", "create", "--file", spec("name: web\nnetwork: " + "[" * 100_000), code=EXIT_USAGE, timeout=10)


def test_a_directory_is_no_spec(fresh, scratch):
    fresh.run("--json", "create", "--file", scratch, code=1).error()


def test_the_values_of_env_are_not_repeated(fresh, spec):
    record = fresh.run("--json", "create", "--file", spec("name: web\nenv: {TOKEN: hush-hush}\n"))
    assert b"hush-hush" not in record.out
    assert b"hush-hush" not in fresh.run("--json", "status", "web").out
    assert b"hush-hush" not in fresh.run("status", "web").out


def test_a_hundred_thousand_rules(fresh, spec):
    """What can be declared can be read again."""
    rules = "".join(f"    - h{i}.example.com:443\n" for i in range(100_000))
    fresh.json("create", "--file", spec("name: web\negress:\n  allow:\n" + rules), timeout=60)
    assert len(allowed(fresh, "web")) == 100_000
