"""Forwarding: attempts, retries, timeouts and bodies, between a scripted client and scripted upstreams."""

from meshd.api import Timeouts
from meshd.http import flag
from tests.exchange.mesh import GET, OK, MeshCase, head_of, status_of

POST = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\n"


class Plain(MeshCase):
    def test_a_request_goes_there_and_back(self):
        mesh = self.mesh()
        client = mesh.client(b"GET /x?y=1 HTTP/1.1\r\nHost: a\r\nAccept: b\r\n\r\n")
        _, data = mesh.upstream.serve()
        self.assertTrue(data.startswith(b"GET /x?y=1 HTTP/1.1\r\nHost: a\r\nAccept: b\r\n"))
        self.assertEqual(client.read(), OK)
        exchange = mesh.last
        self.assertEqual((exchange.detail, exchange.flags, exchange.attempts), ("via_upstream", 0, 1))
        self.assertEqual(exchange.response_bytes, 2)

    def test_the_connection_to_the_upstream_is_used_again(self):
        mesh = self.mesh()
        client = mesh.client(GET)
        peer, _ = mesh.upstream.serve()
        for _ in range(3):
            client.send(GET)
            self.assertTrue(peer.read())
            peer.send(OK)
        self.assertEqual(client.read(), OK * 4)
        self.assertFalse(mesh.upstream.is_wanted())

    def test_a_body_follows_its_head(self):
        mesh = self.mesh()
        client = mesh.client(POST + b"bo")
        peer = mesh.upstream.accept()
        self.assertTrue(peer.read().endswith(b"\r\n\r\nbo"))
        client.send(b"dy")
        self.assertEqual(peer.read(), b"dy")
        peer.send(OK)
        self.assertEqual(client.read(), OK)
        self.assertEqual(mesh.last.request_bytes, 4)

    def test_chunks_and_trailers_are_passed_on(self):
        mesh = self.mesh()
        client = mesh.client(b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n")
        peer = mesh.upstream.accept()
        data = peer.read()
        client.send(b"0\r\nx-sum: 1\r\n\r\n")
        data += peer.read()
        self.assertIn(b"transfer-encoding: chunked\r\n", data)
        self.assertTrue(data.endswith(b"3\r\nabc\r\n0\r\nx-sum: 1\r\n\r\n"))
        peer.send(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\ny: 2\r\n\r\n")
        self.assertTrue(client.read().endswith(b"\r\n\r\n2\r\nok\r\n0\r\ny: 2\r\n\r\n"))

    def test_a_body_that_lasts_until_the_close_becomes_chunks(self):
        mesh = self.mesh()
        client = mesh.client(GET)
        peer, _ = mesh.upstream.serve(b"HTTP/1.1 200 OK\r\n\r\nab")
        peer.close()
        line, fields, body = head_of(client.read())
        self.assertEqual((fields[b"transfer-encoding"], body), (b"chunked", b"2\r\nab\r\n0\r\n\r\n"))
        self.assertNotIn(b"connection", fields)
        self.assertEqual(mesh.last.detail, "via_upstream")

    def test_interim_answers_are_relayed(self):
        mesh = self.mesh()
        client = mesh.client(GET)
        peer, _ = mesh.upstream.serve(b"HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n")
        self.assertEqual(client.read(), b"HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n")
        peer.send(OK)
        self.assertEqual(client.read(), OK)

    def test_interim_answers_are_kept_from_an_old_client(self):
        mesh = self.mesh()
        client = mesh.client(b"GET / HTTP/1.0\r\nHost: a\r\n\r\n")
        mesh.upstream.serve(b"HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n" + OK)
        self.assertTrue(client.read().startswith(b"HTTP/1.1 200"))

    def test_a_head_answer_has_its_length_and_no_body(self):
        mesh = self.mesh()
        client = mesh.client(b"HEAD / HTTP/1.1\r\nHost: a\r\n\r\n")
        peer, _ = mesh.upstream.serve(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n")
        self.assertEqual(client.read(), b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n")
        client.send(GET)
        self.assertTrue(peer.read())
        peer.send(OK)
        self.assertEqual(client.read(), OK)

    def test_a_client_that_expects_100_gets_it_once_an_upstream_is_there(self):
        mesh = self.mesh()
        client = mesh.client(POST.replace(b"\r\n\r\n", b"\r\nExpect: 100-continue\r\n\r\n"))
        peer = mesh.upstream.accept()
        self.assertNotIn(b"expect", peer.read().lower())
        self.assertEqual(client.read(), b"HTTP/1.1 100 Continue\r\n\r\n")
        client.send(b"body")
        self.assertEqual(peer.read(), b"body")
        peer.send(OK)
        self.assertEqual(client.read(), OK)

    def test_a_client_that_expects_100_is_refused_without_it(self):
        mesh = self.mesh()
        mesh.upstream.stop()
        client = mesh.client(POST.replace(b"\r\n\r\n", b"\r\nExpect: 100-continue\r\n\r\n"))
        answer = client.read()
        self.assertEqual(status_of(answer), 503)
        self.assertIn(b"connection: close", answer)


class Retries(MeshCase):
    def retrying(self, upstreams=2, on=("connect-failure", "reset-before-request"), attempts=1, **options):
        """Return a mesh whose route retries."""
        return self.mesh(upstreams=upstreams, retry={"on": on, "attempts": attempts}, **options)

    def test_a_refused_connect_is_tried_elsewhere_after_a_back_off(self):
        mesh = self.retrying()
        mesh.upstream.stop()
        client = mesh.client(GET)
        self.assertEqual(client.read(), b"")
        self.assertEqual(mesh.breaker.counts.retries, 1)
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
        mesh = self.mesh(upstreams=2, retry={"on": ("5xx",), "body_limit_bytes": 4})
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
        self.assertEqual(mesh.breaker.counts.retries, 0)
        mesh.advance(1)
        self.assertFalse(mesh.upstreams[1].is_wanted())

    def test_a_policy_that_raises_lets_the_failure_stand(self):
        mesh = self.retrying()
        mesh.upstream.stop()
        mesh.forward.plan.retry._attempts = None
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


class Times(MeshCase):
    def test_the_routes_timeout(self):
        mesh = self.mesh(timeouts=Timeouts(request_s=2.0))
        client = mesh.client(GET)
        peer = mesh.upstream.accept()
        mesh.advance(1.9)
        self.assertEqual(client.read(), b"")
        mesh.advance(0.2)
        self.assertEqual(status_of(client.read()), 504)
        self.assertEqual((mesh.last.flags, mesh.last.detail), (flag.UT, "response_timeout"))
        self.assertEqual(peer.end(), "fin")
        self.assertEqual(mesh.cluster.cells.timeouts.value, 1)

    def test_the_routes_timeout_runs_from_the_end_of_the_body(self):
        mesh = self.mesh(timeouts=Timeouts(request_s=2.0))
        client = mesh.client(POST + b"bo")
        mesh.advance(5)
        client.send(b"dy")
        mesh.advance(1.5)
        self.assertEqual(client.read(), b"")
        mesh.advance(1)
        self.assertEqual(status_of(client.read()), 504)

    def test_after_the_answer_began_it_cuts(self):
        mesh = self.mesh(timeouts=Timeouts(request_s=2.0))
        client = mesh.client(GET)
        peer, _ = mesh.upstream.serve(OK[:-1])
        mesh.advance(2.1)
        self.assertEqual(client.read(), OK[:-1])
        self.assertNotEqual(client.end(), "open")
        self.assertEqual(mesh.last.flags, flag.UT)
        self.assertEqual(peer.end(), "fin")

    def test_a_try_that_takes_too_long_is_made_elsewhere(self):
        mesh = self.mesh(upstreams=2, retry={"on": ("5xx",)}, timeouts=Timeouts(per_try_s=1.0))
        client = mesh.client(GET)
        slow = mesh.upstream.accept()
        mesh.advance(1.1)
        self.assertEqual(slow.end(), "fin")
        mesh.upstreams[1].serve()
        self.assertEqual(client.read(), OK)
        self.assertEqual(mesh.cluster.cells.per_try_timeouts.value, 1)

    def test_a_try_with_a_body_is_timed_too(self):
        mesh = self.mesh(upstreams=2, retry={"on": ("5xx",)}, timeouts=Timeouts(per_try_s=1.0))
        client = mesh.client(b"PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nbo")
        mesh.advance(0.5)
        client.send(b"dy")
        mesh.advance(0.6)
        _, data = mesh.upstreams[1].serve()
        self.assertTrue(data.endswith(b"body"))
        self.assertEqual(client.read(), OK)

    def test_the_last_try_that_takes_too_long_is_answered(self):
        mesh = self.mesh(timeouts=Timeouts(per_try_s=1.0))
        client = mesh.client(GET)
        mesh.advance(1.1)
        self.assertEqual(status_of(client.read()), 504)
        self.assertEqual(mesh.last.flags, flag.UT)

    def test_a_late_answer_reaches_nobody(self):
        mesh = self.mesh(timeouts=Timeouts(request_s=1.0))
        client = mesh.client(GET)
        peer = mesh.upstream.accept()
        mesh.advance(1.1)
        client.read()
        try:
            peer.send(OK)
        except BrokenPipeError:
            pass
        self.assertEqual(client.read(), b"")

    def test_time_out_zero_is_none(self):
        mesh = self.mesh(timeouts=Timeouts(request_s=0.0), times={"stream_idle_s": 0.0})
        client = mesh.client(GET)
        mesh.advance(4000)
        mesh.upstream.serve()
        self.assertEqual(client.read(), OK)


class Broken(MeshCase):
    def test_what_is_no_http_is_a_protocol_error(self):
        mesh = self.mesh()
        client = mesh.client(GET)
        peer, _ = mesh.upstream.serve(b"SSH-2.0-OpenSSH\r\n")
        self.assertEqual(status_of(client.read()), 502)
        self.assertEqual(mesh.last.flags, flag.UPE)
        self.assertEqual(peer.end(), "fin")

    def test_a_close_at_every_byte_of_an_answer(self):
        answer = b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nabc"
        whole = len(answer)
        for count in range(whole):
            mesh = self.mesh()
            client = mesh.client(GET)
            peer, _ = mesh.upstream.serve(answer[:count])
            peer.close()
            data = client.read()
            if count < whole - 3:
                self.assertEqual(status_of(data), 503, count)
            else:
                self.assertNotEqual(client.end(), "open", count)
            self.assertEqual(mesh.last.flags, flag.UC, count)

    def test_more_than_the_answer_is_not_pooled(self):
        mesh = self.mesh()
        client = mesh.client(GET)
        peer, _ = mesh.upstream.serve(OK + OK)
        self.assertEqual(client.read(), OK)
        self.assertEqual((peer.end(), mesh.cluster.idle), ("fin", 0))

    def test_an_unasked_answer_closes_the_idle_connection(self):
        mesh = self.mesh()
        client = mesh.client(GET)
        peer, _ = mesh.upstream.serve(OK)
        peer.send(OK)
        self.assertEqual(client.read(), OK)
        self.assertEqual((peer.end(), mesh.cluster.idle), ("fin", 0))

    def test_an_unasked_101(self):
        mesh = self.mesh()
        client = mesh.client(GET)
        mesh.upstream.serve(b"HTTP/1.1 101 S\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n")
        self.assertEqual(status_of(client.read()), 502)

    def test_a_client_that_leaves_at_each_state(self):
        upstream_first = OK[:30]
        for state in range(4):
            mesh = self.mesh()
            client = mesh.client(POST)
            if state >= 1:
                peer = mesh.upstream.accept()
            if state >= 2:
                client.send(b"bo")
            if state >= 3:
                peer.send(upstream_first)
            client.close()
            self.assertEqual(mesh.last.flags, flag.DC, state)
            self.assertEqual(mesh.last.detail, "downstream_remote_disconnect")
            if state:
                self.assertEqual(peer.end(), "fin", state)
            self.assert_at_rest(mesh)
