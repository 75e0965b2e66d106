"""The checks of the tree find what they are for: each is shown a small tree that is right but for one thing."""

import pathlib
import subprocess
import tempfile
import unittest

TOOLS = pathlib.Path(__file__).resolve().parent

TREE = {
    "src/base/CMakeLists.txt": "microagent_test(base SOURCES fd_test.cc)\n",
    "src/base/fd.h": "#pragma once\n\n#include <string>\n",
    "src/base/fd_test.cc": '#include "base/fd.h"\n',
    "src/wire/CMakeLists.txt": "microagent_test(wire SOURCES arp_test.cc)\n",
    "src/wire/arp.h": '#pragma once\n\n#include "base/fd.h"\n',
    "src/wire/arp_test.cc": '#include "wire/arp.h"\n',
    "src/wire/testing/frames.h": "#pragma once\n",
    "src/policy/CMakeLists.txt": "microagent_test(policy SOURCES rule_test.cc)\n",
    "src/policy/rule.h": "#pragma once\n",
    "src/policy/rule_test.cc": '#include "policy/rule.h"\n',
    "fuzz/CMakeLists.txt": "microagent_fuzz(arp LINK microagent_wire)\n",
    "fuzz/arp_fuzz.cc": '#include "wire/arp.h"\n#include "wire/testing/frames.h"\n',
}


def run(check, changes):
    with tempfile.TemporaryDirectory() as directory:
        for name, text in {**TREE, **changes}.items():
            path = pathlib.Path(directory, name)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        return subprocess.run([TOOLS / check, directory], capture_output=True, text=True, check=False)


class ChecksTest(unittest.TestCase):
    def expect_clean(self, check, changes):
        done = run(check, changes)
        self.assertEqual((done.returncode, done.stdout), (0, ""), done.stderr)

    def expect_problem(self, check, changes, problem):
        done = run(check, changes)
        self.assertEqual(done.returncode, 1, done.stdout)
        self.assertIn(problem, done.stdout)

    def test_what_is_right_passes(self):
        self.expect_clean("check-layers", {})
        self.expect_clean("check-style", {})

    def test_layers(self):
        for name, text, problem in (
            ("src/base/fd.h", '#include "wire/arp.h"\n', "src/base/fd.h:1: base (layer 0) includes wire (layer 1)"),
            ("src/wire/arp.h", '#include "policy/rule.h"\n', "wire (layer 1) includes policy (layer 1)"),
            ("src/wire/arp_test.cc", '#include "policy/rule.h"\n', "wire (layer 1) includes policy (layer 1)"),
            ("src/virtio/ring.h", '#include "policy/rule.h"\n', "virtio may not include policy, only: base wire"),
            ("src/init/main.cc", '#  include "policy/rule.h"\n', "init may not include policy"),
            ("src/wire/arp.h", '#include "wire/testing/frames.h"\n', '"wire/testing/frames.h" is for tests'),
            ("src/wire/arp.h", '#include "arp.h"\n', '"arp.h" is no file of src/'),
            ("src/newcomer/a.h", "#pragma once\n", "src/newcomer has no layer"),
            ("src/wire/arp.h", "#include <openssl/ssl.h>\n", "<openssl/ssl.h> is known to"),
            ("fuzz/arp_fuzz.cc", '#include "wire/none.h"\n', '"wire/none.h" is no file of src/'),
        ):
            with self.subTest(problem=problem):
                self.expect_problem("check-layers", {name: text}, problem)

    def test_style(self):
        long_line = "// " + "x" * 118 + "\n"
        for name, text, problem in (
            ("src/base/fd.h", "#pragma once\n" + long_line, "src/base/fd.h:2: 121 columns, 120 are allowed"),
            ("src/base/fd.h", "#pragma once\n" + "//\n" * 600, "601 lines"),
            ("src/base/fd.h", "\n", "no #pragma once"),
            ("src/base/fd.cc", "// TO" + "DO: more\n", "src/base/fd.cc:1: TO" + "DO"),
            ("docs/a.md", "FIX" + "ME\n", "docs/a.md:1: FIX" + "ME"),
            ("src/base/fd.cc", "int a; \n", "spaces at the end"),
            ("src/base/fd.cc", "\tint a;\n", "a tab"),
            ("src/base/fd.cc", "int a;", "no newline at the end"),
            ("src/base/log_test.cc", "\n", "log_test.cc:1: not in base/CMakeLists.txt"),
            ("src/audit/CMakeLists.txt", "\n", "src/audit:1: a folder without a test"),
            ("fuzz/dns_fuzz.cc", "\n", "dns_fuzz.cc:1: not in fuzz/CMakeLists.txt"),
        ):
            with self.subTest(problem=problem):
                self.expect_problem("check-style", {name: text}, problem)

    def test_a_place_without_sources_is_no_success(self):
        with tempfile.TemporaryDirectory() as empty:
            for check in ("check-layers", "check-style"):
                done = subprocess.run([TOOLS / check, empty], capture_output=True, text=True, check=False)
                self.assertNotEqual(done.returncode, 0)


if __name__ == "__main__":
    unittest.main()
