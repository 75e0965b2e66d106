"""Hosts in the tests' internet that want credentials (swap_servers.py), over HTTP/1.1 and by nginx over HTTP/2, under
every name below many.test; and what they have heard."""

import json
import pathlib
import sys

from harness.certificates import Certificates
from harness.upstreams import Upstreams

HERE = pathlib.Path(__file__).parent
HTTP1, HTTP2, CLEAR = 9443, 9444, 9080
SERVERS = """
  keepalive_requests 100000;
  server {{
    listen {http2} ssl http2;
    location / {{
      proxy_pass http://127.0.0.1:{clear};
      proxy_http_version 1.1;
      proxy_set_header Host $http_host;
      proxy_set_header X-Version $server_protocol;
      proxy_buffering off;
    }}
  }}
"""


class SwapInternet:
    def __init__(self, world, directory):
        directory.mkdir(mode=0o755)
        directory.chmod(0o755)
        certificates = Certificates(directory / "certificates")
        self.root = certificates.root
        self.root.chmod(0o644)
        (directory / "certificates").chmod(0o755)
        certificate, key = certificates.make("many", "*.many.test")
        self.record, self.accepted = directory / "record", directory / "accepted"
        self.record.touch()
        self.accepted.touch()
        told = {"tls": HTTP1, "plain": CLEAR, "certificate": str(certificate), "key": str(key),
                "record": str(self.record)}
        self.upstreams = Upstreams(world)
        self.upstreams.start(sys.executable, HERE / "swap_servers.py", json.dumps(told))
        self.upstreams.start_nginx(directory, (certificate, key), SERVERS.format(http2=HTTP2, clear=CLEAR))
        self.upstreams.wait_for((HTTP1, HTTP2, CLEAR), "the servers of credentials")

    def close(self):
        self.upstreams.close()

    def heard(self, path):
        """The requests for a path, in the order in which they came."""
        all_of_them = [json.loads(line) for line in self.record.read_text().splitlines()]
        return [request for request in all_of_them if request["target"].split("?")[0] == path]
