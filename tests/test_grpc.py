"""gRPC through interception: every kind of call, its trailers, its errors, and a refusal in its own words."""

import json
import pathlib
import subprocess
import sys

import pytest

from harness import python_guest
from harness import world as net
from harness.certificates import Certificates

PACKAGES = ("ca-certificates", "python3-grpcio")
MEMORY = "2GiB"  # the root file system with them lives in it
PORT = 50051
SERVER = pathlib.Path(__file__).parent / "harness" / "grpc_server.py"
POLICY = {"deny": [{"host": "one.test", "paths": ["/test.Secret/*"]}]}

CLIENT = """
import grpc, json, os, sys
roots = open(os.environ["GRPC_DEFAULT_SSL_ROOTS_FILE_PATH"], "rb").read()
channel = grpc.secure_channel(sys.argv[1], grpc.ssl_channel_credentials(roots))
said = {}

answer, call = channel.unary_unary("/test.Echo/Unary").with_call(b"hello", timeout=20)
said["unary"] = [answer.decode(), dict(call.trailing_metadata()).get("seen")]

def failure(path, **options):
    try:
        channel.unary_unary(path)(b"hello", **{"timeout": 20, **options})
    except grpc.RpcError as error:
        return [error.code().name, error.details()]

said["fails"] = failure("/test.Echo/Fails")
said["denied"] = failure("/test.Secret/Unary")
said["deadline"] = failure("/test.Echo/Waits", timeout=1)[0]
said["source"] = [len(list(channel.unary_stream("/test.Echo/Source")(b"300", timeout=60))),
                  sum(map(len, channel.unary_stream("/test.Echo/Source")(b"300", timeout=60)))]
said["sink"] = channel.stream_unary("/test.Echo/Sink")((bytes(16384) for _ in range(300)), timeout=60).decode()

# Each message is sent only when the one before has come back.
turn, heard = __import__("queue").Queue(), []
turn.put(b"0")
for answer in channel.stream_stream("/test.Echo/Chat")(iter(turn.get, None), timeout=60):
    heard.append(answer.decode())
    turn.put(str(len(heard)).encode() if len(heard) < 10 else None)
said["chat"] = heard
said["waited"] = channel.unary_unary("/test.Echo/Waited")(b"", timeout=20).decode()
print(json.dumps(said))
"""


@pytest.fixture(scope="module")
def certificates(scratch):
    return Certificates(scratch / "callees")


@pytest.fixture(scope="module")
def upstream(world, certificates):
    certificate, key = certificates.make("grpc", "one.test")
    process = subprocess.Popen(world.inside(sys.executable, str(SERVER), str(certificate), str(key), str(PORT)),
                               stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "serving\n"
    yield
    process.kill()
    process.wait()


@pytest.fixture(scope="module")
def said(upstream, certificates, prefix, microagent, workspaces, scratch):
    python_guest.install(prefix, microagent, PACKAGES)
    policy = scratch / "grpc-policy.json"
    policy.write_text(json.dumps(POLICY))
    root = scratch / "grpc-root.pem"
    root.write_text(certificates.root.read_text())
    for path in (policy, root):
        path.chmod(0o644)
    guest = workspaces("caller", "--memory", MEMORY, "--egress", "mitm", "--egress-trust", str(root),
                       "--egress-policy", str(policy))
    answer = json.loads(guest.exec("python3", "-c", CLIENT, f"one.test:{PORT}", timeout=240).text)
    return guest, answer


def test_every_kind_of_call(said):
    answer = said[1]
    assert answer["unary"] == ["hello", "5"]
    assert answer["source"] == [300, 300 * 16384]
    assert answer["sink"] == str(300 * 16384)
    assert answer["chat"] == [str(number) for number in range(10)]


def test_errors_arrive_as_the_server_meant_them(said):
    assert said[1]["fails"] == ["NOT_FOUND", "no such thing: 100 % gone"]


def test_a_call_that_is_given_up_is_given_up_upstream(said):
    assert said[1]["deadline"] == "DEADLINE_EXCEEDED" and said[1]["waited"] == "1"


def test_a_denied_call_is_refused_in_grpcs_own_words(said):
    guest, answer = said
    code, details = answer["denied"]
    assert code == "PERMISSION_DENIED" and "microagent refused" in details and "/test.Secret/*" in details
    record = guest.wait_for_record(event="egress_deny", path="/test.Secret/Unary")
    assert record["method"] == "POST" and record["decision"] in details


def test_every_call_is_recorded(said):
    guest = said[0]
    record = guest.wait_for_record(event="egress_request", path="/test.Echo/Source")
    assert record["status"] == 200 and record["bytesIn"] > 300 * 16384
    assert guest.wait_for_record(event="egress_allow", dst=f"{net.OTHER_SERVERS[0]}:{PORT}")["mitm"] is True
