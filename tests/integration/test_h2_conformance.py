"""The HTTP/2 conformance cases against the daemon, HAProxy and Envoy, as servers and as clients.

Where the other proxies decide otherwise, the RFC's words are cited.
"""

from functools import partial
from unittest import TestCase

from tests.h2 import client_peers
from tests.h2.cases import SERVER
from tests.h2.cases.client import CASES as CLIENT
from tests.h2.peers import backend, envoy, haproxy, judge
from tests.h2.runner import NOT_TRIED


class PeersTest(TestCase):
    """A case that a well-known proxy fails is wrong until the RFC's words are cited."""

    def check(self, cases, outcomes, most):
        """Judge a peer by all cases."""
        failed = {case.id: outcomes[case.id] for case in cases if outcomes[case.id] not in ("", NOT_TRIED)}
        uncited = {case.id: failed[case.id] for case in cases if case.id in failed and not case.words}
        self.assertEqual(uncited, {})
        self.assertLess(len(failed), most)

    def serve(self, peer):
        """Return the outcomes of a server."""
        with backend() as back, peer(back) as address:
            return judge(address, SERVER)

    def test_haproxy(self):
        self.check(SERVER, self.serve(haproxy), 40)

    def test_envoy(self):
        self.check(SERVER, self.serve(envoy), 25)

    def test_haproxy_as_a_client(self):
        self.check(CLIENT, client_peers.judge_haproxy(), 15)

    def test_envoy_as_a_client(self):
        self.check(CLIENT, client_peers.judge_client(client_peers.envoy), 8)


class DaemonTest(TestCase):
    """The daemon passes each request on to a server that is a script (as a server: test_http2)."""

    def test_both_engines_as_clients(self):
        for engine in ("fast", "pure"):
            with self.subTest(engine):
                outcomes = client_peers.judge_client(partial(client_peers.meshd, engine=engine), True)
                self.assertEqual({name: said for name, said in outcomes.items() if said}, {})
