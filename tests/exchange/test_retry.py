"""Attempts that are made again, and what the circuit breaker refuses."""

from meshd.http import flag
from tests.exchange.mesh import GET, OK, MeshCase, status_of

POST = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\n"


class Retries(MeshCase):
    def retrying(self, upstreams=2, on=("connect-failure", "reset-before-request"), attempts=1, **options):
        """Return a mesh whose route retries."""
        return self.mesh(upstreams=upstreams, retry={"retry_on": on, "attempts": attempts}, **options)

    def test_a_refused_connect_is_tried_elsewhere_after_a_back_off(self):
        mesh = self.retrying()
        mesh.upstream.stop()
        client = mesh.client(GET)
        self.assertEqual(client.read(), b"")
        self.assertEqual(mesh.breaker.ledger.retries, 1)
        mesh.advance(0.03)
        mesh.upstreams[1].serve()
        self.assertEqual(client.read(), OK)
        exchange = mesh.last
        self.assertEqual((exchange.attempts, exchange.flags), (2, 0))
        self.assertEqual(len(exchange.tried), 1)
        self.assertEqual(mesh.cluster.cells.retries.value, 1)

    def test_without_a_policy_a_refused_connect_is_answered(self):
        mesh = self.mesh()
        mesh.upstream.stop()
        answer = mesh.ask()
        self.assertEqual(status_of(answer), 503)
        exchange = mesh.last
        self.assertEqual((exchange.flags, exchange.failure), (flag.UF, "no such file or directory"))
        self.assertEqual(exchange.detail, "upstream_reset_before_response_started{connection_failure}")
        self.assertTrue(exchange.is_local_reply)

    def test_the_last_failure_is_answered_with_both_flags(self):
        mesh = self.retrying()
        for upstream in mesh.upstreams:
            upstream.stop()
        client = mesh.client(GET)
        mesh.advance(1)
        self.assertEqual(status_of(client.read()), 503)
        self.assertEqual(mesh.last.flags, flag.UF | flag.URX)

    def idle_then_closed(self, mesh):
        """Return a client after a first exchange, and the upstream's peer, still open."""
        client = mesh.client(GET)
        peer, _ = mesh.upstreams[0].serve()
        self.assertEqual(client.read(), OK)
        return client, peer

    def test_an_idle_connection_that_dies_as_it_is_taken_is_no_fault_of_the_request(self):
        mesh = self.retrying(upstreams=1)
        client, peer = self.idle_then_closed(mesh)
        client.socket.send(GET)
        mesh.world.batch()
        self.assertTrue(peer.socket.recv(100))
        peer.close()
        mesh.advance(0.03)
        mesh.upstream.serve()
        self.assertEqual(client.read(), OK)

    def test_a_post_on_a_stale_connection_is_not_sent_again(self):
        mesh = self.retrying(upstreams=1)
        client, peer = self.idle_then_closed(mesh)
        client.socket.send(POST + b"body")
        mesh.world.batch()
        peer.close()
        mesh.advance(0.03)
        self.assertEqual(status_of(client.read()), 503)
        self.assertEqual(mesh.last.flags, flag.UC)

    def test_a_fresh_connection_that_dies_is_not_retried_by_default(self):
        mesh = self.retrying(upstreams=1)
        client = mesh.client(GET)
        mesh.upstream.accept().close()
        self.assertEqual(status_of(client.read()), 503)
        self.assertEqual(mesh.last.flags, flag.UC)

    def test_a_status_is_retried_where_the_policy_says_so(self):
        mesh = self.retrying(on=("503",))
        client = mesh.client(GET)
        peer, _ = mesh.upstream.serve(b"HTTP/1.1 503 No\r\ncontent-length: 4\r\n\r\nnope")
        self.assertEqual(client.read(), b"")
        self.assertEqual(peer.end(), "fin")
        mesh.advance(0.03)
        mesh.upstreams[1].serve()
        self.assertEqual(client.read(), OK)

    def test_the_last_status_stands(self):
        mesh = self.retrying(on=("503",))
        client = mesh.client(GET)
        no = b"HTTP/1.1 503 No\r\ncontent-length: 4\r\n\r\nnope"
        mesh.upstream.serve(no)
        mesh.advance(0.03)
        mesh.upstreams[1].serve(no)
        self.assertEqual(client.read(), no)

    def test_nothing_is_retried_once_the_answer_has_begun(self):
        mesh = self.retrying(on=("5xx", "reset"))
        client = mesh.client(GET)
        peer, _ = mesh.upstream.serve(OK[:-1])
        peer.close()
        mesh.advance(1)
        self.assertEqual(client.read(), OK[:-1])
        self.assertIn(client.end(), ("reset", "fin"))
        self.assertEqual((mesh.last.attempts, mesh.last.flags), (1, flag.UC))

    def test_retries_stop_at_the_circuit_breaker(self):
        mesh = self.retrying(breaker={"max_retries": 0})
        mesh.upstream.stop()
        self.assertEqual(status_of(mesh.ask()), 503)
        self.assertEqual(mesh.cluster.cells.retry_overflow.value, 1)

    def test_a_body_within_the_bound_is_sent_again(self):
        mesh = self.retrying(on=("5xx",))
        client = mesh.client(b"PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 6\r\n\r\nabc")
        peer = mesh.upstream.accept()
        self.assertTrue(peer.read().endswith(b"\r\n\r\nabc"))
        client.send(b"def")
        self.assertEqual(peer.read(), b"def")
        peer.close()
        mesh.advance(0.03)
        _, data = mesh.upstreams[1].serve()
        self.assertTrue(data.endswith(b"\r\n\r\nabcdef"))
        self.assertEqual(client.read(), OK)

    def test_a_body_beyond_the_bound_is_not_sent_again(self):
        mesh = self.mesh(upstreams=2, retry={"retry_on": ("5xx",), "body_limit_bytes": 4})
        client = mesh.client(b"PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 6\r\n\r\nabc")
        peer = mesh.upstream.accept()
        peer.read()
        client.send(b"def")
        peer.close()
        mesh.advance(0.1)
        self.assertEqual(status_of(client.read()), 503)
        self.assertEqual(mesh.last.attempts, 1)

    def test_body_bytes_that_come_during_the_back_off_are_sent_with_the_next_attempt(self):
        mesh = self.retrying()
        mesh.upstream.stop()
        client = mesh.client(b"PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 6\r\n\r\nabc")
        client.send(b"def")
        mesh.advance(0.03)
        _, data = mesh.upstreams[1].serve()
        self.assertTrue(data.endswith(b"\r\n\r\nabcdef"))
        self.assertEqual(client.read(), OK)

    def test_a_client_that_leaves_during_the_back_off_ends_it(self):
        mesh = self.retrying()
        mesh.upstream.stop()
        client = mesh.client(GET)
        client.close()
        self.assertEqual(mesh.last.flags, flag.DC)
        self.assertEqual(mesh.breaker.ledger.retries, 0)
        mesh.advance(1)
        self.assertFalse(mesh.upstreams[1].is_wanted())

    def test_a_policy_that_raises_lets_the_failure_stand(self):
        mesh = self.retrying()
        mesh.upstream.stop()
        mesh.forward.plan.retry._reasons = None
        self.assertEqual(status_of(mesh.ask()), 503)
        self.assertIn("TypeError", mesh.world.bugs[0])
        mesh.world.events.clear()

    def test_a_balancer_that_raises_at_the_second_attempt_has_no_endpoint(self):
        mesh = self.retrying()
        mesh.upstream.stop()
        client = mesh.client(GET)
        mesh.cluster.pick = lambda exchange: 1 / 0
        mesh.advance(0.1)
        self.assertEqual(status_of(client.read()), 503)
        self.assertTrue(mesh.last.flags & flag.UH)
        self.assertIn("ZeroDivisionError", mesh.world.bugs[0])
        mesh.world.events.clear()


