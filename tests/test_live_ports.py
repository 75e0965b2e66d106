"""Ports that are published and given back while the guest runs."""

import contextlib
import socket

import pytest

from harness.cli import EXIT_FAILURE, EXIT_USAGE
from harness.clients import connect, get, is_free, read_all

PAGE = "hello from the guest"
SERVICES = f"""
mkdir -p /tmp/www && echo {PAGE} >/tmp/www/index.html
httpd -p 80 -h /tmp/www
httpd -p 81 -h /etc
nc -ll -p 90 -e cat &
wait
"""


@pytest.fixture(scope="module")
def web(workspaces):
    workspace = workspaces("web", "--entrypoint", SERVICES)
    for port in (80, 81, 90):
        workspace.wait_for_listener(port)
    return workspace


def running(web):
    return [f"{port['host']}:{port['hostPort']}:{port['guestPort']}"
            for port in web.network()["runtime"].get("portForwards", [])]


def declared(web):
    return [f"{port['host']}:{port['hostPort']}:{port['guestPort']}"
            for port in web.network()["network"].get("portForwards", [])]


@pytest.fixture
def published(web):
    record = web.microagent.json("network", "publish", web.name, "0:80")
    assert record["running"] is True and record["change"] == "publish"
    port = record["runtime"]["portForwards"][0]["hostPort"]
    yield port
    if running(web):
        web.microagent.run("network", "unpublish", web.name, *declared(web))


def test_a_port_is_published_at_once(web, published):
    assert get(published, "/").decode().strip() == PAGE
    assert running(web) == [f"127.0.0.1:{published}:80"]
    assert declared(web) == ["127.0.0.1:0:80"]


def test_a_port_is_given_back_at_once(web, published):
    web.microagent.run("network", "unpublish", web.name, f"{published}:80")  # by the port that it got
    assert running(web) == declared(web) == []
    assert is_free(published)
    with pytest.raises(ConnectionRefusedError):
        connect(published)


def test_a_connection_outlives_its_port(web, published):
    web.microagent.run("network", "publish", web.name, "18090:90")
    with contextlib.closing(connect(18090)) as connection:
        connection.sendall(b"before ")
        assert connection.recv(7, socket.MSG_WAITALL) == b"before "
        web.microagent.run("network", "unpublish", web.name, "18090:90")
        assert is_free(18090)
        connection.sendall(b"after")
        connection.shutdown(socket.SHUT_WR)
        assert read_all(connection) == b"after"
    assert get(published, "/").decode().strip() == PAGE, "the other port is left alone"


def test_what_cannot_be_published_changes_nothing(web, published):
    with socket.create_server(("127.0.0.1", 18091)):
        error = web.microagent.refuses("network", "publish", web.name, "18092:80", "18091:80", code=EXIT_FAILURE)
    assert "18091" in error["message"] and "taken" in error["message"]
    assert running(web) == [f"127.0.0.1:{published}:80"] and declared(web) == ["127.0.0.1:0:80"]
    assert is_free(18092)
    assert get(published, "/").decode().strip() == PAGE


@pytest.mark.parametrize("words, message", [
    (("publish", "web", "0:0"), "0 is not a port"),
    (("publish", "web", "18093:80", "127.0.0.1:18093:81"), "18093"),
    (("publish", "web"), "required"),
])
def test_nonsense_is_refused(web, words, message):
    assert message in web.microagent.refuses("network", *words, code=EXIT_USAGE)["message"]


def test_a_port_that_is_not_published_cannot_be_given_back(web, published):
    error = web.microagent.refuses("network", "unpublish", web.name, "18094:80", code=EXIT_FAILURE)
    assert "127.0.0.1:18094:80/tcp is not published" in error["message"]
    assert running(web) == [f"127.0.0.1:{published}:80"]


def test_ports_of_a_workspace_that_does_not_run_are_recorded(workspaces):
    idle = workspaces("idle", start=False)
    record = idle.microagent.json("network", "publish", "idle", "18095:80", "18096-18097:90-91/udp")
    assert record["running"] is False
    assert declared(idle) == ["127.0.0.1:18095:80", "127.0.0.1:18096:90", "127.0.0.1:18097:91"]
    idle.microagent.run("network", "unpublish", "idle", "18096-18097:90-91/udp")
    assert declared(idle) == ["127.0.0.1:18095:80"]


def test_an_isolated_workspace_publishes_nothing(workspaces):
    sealed = workspaces("sealed", "--network", "isolated", start=False)
    sealed.microagent.refuses("network", "publish", "sealed", "18098:80", code=EXIT_USAGE)
    assert declared(sealed) == []
