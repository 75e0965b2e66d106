"""Certificates for the servers of the tests' internet, made with openssl."""

import base64
import hashlib
import ssl
import subprocess


def openssl(*words, **options):
    done = subprocess.run(["openssl", *map(str, words)], capture_output=True, text=True, check=False, **options)
    assert done.returncode == 0, f"openssl {' '.join(map(str, words))}: {done.stderr.strip()}"
    return done.stdout


class Certificates:
    """A root and what it has signed, as files of a directory: NAME.crt and NAME.key."""

    def __init__(self, directory):
        self.directory = directory
        directory.mkdir()
        self._make("root", "-x509", "-days", "30", "-subj", "/CN=root of the tests",
                   "-addext", "basicConstraints=critical,CA:TRUE", "-addext", "keyUsage=critical,keyCertSign,cRLSign")
        self.root = directory / "root.crt"

    def make(self, name, *hosts, begin=None, end=None, client=False):
        """Signed by the root; the time is given as YYYYMMDDHHMMSSZ."""
        self._make(name, "-subj", f"/CN={name}")
        names = ",".join(f"DNS:{host}" for host in hosts) or f"DNS:{name}.invalid"
        usage = "clientAuth" if client else "serverAuth"
        extensions = self.directory / f"{name}.ext"
        extensions.write_text(f"subjectAltName={names}\nextendedKeyUsage={usage}\n")
        if begin:
            return self._sign_for(name, extensions, begin, end)
        openssl("x509", "-req", "-in", self._path(name, "crt"), "-CA", self.root, "-CAkey", self._path("root", "key"),
                "-CAcreateserial", "-days", "30", "-extfile", extensions, "-out", self._path(name, "crt"))
        return self._path(name, "crt"), self._path(name, "key")

    def make_self_signed(self, name, host):
        self._make(name, "-x509", "-days", "30", "-subj", f"/CN={host}", "-addext", f"subjectAltName=DNS:{host}")
        return self._path(name, "crt"), self._path(name, "key")

    def make_revocation_list(self):
        """The root's list of what it has revoked: nothing."""
        configuration = self.directory / "list.cnf"
        (self.directory / "revoked.txt").touch()
        configuration.write_text(f"[ca]\ndefault_ca=tests\n[tests]\ndatabase={self.directory}/revoked.txt\n"
                                 "default_md=sha256\ndefault_crl_days=30\n")
        return openssl("ca", "-gencrl", "-config", configuration, "-cert", self.root, "-keyfile",
                       self._path("root", "key"))

    def fingerprint(self, name):
        return openssl("x509", "-in", self._path(name, "crt"), "-noout", "-fingerprint", "-sha256").strip()

    def pin(self, name):
        """Of its key (RFC 7469, 2.4), as curl's --pinnedpubkey wants it behind "sha256//"."""
        key = openssl("x509", "-in", self._path(name, "crt"), "-noout", "-pubkey")
        der = ssl.PEM_cert_to_DER_cert(key.replace("PUBLIC KEY", "CERTIFICATE"))  # the same armour
        return base64.b64encode(hashlib.sha256(der).digest()).decode()

    def _path(self, name, kind):
        return self.directory / f"{name}.{kind}"

    def _make(self, name, *words):
        openssl("req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout",
                self._path(name, "key"), "-out", self._path(name, "crt"), *words)

    # Only the ca command signs for a time of our choice.
    def _sign_for(self, name, extensions, begin, end):
        configuration = self.directory / "ca.cnf"
        (self.directory / "index.txt").touch()
        configuration.write_text(f"[ca]\ndefault_ca=tests\n[tests]\ndatabase={self.directory}/index.txt\n"
                                 f"new_certs_dir={self.directory}\nrand_serial=yes\ndefault_md=sha256\npolicy=any\n"
                                 "unique_subject=no\n[any]\ncommonName=supplied\n")
        openssl("ca", "-batch", "-config", configuration, "-cert", self.root, "-keyfile", self._path("root", "key"),
                "-startdate", begin, "-enddate", end, "-extfile", extensions, "-notext",
                "-in", self._path(name, "crt"), "-out", self._path(name, "signed"))
        self._path(name, "signed").rename(self._path(name, "crt"))
        return self._path(name, "crt"), self._path(name, "key")
