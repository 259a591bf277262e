"""Forwarding: attempts, bodies, timeouts and broken answers, between a scripted client and scripted upstreams."""

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
        mesh = self.mesh(upstreams=2, retry={"retry_on": ("5xx",)}, timeouts=Timeouts(per_try_s=1.0))
        client = mesh.client(GET)
        slow = mesh.upstream.accept()
        mesh.advance(1.1)
        self.assertEqual(slow.end(), "fin")
        mesh.upstreams[1].serve()
        self.assertEqual(client.read(), OK)
        self.assertEqual(mesh.cluster.cells.per_try_timeouts.value, 1)

    def test_a_try_is_timed_from_the_end_of_the_body(self):
        mesh = self.mesh(upstreams=2, retry={"retry_on": ("5xx",)}, timeouts=Timeouts(per_try_s=1.0))
        client = mesh.client(b"PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nbo")
        mesh.advance(0.5)
        client.send(b"dy")
        mesh.advance(0.6)
        self.assertFalse(mesh.upstreams[1].is_wanted())
        mesh.advance(0.5)
        _, data = mesh.upstreams[1].serve()
        self.assertTrue(data.endswith(b"body"))
        self.assertEqual(client.read(), OK)

    def test_the_last_try_that_takes_too_long_is_answered(self):
        mesh = self.mesh(timeouts=Timeouts(per_try_s=1.0))
        client = mesh.client(GET)
        mesh.advance(1.1)
        self.assertEqual(status_of(client.read()), 504)
        self.assertEqual((mesh.last.flags, mesh.last.detail), (flag.UT, "upstream_per_try_timeout"))

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
            is_part_of_head = 0 < count < whole - 3  # what is no HTTP is a protocol error, as in Envoy
            if count < whole - 3:
                self.assertEqual(status_of(data), 502 if is_part_of_head else 503, count)
            else:
                self.assertNotEqual(client.end(), "open", count)
            self.assertEqual(mesh.last.flags, flag.UPE if is_part_of_head else flag.UC, count)

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
