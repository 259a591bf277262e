"""What the discoveries by HTTP have in common: their cluster is checked, credentials are read and not shown."""

import os
import tempfile
import unittest

from meshd.cli.check import Checked
from meshd.testing.site import FakeSite
from meshd_plugins.discovery.remote import TokenOptions
from meshd_plugins.discovery.secret import Secret

MESH = """
clusters:
  - name: servers
    endpoints: [{address: "127.0.0.1:8001"}]
  - name: users
    discovery: %s
"""
TYPES = {
    "http": "{http: {cluster: %s}}",
    "consul": "{consul: {cluster: %s, service: users}}",
    "etcd": "{etcd: {cluster: %s, prefix: /users/}}",
    "kubernetes": "{kubernetes: {cluster: %s, service: users}}",
}


def faults(discovery):
    """Return the faults of a configuration, as text."""
    with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
        file.write(MESH % discovery)
        file.flush()
        return [f"{fault.code} {fault.mark.line}: {fault.message}" for fault in Checked([file.name]).faults]


class CheckTest(unittest.TestCase):
    def test_all_can_be_configured(self):
        for name, text in TYPES.items():
            with self.subTest(name):
                self.assertEqual(faults(text % "servers"), [])

    def test_the_cluster_must_be_there(self):
        for name, text in TYPES.items():
            with self.subTest(name):
                self.assertEqual(faults(text % "server"), ['MSH0201 6: unknown cluster "server"'])

    def test_it_must_be_another(self):
        for name, text in TYPES.items():
            with self.subTest(name):
                found, = faults(text % "users")
                self.assertIn("expected another one than its own", found)

    def test_one_token_only(self):
        options = TokenOptions(cluster="servers", token_env="A", token_file="/b")
        self.assertEqual([name for name, _ in options.check()], ["token_env"])


class SecretTest(unittest.TestCase):
    def fetch(self, file=None, variable="", **environment):
        """Return what comes of it, or the text of the failure."""
        found = []
        secret = Secret(file, variable, FakeSite(environment=environment))
        secret.fetch().addCallbacks(found.append, lambda why: found.append(str(why.value)))
        return found[0]

    def test_from_the_environment(self):
        self.assertEqual(self.fetch(variable="T", T=" abc\n"), b"abc")

    def test_from_a_file_that_is_read_each_time(self):
        with tempfile.TemporaryDirectory() as folder:
            path, found = os.path.join(folder, "token"), []
            secret = Secret(path, "", FakeSite())
            for text in ("one\n", "two"):
                with open(path, "w") as file:
                    file.write(text)
                secret.fetch().addCallback(found.append)
        self.assertEqual(found, [b"one", b"two"])

    def test_there_may_be_none(self):
        self.assertIsNone(self.fetch())

    def test_what_is_none_is_a_failure_that_does_not_show_it(self):
        expected = "environment: T: expected a credential of visible ASCII characters"
        for value in ("", "a b", "a\r\nx-evil: 1", "\udce4"):
            self.assertEqual(self.fetch(variable="T", T=value), expected)
        self.assertEqual(self.fetch(file="/nowhere/token"), "/nowhere/token: cannot be read: No such file or directory")
