"""The HTTP/2 conformance cases against HAProxy and Envoy: where they decide otherwise, the RFC's words are cited."""

from unittest import TestCase

from tests.h2.cases import SERVER
from tests.h2.peers import backend, envoy, haproxy, judge
from tests.h2.runner import NOT_TRIED


class PeersTest(TestCase):
    """A case that a well-known proxy fails is wrong until the RFC's words are cited."""

    def check(self, peer, most):
        """Judge a peer by all cases."""
        with backend() as back, peer(back) as address:
            outcomes = judge(address, SERVER)
        failed = {case.id: outcomes[case.id] for case in SERVER if outcomes[case.id] not in ("", NOT_TRIED)}
        uncited = {case.id: failed[case.id] for case in SERVER if case.id in failed and not case.words}
        self.assertEqual(uncited, {})
        self.assertLess(len(failed), most)

    def test_haproxy(self):
        self.check(haproxy, 40)

    def test_envoy(self):
        self.check(envoy, 25)
