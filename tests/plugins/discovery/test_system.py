"""What the system's files say of names."""

import os
import tempfile
import unittest

from meshd_plugins.discovery.system import System, candidates, parse_hosts, parse_resolv, read_system


class Files(unittest.TestCase):
    def test_hosts(self):
        self.assertEqual(
            parse_hosts("127.0.0.1 localhost  # here\n\n# no\nbad x\n10.0.0.1 A.test a\n10.0.0.2 a.test\nfd00::1 a\n"),
            {"localhost": ("127.0.0.1",), "a.test": ("10.0.0.1", "10.0.0.2"), "a": ("10.0.0.1", "fd00::1")})

    def test_resolv(self):
        self.assertEqual(
            parse_resolv("nameserver 10.0.0.1\nnameserver fd00::1\nsearch a.test b.test.\noptions ndots:2 rotate\n"),
            ((("10.0.0.1", 53), ("fd00::1", 53)), ("a.test", "b.test"), 2))
        self.assertEqual(parse_resolv(""), ((("127.0.0.1", 53),), (), 1))

    def test_names_to_try(self):
        system = System(search=("x",), ndots=2)
        self.assertEqual(candidates("a.b", system), ["a.b.x", "a.b"])
        self.assertEqual(candidates("a.b.c", system), ["a.b.c", "a.b.c.x"])
        self.assertEqual(candidates("a.", system), ["a"])

    def test_files_are_read_again_when_they_change(self):
        with tempfile.TemporaryDirectory() as folder:
            hosts, resolv = os.path.join(folder, "hosts"), os.path.join(folder, "resolv.conf")
            empty = read_system(None, hosts, resolv)
            self.assertEqual(empty.hosts, {})
            self.assertIs(read_system(empty, hosts, resolv), empty)
            with open(hosts, "w") as file:
                file.write("10.0.0.1 a\n")
            self.assertEqual(read_system(empty, hosts, resolv).hosts, {"a": ("10.0.0.1",)})
