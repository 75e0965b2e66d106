"""Container images made by the tests, and a registry to pull them from."""

import gzip
import hashlib
import http.server
import io
import json
import pathlib
import subprocess
import tarfile
import threading

from harness.wait import wait_until

BUSYBOX = pathlib.Path("/bin/busybox")


class Layer:
    """A layer in the making: what tar can hold, with owners, modes and extended attributes as one likes."""

    def __init__(self):
        self.buffer = io.BytesIO()
        self.tar = tarfile.open(fileobj=self.buffer, mode="w", format=tarfile.PAX_FORMAT)

    def add(self, name, kind=tarfile.REGTYPE, content=b"", mode=0o644, owner=(0, 0), target="", device=(0, 0),
            xattrs=None):
        info = tarfile.TarInfo(name)
        info.type, info.mode, info.size, info.mtime = kind, mode, len(content), 1_600_000_000
        info.uid, info.gid = owner
        info.linkname = target
        info.devmajor, info.devminor = device
        info.pax_headers = {f"SCHILY.xattr.{key}": value for key, value in (xattrs or {}).items()}
        self.tar.addfile(info, io.BytesIO(content))
        return self

    def file(self, name, content=b"", **facts):
        return self.add(name, content=content, **facts)

    def directory(self, name, mode=0o755, **facts):
        return self.add(name, tarfile.DIRTYPE, mode=mode, **facts)

    def symlink(self, name, target):
        return self.add(name, tarfile.SYMTYPE, mode=0o777, target=target)

    def hard_link(self, name, target):
        return self.add(name, tarfile.LNKTYPE, target=target)

    def device(self, name, kind, numbers, mode=0o600):
        return self.add(name, kind, mode=mode, device=numbers)

    def script(self, name, text):
        return self.file(name, ("#!/bin/sh\n" + text).encode(), mode=0o755)

    def finish(self):
        self.tar.close()
        return self.buffer.getvalue()


def busybox_layer():
    """A layer with a shell and all that busybox has."""
    layer = Layer().directory("bin").directory("sbin").directory("usr").directory("usr/bin").directory("usr/sbin")
    layer.directory("etc").directory("root", mode=0o700).directory("tmp", mode=0o1777)
    layer.file("bin/busybox", BUSYBOX.read_bytes(), mode=0o755)
    listed = subprocess.run([BUSYBOX, "--list-full"], check=True, capture_output=True, text=True).stdout
    for path in listed.split():
        if path not in ("bin/busybox", "linuxrc"):
            layer.hard_link(path, "bin/busybox")
    layer.file("etc/passwd", b"root:x:0:0:root:/root:/bin/sh\nweb:x:1001:1002::/srv:/bin/sh\n")
    layer.file("etc/group", b"root:x:0:\nweb:x:1002:\nextra:x:1500:web\n")
    return layer.finish()


def digest(content):
    return "sha256:" + hashlib.sha256(content).hexdigest()


def write_layout(directory, layers, config=None, tag="latest", platforms=("amd64",)):
    """Makes an OCI image layout; layers are compressed unless they are already. Returns what --image takes for it."""
    blobs = pathlib.Path(directory) / "blobs" / "sha256"
    blobs.mkdir(parents=True)

    def put(content, media):
        (blobs / digest(content).removeprefix("sha256:")).write_bytes(content)
        return {"mediaType": f"application/vnd.oci.image.{media}", "digest": digest(content), "size": len(content)}

    plain = [gzip.decompress(layer) if layer.startswith(b"\x1f\x8b") else layer for layer in layers]
    packed = [layer if layer.startswith(b"\x1f\x8b") else gzip.compress(layer, 1, mtime=0) for layer in layers]
    descriptors = [put(layer, "layer.v1.tar+gzip") for layer in packed]
    manifests = []
    for platform in platforms:
        image = {"architecture": platform, "os": "linux", "config": config or {},
                 "rootfs": {"type": "layers", "diff_ids": [digest(layer) for layer in plain]}}
        configuration = put(json.dumps(image).encode(), "config.v1+json")
        manifest = {"schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json",
                    "config": configuration, "layers": descriptors}
        manifests.append(put(json.dumps(manifest).encode(), "manifest.v1+json")
                         | {"platform": {"architecture": platform, "os": "linux"}})
    top = manifests[0]
    if len(platforms) > 1:
        top = put(json.dumps({"schemaVersion": 2, "manifests": manifests}).encode(), "index.v1+json")
    top = top | {"annotations": {"org.opencontainers.image.ref.name": tag}}
    (pathlib.Path(directory) / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": [top]}))
    (pathlib.Path(directory) / "oci-layout").write_text('{"imageLayoutVersion":"1.0.0"}')
    return f"oci:{directory}:{tag}"


def skopeo_copy(source, target, *flags):
    subprocess.run(["skopeo", "copy", "--quiet", "--dest-tls-verify=false", *flags, source, target], check=True)


class Registry:
    """Debian's docker-registry on loopback."""

    def __init__(self, directory, port=5000):
        self.address, self.log = f"127.0.0.1:{port}", pathlib.Path(directory) / "registry.log"
        config = pathlib.Path(directory) / "registry.yml"
        config.write_text(json.dumps({  # JSON is YAML
            "version": 0.1, "log": {"level": "info"}, "http": {"addr": self.address},
            "storage": {"filesystem": {"rootdirectory": str(pathlib.Path(directory) / "registry")}}}))
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen(["docker-registry", "serve", str(config)], stdout=log, stderr=log)
        wait_until(lambda: "listening on" in self.log.read_text(), "the registry listens", 30)

    def push(self, layout, name):
        """Puts a layout's image into the registry; returns what --image takes for it."""
        skopeo_copy(layout, f"docker://{self.address}/{name}", "--all")
        return f"{self.address}/{name}"

    def requests(self):
        return self.log.read_text().count("http.request.method=GET")

    def close(self):
        self.process.terminate()
        self.process.wait(10)


class LyingRegistry:
    """A registry on loopback that gives one image for whatever it is asked for, under whatever digest."""

    def __init__(self, layout):
        blobs = pathlib.Path(layout.removeprefix("oci:").rsplit(":", 1)[0])
        top = json.loads((blobs / "index.json").read_text())["manifests"][0]

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                found = self.path.rsplit("/", 1)[1]
                digest_, media = found, "application/octet-stream"
                if "/manifests/" in self.path:
                    digest_, media = top["digest"], top["mediaType"]
                blob = blobs / "blobs" / "sha256" / digest_.removeprefix("sha256:")
                body = blob.read_bytes() if digest_ else b"{}"
                self.send_response(200)
                self.send_header("Content-Type", media)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()
