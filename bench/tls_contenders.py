"""What stands between client and upstream in bench/tls.py: TLS from the client, and TLS of its own, verified, to the
upstream. Each writes a line for every request into a file, as an audit log must, and has one thread to work with."""

import os
import pathlib
import socket
import subprocess

from harness.wait import wait_until

NAME = "upstream.example"
CIPHERS = "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384"
SUITES = "TLS_AES_256_GCM_SHA384:TLS_AES_128_GCM_SHA256"
SERVER_CPU, PROXY_CPU = 0, 1


def listens(port):
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def start(words, log, port, cpu):
    process = subprocess.Popen([str(word) for word in words], stdout=log, stderr=log, stdin=subprocess.DEVNULL,
                               preexec_fn=lambda: os.sched_setaffinity(0, {cpu} & os.sched_getaffinity(0) or {0}))
    wait_until(lambda: process.poll() is not None or listens(port), f"{words[0]} listens", 30)
    assert process.poll() is None, f"{words[0]} ended with {process.returncode}"
    return process


def end(process):
    process.terminate()
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def family(pid):
    """A process and its children, which here have none."""
    children = pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split()
    return [pid, *map(int, children)]


class Contender:
    name = ""

    def __init__(self, stage, upstream):
        """`stage` has certificates, a directory and a log; `upstream` is a port."""
        self.stage, self.upstream, self.port = stage, upstream, stage.next_port()
        self.directory = pathlib.Path(stage.directory / f"{self.port}")
        self.directory.mkdir()
        self.process = start(self.command(), stage.log, self.port, PROXY_CPU)

    def command(self):
        raise NotImplementedError

    def write(self, name, text):
        path = self.directory / name
        path.write_text(text)
        return path

    def cpu_seconds(self):
        spent = 0
        for pid in family(self.process.pid):
            for task in pathlib.Path(f"/proc/{pid}/task").iterdir():
                spent += int((task / "schedstat").read_text(encoding="ascii").split()[0])
        return spent / 1e9

    def resident_kib(self):
        def resident(pid):
            lines = pathlib.Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines()
            return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS"))
        return sum(map(resident, family(self.process.pid)))

    def close(self):
        end(self.process)


class Direct(Contender):
    """Nothing in between: what client and upstream take by themselves."""

    name = "direct"

    def __init__(self, stage, upstream):  # pylint: disable=super-init-not-called
        self.port, self.process = upstream, None

    def close(self):
        pass


class Microagent(Contender):
    name = "microagent"

    def command(self):
        return [self.stage.build / "bench" / "tls_front", self.port, self.upstream, NAME,
                self.stage.certificates.root, self.directory]


class Haproxy(Contender):
    name = "haproxy"

    def command(self):
        certificate, key = self.stage.leaf
        pem = self.write("leaf.pem", certificate.read_text() + key.read_text())
        server = (f"server up 127.0.0.1:{self.upstream} ssl verify required sni str({NAME}) verifyhost {NAME} "
                  f"ca-file {self.stage.certificates.root} ciphers {CIPHERS} ciphersuites {SUITES}")
        return ["haproxy", "-db", "-f", self.write("haproxy.cfg", f"""
global
    nbthread 1
    maxconn 8000
    log stdout format raw local0
    ssl-default-bind-ciphers {CIPHERS}
    ssl-default-bind-ciphersuites {SUITES}
    tune.ssl.default-dh-param 2048
defaults
    mode http
    log global
    option httplog
    timeout connect 10s
    timeout client 1h
    timeout server 1h
    timeout tunnel 1h
frontend f
    bind 127.0.0.1:{self.port} ssl crt {pem} alpn h2,http/1.1
    use_backend fresh if {{ path /fresh }}
    use_backend h2 if {{ ssl_fc_alpn h2 }}
    default_backend h1
backend h1
    http-reuse always
    {server} alpn http/1.1
backend fresh
    http-reuse never
    {server} alpn http/1.1
backend h2
    http-reuse always
    {server} alpn h2
""")]


class Nginx(Contender):
    """To its upstream it speaks HTTP/1.1 only."""

    name = "nginx"

    def command(self):
        certificate, key = self.stage.leaf
        return ["nginx", "-p", self.directory, "-c", self.write("nginx.conf", f"""
daemon off;
worker_processes 1;
pid nginx.pid;
error_log error.log;
events {{ worker_connections 8192; }}
http {{
    access_log access.log;
    keepalive_requests 1000000000;
    keepalive_timeout 1h;
    proxy_ssl_verify on;
    proxy_ssl_trusted_certificate {self.stage.certificates.root};
    proxy_ssl_server_name on;
    proxy_ssl_name {NAME};
    proxy_ssl_protocols TLSv1.2 TLSv1.3;
    proxy_ssl_ciphers {CIPHERS};
    proxy_ssl_conf_command Ciphersuites {SUITES};
    proxy_http_version 1.1;
    proxy_set_header Host {NAME};
    proxy_set_header Connection "";
    proxy_max_temp_file_size 0;
    proxy_buffers 8 64k;
    proxy_buffer_size 64k;
    upstream kept {{
        server 127.0.0.1:{self.upstream};
        keepalive 1024;
        keepalive_requests 1000000000;
        keepalive_timeout 1h;
    }}
    server {{
        listen 127.0.0.1:{self.port} ssl http2 backlog=1024;
        ssl_certificate {certificate};
        ssl_certificate_key {key};
        ssl_protocols TLSv1.2 TLSv1.3;
        ssl_ciphers {CIPHERS};
        ssl_conf_command Ciphersuites {SUITES};
        location / {{ proxy_pass https://kept; }}
        location = /fresh {{
            proxy_set_header Host {NAME};
            proxy_set_header Connection close;
            proxy_pass https://127.0.0.1:{self.upstream};
        }}
        location = /events {{ proxy_buffering off; proxy_pass https://kept; }}
        location = /socket {{
            proxy_set_header Host {NAME};
            proxy_set_header Upgrade $http_upgrade;
            proxy_set_header Connection upgrade;
            proxy_pass https://kept;
        }}
    }}
}}
""")]


class Mitmproxy(Contender):
    name = "mitmproxy"

    def command(self):
        certificate, key = self.stage.leaf
        pem = self.write("leaf.pem", certificate.read_text() + key.read_text())
        return ["mitmdump", "--set", f"confdir={self.directory}", "--mode", f"reverse:https://{NAME}:{self.upstream}",
                "--listen-host", "127.0.0.1", "--listen-port", self.port, "--certs", f"*={pem}", "--set",
                f"ssl_verify_upstream_trusted_ca={self.stage.certificates.root}", "--set", "stream_large_bodies=1",
                "--set", "connection_strategy=lazy", "--set", "flow_detail=1"]


ALL = {kind.name: kind for kind in (Direct, Microagent, Haproxy, Nginx, Mitmproxy)}
