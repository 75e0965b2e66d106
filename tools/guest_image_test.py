"""Tests of tools/guest-image: what it makes of its parts, and what it says when one is missing. Downloads nothing."""

import gzip
import importlib.machinery
import importlib.util
import os
import pathlib
import stat
import struct
import subprocess
import sys
import tempfile
import unittest

TOOL = pathlib.Path(__file__).resolve().parent / "guest-image"
sys.dont_write_bytecode = True
loader = importlib.machinery.SourceFileLoader("guest_image", str(TOOL))
specification = importlib.util.spec_from_loader("guest_image", loader)
guest_image = importlib.util.module_from_spec(specification)
loader.exec_module(guest_image)


def run_tool(*arguments):
    command = [sys.executable, str(TOOL), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


class Scratch(unittest.TestCase):
    def setUp(self):
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.root = pathlib.Path(directory.name)


class ArchiveTest(Scratch):
    def test_is_read_by_cpio(self):
        archive = guest_image.Archive()
        archive.directory("d", 0o750, owner=1000)
        archive.file("d/odd", b"three", 0o4755)
        archive.link("d/link", "../elsewhere")
        archive.add("console", stat.S_IFCHR | 0o600, device=(5, 1))
        done = subprocess.run(["cpio", "-itvn"], input=archive.finish(), capture_output=True, check=True)
        lines = [line.split() for line in done.stdout.decode().splitlines()]
        self.assertEqual([line[0] for line in lines], ["drwxr-x---", "-rwsr-xr-x", "lrwxrwxrwx", "crw-------"])
        self.assertEqual([line[2] for line in lines], ["1000", "0", "0", "0"])
        self.assertEqual(lines[1][4], "5")
        self.assertEqual(lines[2][-3:], ["d/link", "->", "../elsewhere"])
        self.assertEqual(lines[3][4:6], ["5,", "1"])


class KernelTest(unittest.TestCase):
    KERNEL = b"\x7fELF" + bytes(range(256)) * 50

    def image(self, payload, size):
        compressed = payload + struct.pack("<I", size)
        header = bytearray(2048)
        header[0x1F1] = 3
        struct.pack_into("<II", header, 0x248, 10, len(compressed))
        return bytes(header) + bytes(10) + compressed + b"behind it"

    def test_is_unpacked(self):
        payload = gzip.compress(self.KERNEL)
        self.assertEqual(guest_image.unpack_image(self.image(payload, len(self.KERNEL))), self.KERNEL)

    def test_is_refused_when_it_is_not_what_it_says(self):
        payload = gzip.compress(self.KERNEL)
        for image in (self.image(payload, len(self.KERNEL) + 1), self.image(b"unknown!", len(self.KERNEL)),
                      self.image(gzip.compress(b"no ELF"), 6)):
            with self.assertRaisesRegex(guest_image.Failure, "compressed in a way unknown here"):
                guest_image.unpack_image(image)

    def test_modules_lose_their_signature_and_nothing_else(self):
        signed = b"module" + b"s" * 300 + bytes(8) + struct.pack(">I", 300) + guest_image.SIGNATURE_MARK
        self.assertEqual(guest_image.without_signature(signed), b"module")
        self.assertEqual(guest_image.without_signature(b"module"), b"module")


class CommandTest(Scratch):
    def assert_one_line(self, done, *words):
        self.assertEqual(done.returncode, 1, done.stderr)
        self.assertEqual(len(done.stderr.splitlines()), 1, done.stderr)
        for word in words:
            self.assertIn(word, done.stderr)

    def test_wants_a_static_init(self):
        self.assert_one_line(run_tool(self.root / "guest", "--init", self.root / "none"), "there is no", "--init")
        self.assert_one_line(run_tool(self.root / "guest", "--init", "/bin/ls"), "/bin/ls is not linked statically")

    def test_says_where_it_cannot_write(self):
        file = self.root / "file"
        file.write_text("in the way")
        self.assert_one_line(run_tool(file / "guest", "--init", "/bin/busybox"), str(file))

    # Whatever else is broken: a directory that is up to date needs neither apt nor the network.
    def test_leaves_a_current_directory_alone(self):
        for name in ("vmlinuz", "initramfs"):
            (self.root / name).write_text("as it was")
        inputs = {"init": guest_image.digest(guest_image.BUSYBOX), "busybox": guest_image.digest(guest_image.BUSYBOX),
                  "script": guest_image.digest(TOOL)}
        (self.root / "stamp.json").write_text(guest_image.json.dumps(dict(inputs, lists=guest_image.lists_age())))
        environment = dict(os.environ, PATH="/nonexistent")
        done = subprocess.run([sys.executable, str(TOOL), str(self.root), "--init", "/bin/busybox"], env=environment,
                              capture_output=True, text=True, check=False)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.assertEqual((self.root / "initramfs").read_text(), "as it was")


if __name__ == "__main__":
    unittest.main()