class Overflow(MeshCase):
    def test_too_many_requests(self):
        mesh = self.mesh(breaker={"max_requests": 1})
        first = mesh.client(GET)
        answer = mesh.ask()
        self.assertEqual((status_of(answer), mesh.last.flags), (503, flag.UO))
        self.assertIn(b"x-envoy-overloaded: true", answer)
        mesh.upstream.serve()
        self.assertEqual(first.read(), OK)
        self.assertEqual(mesh.cluster.cells.request_overflow.value, 1)

    def test_too_many_that_wait(self):
        mesh = self.mesh(breaker={"max_pending": 0})
        self.assertEqual(status_of(mesh.ask()), 503)
        self.assertEqual(mesh.last.flags, flag.UO)
        self.assertEqual(mesh.cluster.cells.pending_overflow.value, 1)

    def test_one_connection_serves_all_in_order(self):
        mesh = self.mesh(breaker={"max_connections": 1})
        clients = [mesh.client(GET.replace(b"/ ", b"/%d " % number)) for number in range(4)]
        peer = mesh.upstream.accept()
        for number, client in enumerate(clients):
            self.assertTrue(peer.read().startswith(b"GET /%d " % number))
            peer.send(OK)
            self.assertEqual(client.read(), OK)
        self.assertFalse(mesh.upstream.is_wanted())
        self.assertEqual(mesh.cluster.cells.connection_overflow.value, 3)

    def test_without_endpoints(self):
        mesh = self.mesh()
        mesh.cluster.set_endpoints(())
        self.assertEqual(status_of(mesh.ask()), 503)
        self.assertEqual((mesh.last.flags, mesh.last.detail), (flag.UH, "no_healthy_upstream"))
