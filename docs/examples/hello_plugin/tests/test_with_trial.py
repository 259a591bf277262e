"""The same for trial and unittest: a mixin in the place of fixtures."""

import hello_plugin
from meshd.testing import MeshMixin
from twisted.internet.threads import deferToThread
from twisted.trial.unittest import TestCase

MESH = {
    "listeners": [{"name": "public", "address": "127.0.0.1:0", "filters": ["hello", {"router": {"virtual_hosts": [
        {"name": "all", "domains": ["*"], "routes": [{"match": {"prefix": "/"}, "direct_response": {"status": 204}}]},
    ]}}]}],
}


class HelloInAMeshTest(MeshMixin, TestCase):
    def test_greets(self):
        self.assertEqual(self.mesh(MESH, plugins=[hello_plugin]).get("/hello").text, "hello\n")

    def test_signs(self):
        asked = deferToThread(self.mesh(MESH, plugins=[hello_plugin]).get, "/other")
        return asked.addCallback(lambda answer: self.assertEqual(answer.headers["x-hello"], "1"))
