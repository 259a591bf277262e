"""Mirrors: copies of requests that the client never feels."""

import unittest

from meshd.api import Extra, Mirror
from meshd.exchange.mirror import shadow_host
from meshd.model.cluster import Cluster as ClusterSpec
from meshd.model.cluster import EndpointSpec
from meshd.upstream.cluster import Cluster
from meshd_plugins.limits import Breaker, Limits
from tests.exchange.mesh import GET, OK, InTurn, MeshCase, Upstream, head_of
from tests.upstream.counts import Counts

PUT = b"PUT /x?y HTTP/1.1\r\nHost: a:80\r\nX-Envoy-Attempt-Count: 1\r\nContent-Length: 4\r\n\r\n"


class Mirrors(MeshCase):
    def mirrored(self, breaker=(), count=1, endpoints=None, **options):
        """Return a mesh with a second cluster, ``mesh.shadow``, that gets a copy of each request."""
        mesh = self.mesh(upstreams=2, retry={"retry_on": ("5xx",)})
        mesh.shadow = Upstream(mesh)
        spec = ClusterSpec(name="shadow", endpoints=(EndpointSpec(address=mesh.shadow.address),))
        mesh.second = Cluster(spec, InTurn(), Breaker(Limits(**dict(breaker)), Counts.made(), mesh.world.metrics, "s"),
                              mesh.world)
        mesh.second.set_endpoints(spec.endpoints if endpoints is None else endpoints)
        mesh.second.start()
        mesh.dropped = []
        mesh.mirrors = tuple(
            Mirror(cluster=mesh.second, dropped=mesh.dropped.append, **options) for _ in range(count))
        mesh.forward.plan = mesh.forward.plan.__class__(
            clusters=mesh.forward.plan.clusters, retry=mesh.forward.plan.retry, extra=Extra(mirrors=mesh.mirrors))
        self.addCleanup(self.at_rest, mesh)
        return mesh

    def at_rest(self, mesh):
        """Everything of the mirrors was given back."""
        mesh.shadow.close()
        mesh.turn()
        counts = mesh.second.breaker.ledger
        self.assertEqual((counts.pending, counts.requests), (0, 0))
        self.assertEqual([endpoint.active for endpoint in mesh.second.endpoints], [0] * len(mesh.second.endpoints))
        self.assertEqual(mesh.second.cells.active_requests.value, 0)
        self.assertEqual([mirror.held[0] for mirror in mesh.mirrors], [0] * len(mesh.mirrors))
        mesh.second.retire()
        mesh.turn()

    def test_a_copy_goes_to_the_second_cluster_and_its_answer_nowhere(self):
        mesh = self.mirrored()
        client = mesh.client(GET)
        _, copy = mesh.shadow.serve(b"HTTP/1.1 500 No\r\ncontent-length: 1\r\n\r\nx")
        self.assertEqual(client.read(), b"")
        mesh.upstream.serve()
        self.assertEqual(client.read(), OK)
        line, fields, _ = head_of(copy)
        self.assertEqual((line, fields[b"host"]), (b"GET / HTTP/1.1", b"a-shadow"))
        self.assertEqual(mesh.second.cells.requests.value, 1)
        self.assertEqual(mesh.last.attempts, 1)

    def test_a_body_is_copied_and_control_fields_are_not(self):
        mesh = self.mirrored()
        client = mesh.client(PUT + b"bo")
        self.assertFalse(mesh.shadow.is_wanted())
        client.send(b"dy")
        _, copy = mesh.shadow.serve()
        line, fields, body = head_of(copy)
        self.assertEqual((line, body, fields[b"content-length"]), (b"PUT /x?y HTTP/1.1", b"body", b"4"))
        self.assertEqual(fields[b"host"], b"a-shadow:80")
        self.assertFalse([name for name in fields if name.startswith(b"x-envoy-")])
        self.assertTrue(mesh.upstream.serve()[1].endswith(b"body"))

    def test_a_chunked_body_gets_a_length(self):
        mesh = self.mirrored()
        mesh.client(b"PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nbo\r\n2\r\ndy\r\n0\r\n\r\n")
        _, copy = mesh.shadow.serve()
        _, fields, body = head_of(copy)
        self.assertEqual((body, fields[b"content-length"], b"transfer-encoding" in fields), (b"body", b"4", False))
        mesh.upstream.serve()

    def test_the_host_is_kept_where_told(self):
        mesh = self.mirrored(keeps_host=True)
        mesh.client(GET)
        self.assertEqual(head_of(mesh.shadow.serve()[1])[1][b"host"], b"a")
        mesh.upstream.serve()

    def test_an_edit_sees_the_copy_alone(self):
        mesh = self.mirrored(edit=lambda asked: asked.request.headers.set(b"x-copy", asked.listener.encode()))
        mesh.client(GET)
        self.assertEqual(head_of(mesh.shadow.serve()[1])[1][b"x-copy"], b"public")
        self.assertNotIn(b"x-copy", mesh.upstream.serve()[1])

    def test_several_mirrors(self):
        mesh = self.mirrored(count=2)
        mesh.client(GET)
        for _ in range(2):
            mesh.shadow.serve()
        mesh.upstream.serve()

    def test_a_retried_request_is_copied_once(self):
        mesh = self.mirrored()
        client = mesh.client(GET)
        mesh.shadow.serve()
        mesh.upstream.serve(b"HTTP/1.1 503 No\r\ncontent-length: 0\r\n\r\n")
        mesh.advance(0.3)
        mesh.upstreams[1].serve()
        self.assertEqual(client.read(), OK)
        self.assertFalse(mesh.shadow.is_wanted())
        self.assertEqual(mesh.second.cells.requests.value, 1)

    def test_a_share_of_the_requests(self):
        mesh = self.mirrored(percent=25.0)
        draws = iter((0.2499, 0.25))
        mesh.world.random.random = lambda: next(draws)
        for wanted in (True, False):
            client = mesh.client(GET)
            self.assertEqual(mesh.shadow.is_wanted(), wanted)
            mesh.upstream.serve()
            self.assertEqual(client.read(), OK)
            client.close()
            mesh.upstream.peers[-1].close()

    def test_a_silent_mirror_is_cut_and_never_felt(self):
        mesh = self.mirrored(timeout_s=3.0)
        client = mesh.client(GET)
        peer = mesh.shadow.accept()
        mesh.upstream.serve()
        self.assertEqual(client.read(), OK)
        mesh.advance(3.1)
        self.assertIn(peer.end(), ("fin", "reset"))
        self.assertEqual(mesh.second.cells.timeouts.value, 1)

    def test_a_mirror_that_takes_nothing_does_not_pause_the_client(self):
        mesh = self.mirrored(body_limit_bytes=2**22)
        body = b"x" * 2**20
        client = mesh.client(b"PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % len(body))
        peer = mesh.upstream.accept()
        got = b""
        for at in range(0, len(body), 65536):
            client.send(body[at:at + 65536])
            got += peer.read()
        self.assertTrue(got.endswith(body))
        self.assertTrue(mesh.shadow.accept())
        peer.send(OK)
        self.assertEqual(client.read(), OK)
        mesh.advance(20)

    def test_a_dead_mirror_is_never_felt(self):
        mesh = self.mirrored()
        mesh.shadow.stop()
        client = mesh.client(GET)
        mesh.upstream.serve()
        self.assertEqual(client.read(), OK)
        self.assertEqual(mesh.second.cells.connect_failures.value, 1)

    def test_garbage_and_resets_of_a_mirror_are_never_felt(self):
        for answer in (b"\0\0 garbage\r\n\r\n", OK[:-1], b"HTTP/1.1 101 Switching\r\nupgrade: x\r\n\r\n", b"", OK + OK):
            mesh = self.mirrored()
            client = mesh.client(GET)
            peer, _ = mesh.shadow.serve(answer)
            peer.close()
            mesh.upstream.serve()
            self.assertEqual(client.read(), OK, answer)

    def test_a_long_body_drops_the_mirror_alone(self):
        mesh = self.mirrored(body_limit_bytes=3)
        client = mesh.client(PUT + b"body")
        self.assertTrue(mesh.upstream.serve()[1].endswith(b"body"))
        self.assertEqual(client.read(), OK)
        self.assertEqual(mesh.dropped, ["body_limit"])
        self.assertFalse(mesh.shadow.is_wanted())

    def test_memory_of_all_bodies_in_flight_is_bounded(self):
        mesh = self.mirrored(memory_bytes=6)
        mesh.client(PUT + b"body")
        mesh.client(PUT + b"body")
        self.assertEqual(mesh.dropped, ["memory"])
        for _ in range(2):
            mesh.upstream.serve()
        mesh.shadow.serve()
        mesh.client(PUT + b"body")
        self.assertEqual(mesh.dropped, ["memory"])

    def test_the_mirror_clusters_own_breaker_drops_it(self):
        for limit in ("max_requests", "max_pending"):
            mesh = self.mirrored(breaker={limit: 0})
            client = mesh.client(GET)
            mesh.upstream.serve()
            self.assertEqual(client.read(), OK)
            self.assertEqual(mesh.dropped, ["overflow"], limit)

    def test_without_an_endpoint_it_is_dropped(self):
        mesh = self.mirrored(endpoints=())
        client = mesh.client(GET)
        mesh.upstream.serve()
        self.assertEqual(client.read(), OK)
        self.assertEqual(mesh.dropped, ["no_endpoint"])

    def test_a_mirror_that_raises_is_a_bug_and_not_the_clients(self):
        mesh = self.mirrored(edit=lambda asked: 1 / 0)
        client = mesh.client(GET)
        mesh.upstream.serve()
        self.assertEqual(client.read(), OK)
        self.assertIn("ZeroDivisionError", mesh.world.bugs[0])
        mesh.world.events.clear()

    def test_a_client_that_leaves_before_its_body_is_whole_leaves_no_copy(self):
        mesh = self.mirrored()
        client = mesh.client(PUT + b"bo")
        mesh.upstream.accept()
        client.close()
        self.assertFalse(mesh.shadow.is_wanted())
        self.assertEqual(mesh.dropped, [])

    def test_a_client_that_leaves_later_takes_nothing_from_the_mirror(self):
        mesh = self.mirrored()
        client = mesh.client(GET)
        peer = mesh.shadow.accept()
        client.close()
        peer.read()
        peer.send(OK)
        self.assertEqual(peer.end(), "open")
        self.assertEqual(mesh.second.idle, 1)

    def test_connections_of_the_mirror_are_kept(self):
        mesh = self.mirrored()
        for _ in range(2):
            client = mesh.client(GET)
            mesh.turn()
            peer = mesh.shadow.peers[0] if mesh.shadow.peers else mesh.shadow.accept()
            self.assertTrue(peer.read())
            peer.send(OK)
            mesh.upstream.serve()[0].close()
            self.assertEqual(client.read(), OK)
            client.close()


class Names(unittest.TestCase):
    def test_the_suffix_stands_before_the_port(self):
        for host, wanted in ((b"a", b"a-shadow"), (b"a:80", b"a-shadow:80"), (b"[::1]:80", b"[::1]-shadow:80"),
                             (b"10.0.0.1", b"10.0.0.1-shadow")):
            self.assertEqual(shadow_host(host), wanted)
