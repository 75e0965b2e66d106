"""Hosts in the tests' internet that want credentials (swap_servers.py), over HTTP/1.1 and by nginx over HTTP/2, under
every name below many.test; and what they have heard."""

import json
import pathlib
import subprocess
import sys

from harness import world as net
from harness.certificates import Certificates
from harness.wait import wait_until

HERE = pathlib.Path(__file__).parent
HTTP1, HTTP2, CLEAR = 9443, 9444, 9080
CONFIGURATION = """
daemon off;
master_process off;
pid {directory}/nginx.pid;
error_log {directory}/nginx.log;
events {{ worker_connections 2048; }}
http {{
  access_log off;
  client_body_temp_path {directory}/body;
  proxy_temp_path {directory}/proxy;
  fastcgi_temp_path {directory}/fastcgi;
  uwsgi_temp_path {directory}/uwsgi;
  scgi_temp_path {directory}/scgi;
  ssl_certificate {certificate};
  ssl_certificate_key {key};
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
        configuration = directory / "nginx.conf"
        configuration.write_text("user root;\n" + CONFIGURATION.format(directory=directory, certificate=certificate,
                                                                       key=key, http2=HTTP2, clear=CLEAR))
        self.processes = [
            self._start(world, sys.executable, HERE / "swap_servers.py", json.dumps(told)),
            self._start(world, "nginx", "-c", configuration),
        ]

        def listens():
            assert all(process.poll() is None for process in self.processes), "a server of the test has ended"
            listening = net.run(*world.inside("ss", "-Hnlt"))
            return all(f":{port} " in listening for port in (HTTP1, HTTP2, CLEAR))

        wait_until(listens, "the servers of credentials listen")

    def close(self):
        for process in self.processes:
            process.kill()
            process.wait()

    def heard(self, path):
        """The requests for a path, in the order in which they came."""
        all_of_them = [json.loads(line) for line in self.record.read_text().splitlines()]
        return [request for request in all_of_them if request["target"].split("?")[0] == path]

    @staticmethod
    def _start(world, *command):
        return subprocess.Popen(world.inside(*map(str, command)), stdin=subprocess.PIPE)
