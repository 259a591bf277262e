"""Hedging: an attempt goes on beside the next one, and the first good head wins."""

from meshd.api import Extra, Timeouts
from meshd.http import flag
from tests.exchange.mesh import GET, OK, MeshCase, status_of

NO = b"HTTP/1.1 503 No\r\ncontent-length: 4\r\n\r\nnope"
WAIT_S = 0.3
"""More than any back-off here."""


class Hedging(MeshCase):
    def hedging(self, upstreams=2, on=("5xx", "connect-failure", "reset"), attempts=1, base_s=0.025, **options):
        """Return a mesh that hedges after 1 s, and a client that has asked."""
        mesh = self.mesh(
            upstreams=upstreams, retry={"retry_on": on, "attempts": attempts, "base_s": base_s},
            plan={"extra": Extra(hedges=True)},
            timeouts=Timeouts(request_s=10.0, per_try_s=1.0), **options)
        return mesh, mesh.client(GET)

    def two(self, mesh):
        """Return the peers of both attempts, once the second is there."""
        slow = mesh.upstreams[0].accept()
        slow.read()
        mesh.advance(1.0 + WAIT_S)
        other = mesh.upstreams[1].accept()
        other.read()
        self.assertEqual(slow.end(), "open")
        return slow, other

    def test_the_second_answers_first_and_the_slow_one_is_reset(self):
        mesh, client = self.hedging()
        slow, other = self.two(mesh)
        self.assertEqual(mesh.breaker.ledger.retries, 1)
        other.send(OK)
        self.assertEqual(client.read(), OK)
        self.assertIn(slow.end(), ("fin", "reset"))
        self.assertEqual((mesh.last.flags, mesh.last.attempts), (0, 2))
        self.assertEqual(mesh.last.endpoint.address, mesh.upstreams[1].address)
        self.assertEqual(mesh.cluster.cells.retries.value, 1)
        self.assertEqual(mesh.cluster.cells.per_try_timeouts.value, 0)

    def test_the_slow_one_answers_after_all(self):
        mesh, client = self.hedging()
        slow, other = self.two(mesh)
        slow.send(OK)
        self.assertEqual(client.read(), OK)
        self.assertIn(other.end(), ("fin", "reset"))
        self.assertEqual(mesh.last.endpoint.address, mesh.upstreams[0].address)

    def test_a_head_alone_wins_and_its_body_follows(self):
        mesh, client = self.hedging()
        slow, other = self.two(mesh)
        slow.send(OK[:-2])
        self.assertIn(other.end(), ("fin", "reset"))
        slow.send(b"ok")
        self.assertEqual(client.read(), OK)

    def test_a_bad_answer_does_not_win_while_the_other_may_still_answer(self):
        for bad, good in ((0, 1), (1, 0)):
            mesh, client = self.hedging()
            peers = self.two(mesh)
            peers[bad].send(NO)
            self.assertEqual(client.read(), b"")
            peers[good].send(OK)
            self.assertEqual(client.read(), OK)
            self.assertEqual(mesh.last.flags, 0)

    def test_two_bad_answers_end_it(self):
        mesh, client = self.hedging()
        slow, other = self.two(mesh)
        other.send(NO)
        slow.send(NO)
        self.assertEqual(client.read(), NO)
        self.assertEqual(mesh.last.flags, flag.URX)

    def test_a_lost_connection_does_not_end_it(self):
        for lost, good in ((0, 1), (1, 0)):
            mesh, client = self.hedging()
            peers = self.two(mesh)
            peers[lost].close()
            self.assertEqual(client.read(), b"")
            peers[good].send(OK)
            self.assertEqual(client.read(), OK)

    def test_two_lost_connections_end_it(self):
        mesh, client = self.hedging()
        for peer in self.two(mesh):
            peer.close()
        self.assertEqual(status_of(client.read()), 503)
        self.assertEqual(mesh.last.flags, flag.UC | flag.URX)

    def test_garbage_of_one_does_not_end_it(self):
        mesh, client = self.hedging()
        slow, other = self.two(mesh)
        other.send(b"not http at all\r\n\r\n")
        slow.send(OK)
        self.assertEqual(client.read(), OK)

    def test_an_answer_during_the_back_off_ends_the_back_off(self):
        mesh, client = self.hedging(base_s=2.0)
        mesh.forward.plan.retry._random = lambda: 0.9999
        slow = mesh.upstreams[0].accept()
        slow.read()
        mesh.advance(1.1)
        self.assertEqual(mesh.breaker.ledger.retries, 1)
        slow.send(OK)
        self.assertEqual(client.read(), OK)
        self.assertEqual(mesh.breaker.ledger.retries, 0)
        mesh.advance(3)
        self.assertFalse(mesh.upstreams[1].is_wanted())

    def test_without_an_attempt_left_the_slow_one_goes_on(self):
        mesh, client = self.hedging(attempts=1, breaker={"max_retries": 0})
        slow = mesh.upstreams[0].accept()
        mesh.advance(2)
        self.assertEqual(slow.end(), "open")
        slow.read()
        slow.send(OK)
        self.assertEqual(client.read(), OK)
        self.assertEqual(mesh.cluster.cells.retry_overflow.value, 1)

    def test_three_attempts_at_once(self):
        mesh, client = self.hedging(upstreams=3, attempts=2)
        slow, other = self.two(mesh)
        mesh.advance(1.0)
        third = mesh.upstreams[2].accept()
        third.read()
        self.assertEqual(mesh.breaker.ledger.retries, 2)
        self.assertEqual(slow.end(), "open")
        third.send(OK)
        self.assertEqual(client.read(), OK)
        for peer in (slow, other):
            self.assertIn(peer.end(), ("fin", "reset"))

    def test_the_routes_timeout_ends_all(self):
        mesh, client = self.hedging()
        slow, other = self.two(mesh)
        mesh.advance(10)
        self.assertEqual(status_of(client.read()), 504)
        self.assertTrue(mesh.last.flags & flag.UT)
        self.assertEqual(mesh.last.detail, "response_timeout")
        for peer in (slow, other):
            self.assertIn(peer.end(), ("fin", "reset"))

    def test_a_client_that_leaves_ends_all(self):
        mesh, client = self.hedging()
        slow, other = self.two(mesh)
        client.close()
        for peer in (slow, other):
            self.assertIn(peer.end(), ("fin", "reset"))
        self.assertEqual(mesh.last.flags, flag.DC)

    def test_a_body_is_sent_to_both(self):
        mesh = self.mesh(
            upstreams=2, retry={"retry_on": ("5xx",)}, plan={"extra": Extra(hedges=True)},
            timeouts=Timeouts(per_try_s=1.0))
        client = mesh.client(b"PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nbody")
        slow = mesh.upstreams[0].accept()
        self.assertTrue(slow.read().endswith(b"body"))
        mesh.advance(1.0 + WAIT_S)
        _, data = mesh.upstreams[1].serve()
        self.assertTrue(data.endswith(b"body"))
        self.assertEqual(client.read(), OK)

    def test_a_post_is_not_sent_twice(self):
        mesh = self.mesh(
            upstreams=2, retry={"retry_on": ("5xx",)}, plan={"extra": Extra(hedges=True)},
            timeouts=Timeouts(per_try_s=1.0))
        client = mesh.client(GET.replace(b"GET", b"POST"))
        peer = mesh.upstreams[0].accept()
        mesh.advance(1.0 + WAIT_S)
        self.assertFalse(mesh.upstreams[1].is_wanted())
        peer.send(OK)
        self.assertEqual(client.read(), OK)
