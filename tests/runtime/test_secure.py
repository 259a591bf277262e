"""Whose files are looked after: the TLS of the runtime in force, whatever has been built beside it."""

from unittest import TestCase

import attrs

from meshd.api import ConfigurationError
from meshd.model.tls import UpstreamTls
from meshd.runtime.build import build
from meshd.runtime.site import finish
from meshd.runtime.state import StateTable
from meshd.tls.store import SecretStore
from tests.runtime import model


class SecureTest(TestCase):
    def setUp(self):
        self.world = model.world()
        self.addCleanup(self.world.poller.epoll.close)
        self.world.secrets = SecretStore(self.world)

    def build(self, tls):
        snapshot = model.snapshot(clusters=[attrs.evolve(model.cluster(), tls=UpstreamTls()),
                                            attrs.evolve(model.cluster(), name="other", tls=tls)])
        return finish(build(snapshot, model.REGISTRY, self.world, None, table=StateTable(), environment={}))

    def of_users(self):
        return [one for one in self.world.secrets.in_force() if one.where == "cluster users"]

    def test_of_the_runtime_in_force_alone(self):
        runtime = self.build(UpstreamTls())
        self.assertEqual(self.of_users(), [])
        runtime.take_over()
        before = self.of_users()
        self.assertEqual(before, [runtime.clusters["users"].tls])
        with self.assertRaises(ConfigurationError) as refused:
            self.build(UpstreamTls(cipher_suites=("UNKNOWN",)))
        built = self.build(UpstreamTls())
        self.assertEqual(self.of_users(), before)
        self.assertIn("OpenSSL knows none", str(refused.exception))
        built.take_over()
        self.assertEqual(self.of_users(), [built.clusters["users"].tls])
        for one in (runtime, built):
            finish(one.stop())
