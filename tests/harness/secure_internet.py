"""Upstreams that speak TLS in the tests' internet: nginx with HTTP/1.1 and HTTP/2, and servers with manners of their
own (secure_servers.py), certified by a root of the tests."""

import hashlib
import json
import pathlib
import sys

from harness.certificates import Certificates
from harness.upstreams import Upstreams

HERE = pathlib.Path(__file__).parent
NGINX, PLAIN, EXPIRED, WRONG_NAME, SELF_SIGNED, MUTUAL, HTTP1_ONLY = 8443, 8444, 8445, 8446, 8447, 8448, 8449
BIG = 64 * 1024 * 1024
SERVERS = """
  client_max_body_size 0;
  server {{
    listen {nginx} ssl http2;
    root {directory}/pages;
    location /simple/ {{ default_type text/html; }}
    if_modified_since before;
    location /limited {{ client_max_body_size 1k; }}
    location /nothing {{ return 204; }}
    location /up {{ proxy_pass http://127.0.0.1:80/up; proxy_request_buffering off; proxy_http_version 1.1; }}
  }}
  server {{
    listen {http1} ssl;
    ssl_protocols TLSv1.2;
    root {directory}/pages;
  }}
"""


class SecureInternet:
    def __init__(self, world, directory):
        directory.mkdir()
        directory.chmod(0o755)
        self.certificates = Certificates(directory / "certificates")
        self.root = self.certificates.root
        self.root.chmod(0o644)
        directory.joinpath("certificates").chmod(0o755)
        good = self.certificates.make("good", "one.test", "two.test")
        identities = {
            PLAIN: good,
            EXPIRED: self.certificates.make("expired", "one.test", begin="20200101000000Z", end="20200201000000Z"),
            WRONG_NAME: self.certificates.make("wrong", "other.test"),
            SELF_SIGNED: self.certificates.make_self_signed("selfsigned", "one.test"),
            MUTUAL: good,
        }
        ports = {port: {"certificate": str(certificate), "key": str(key)}
                 for port, (certificate, key) in identities.items()}
        ports[MUTUAL]["clients"] = str(self.root)
        self._lay_out_pages(directory)
        self.upstreams = Upstreams(world)
        self.upstreams.start(sys.executable, HERE / "secure_servers.py", json.dumps(ports))
        self.upstreams.start_nginx(directory, good,
                                   SERVERS.format(directory=directory, nginx=NGINX, http1=HTTP1_ONLY))
        self.upstreams.wait_for((*ports, NGINX, HTTP1_ONLY), "the servers with TLS")

    def close(self):
        self.upstreams.close()

    def add_pages(self, pages):
        """More of what nginx serves: contents by their paths."""
        for path, content in pages.items():
            file = self.pages / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(content if isinstance(content, bytes) else content.encode())
        self._let_all_read()

    def _let_all_read(self):
        for path in (self.pages, *self.pages.rglob("*")):
            path.chmod(0o755 if path.is_dir() else 0o644)

    def _lay_out_pages(self, directory):
        pages = self.pages = directory / "pages"
        pages.mkdir()
        (pages / "index.html").write_text("hello from nginx\n")
        (pages / "private").mkdir()
        (pages / "private" / "index.html").write_text("private\n")
        block = hashlib.sha256(b"pages").digest() * 32768
        self.digest = hashlib.sha256()
        with open(pages / "big", "wb") as file:
            for _ in range(BIG // len(block)):
                file.write(block)
                self.digest.update(block)
        self._let_all_read()
