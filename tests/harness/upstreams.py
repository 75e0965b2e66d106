"""Servers in the tests' internet: started there, waited for, and ended together."""

import subprocess

from harness import world as net
from harness.wait import wait_until

NGINX = """
user root;
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
{servers}
}}
"""


class Upstreams:
    def __init__(self, world):
        self.world, self.processes = world, []

    def start(self, *command):
        words = self.world.inside(*map(str, command))
        self.processes.append(subprocess.Popen(words, stdin=subprocess.PIPE))

    def start_nginx(self, directory, identity, servers):
        """`identity` is a certificate and its key; `servers` what else stands in the block `http`."""
        path = directory / "nginx.conf"
        certificate, key = identity
        path.write_text(NGINX.format(directory=directory, certificate=certificate, key=key, servers=servers))
        self.start("nginx", "-c", path)

    def wait_for(self, ports, what):
        def listens():
            assert all(process.poll() is None for process in self.processes), "a server of the test has ended"
            listening = net.run(*self.world.inside("ss", "-Hnlt"))
            return all(f":{port} " in listening for port in ports)

        wait_until(listens, f"{what} listen")

    def close(self):
        for process in self.processes:
            process.kill()
            process.wait()
