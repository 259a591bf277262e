"""The exchange: transforms, tunnels, early answers, back-pressure and local replies."""

from meshd.api.exchange import CONTINUE, STOP
from meshd.http import flag
from tests.exchange.mesh import GET, OK, MeshCase, head_of, status_of

WS = b"GET /chat HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
SWITCH = b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n"
MANY = b"0123456789abcdef" * 65536  # 1 MiB


class Shout:
    """Upper-cases the bodies of both directions; what ends them is ``!``."""

    def on_request(self, exchange):
        """Change the request's body."""
        exchange.request.headers.remove(b"content-length")
        if exchange.request.content_length:
            exchange.request.content_length = -1
        exchange.transform_request(self.shout)
        return CONTINUE

    def on_response(self, exchange):
        """Change the response's body."""
        exchange.response.headers.remove(b"content-length")
        exchange.response.content_length = -1
        exchange.transform_response(self.shout)

    def shout(self, data, is_end):
        """Return ``data`` in upper case."""
        return data.upper() + b"!" * is_end


class Answer:
    """Replies to every request with ``status`` and ``body``."""

    def __init__(self, status, body=b"", headers=()):
        self.reply = status, body, headers

    def on_request(self, exchange):
        """Reply."""
        exchange.reply(*self.reply)
        return STOP


class Transforms(MeshCase):
    def test_both_directions(self):
        mesh = self.mesh(Shout())
        client = mesh.client(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nbo")
        peer = mesh.upstream.accept()
        client.send(b"dy")
        self.assertTrue(peer.read().endswith(b"\r\n\r\n2\r\nBO\r\n2\r\nDY\r\n1\r\n!\r\n0\r\n\r\n"))
        peer.send(OK)
        self.assertEqual(head_of(client.read())[2], b"2\r\nOK\r\n1\r\n!\r\n0\r\n\r\n")

    def test_two_of_them_in_order(self):
        class Twice(Shout):
            def shout(self, data, is_end):
                return data * 2

        mesh = self.mesh(Shout(), Twice())
        client = mesh.client(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\na")
        _, data = mesh.upstream.serve()
        self.assertTrue(data.endswith(b"2\r\nAA\r\n2\r\n!!\r\n0\r\n\r\n"), data)
        self.assertEqual(head_of(client.read())[2], b"4\r\nOKOK\r\n1\r\n!\r\n0\r\n\r\n")

    def test_a_local_reply(self):
        mesh = self.mesh(Shout(), Answer(200, b"hello"))
        self.assertEqual(head_of(mesh.ask())[2], b"5\r\nHELLO\r\n1\r\n!\r\n0\r\n\r\n")

    def test_an_old_client_gets_no_chunks(self):
        mesh = self.mesh(Shout())
        client = mesh.client(b"GET / HTTP/1.0\r\nConnection: keep-alive\r\nHost: a\r\n\r\n")
        mesh.upstream.serve()
        line, fields, body = head_of(client.read())
        self.assertEqual((fields[b"connection"], body), (b"close", b"OK!"))
        self.assertEqual(client.end(), "fin")

    def test_head_has_no_body(self):
        for method in (b"HEAD", b"GET"):
            mesh = self.mesh(Shout())
            client = mesh.client(method + b" / HTTP/1.1\r\nHost: a\r\n\r\n" + GET)
            peer, _ = mesh.upstream.serve(b"HTTP/1.1 304 No\r\n\r\n" if method == b"GET" else
                                          b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n")
            self.assertTrue(peer.read() or mesh.upstream.peers)
            peer.send(OK)
            answers = client.read()
            self.assertEqual(answers.count(b"HTTP/1.1 "), 2)
            self.assertEqual(answers.partition(b"\r\n\r\n")[2][:12], b"HTTP/1.1 200")

    def test_a_tunnel_is_left_alone(self):
        mesh = self.mesh(Shout())
        client = mesh.client(WS)
        peer, _ = mesh.upstream.serve(SWITCH)
        client.read()
        client.send(b"ping")
        self.assertEqual(peer.read(), b"ping")
        peer.send(b"pong")
        self.assertEqual(client.read(), b"pong")
        peer.close()


class LocalReplies(MeshCase):
    def test_a_204_and_a_304_have_no_length(self):
        for status in (204, 304):
            mesh = self.mesh(Answer(status, b"ignored"))
            client = mesh.client(GET)
            line, fields, body = head_of(client.read())
            self.assertEqual((int(line[9:12]), body), (status, b""))
            self.assertNotIn(b"content-length", fields)
            self.assertNotIn(b"content-type", fields)
            client.send(GET)
            self.assertEqual(status_of(client.read()), status)

    def test_an_empty_one_has_a_length(self):
        mesh = self.mesh(Answer(200))
        line, fields, body = head_of(mesh.ask())
        self.assertEqual((fields[b"content-length"], body), (b"0", b""))
        self.assertIn(b"date", fields)

    def test_to_head_it_has_the_length_alone(self):
        mesh = self.mesh(Answer(200, b"12345"))
        line, fields, body = head_of(mesh.ask(b"HEAD / HTTP/1.1\r\nHost: a\r\n\r\n"))
        self.assertEqual((fields[b"content-length"], body), (b"5", b""))

    def test_to_an_old_client(self):
        mesh = self.mesh(Answer(200, b"12345"))
        client = mesh.client(b"GET / HTTP/1.0\r\n\r\n")
        line, fields, body = head_of(client.read())
        self.assertEqual((fields[b"connection"], body), (b"close", b"12345"))
        self.assertEqual(client.end(), "fin")

    def test_before_the_body_has_come_it_is_read_and_dropped(self):
        mesh = self.mesh(Answer(200, b"hi"))
        client = mesh.client(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 8\r\n\r\nbody")
        self.assertEqual(status_of(client.read()), 200)
        client.send(b"body" + GET)
        self.assertEqual(status_of(client.read()), 200)
        self.assertEqual(len(mesh.sink.ended), 2)

    def test_before_a_long_body_has_come_the_connection_ends(self):
        for framing in (b"Content-Length: 100000000", b"Transfer-Encoding: chunked"):
            mesh = self.mesh(Answer(200, b"hi"))
            client = mesh.client(b"POST / HTTP/1.1\r\nHost: a\r\n" + framing + b"\r\n\r\n")
            self.assertEqual(head_of(client.read())[1][b"connection"], b"close")
            self.assertEqual(client.end(), "fin")
            mesh.advance(2)
            self.assertEqual(mesh.listener.connections, set())


class EarlyAnswers(MeshCase):
    def test_the_rest_of_a_short_body_is_dropped_and_the_connection_kept(self):
        mesh = self.mesh()
        client = mesh.client(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 8\r\n\r\nbody")
        peer, _ = mesh.upstream.serve()
        self.assertEqual(client.read(), OK)
        self.assertEqual(peer.end(), "fin")
        client.send(b"body" + GET)
        mesh.upstream.serve()
        self.assertEqual(client.read(), OK)

    def test_the_rest_of_a_long_body_is_not_waited_for(self):
        for framing in (b"Content-Length: 100000000", b"Transfer-Encoding: chunked"):
            mesh = self.mesh()
            client = mesh.client(b"POST / HTTP/1.1\r\nHost: a\r\n" + framing + b"\r\n\r\n")
            mesh.upstream.serve()
            self.assertEqual(client.read(), OK)
            self.assertEqual(client.end(), "fin")
            mesh.advance(2)
            self.assertEqual(mesh.listener.connections, set())

    def test_while_both_go_on(self):
        mesh = self.mesh()
        client = mesh.client(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nbo")
        peer, _ = mesh.upstream.serve(OK[:-1])
        client.send(b"dy")
        self.assertEqual(peer.read(), b"dy")
        peer.send(OK[-1:])
        self.assertEqual(client.read(), OK)
        client.send(GET)
        self.assertTrue(peer.read())
        peer.send(OK)
        self.assertEqual(client.read(), OK)


class BackPressure(MeshCase):
    def test_a_client_that_does_not_read_stops_the_upstream(self):
        mesh = self.mesh()
        client = mesh.client(GET, small=True)
        peer = mesh.upstream.accept()
        peer.read()
        size = 4 * len(MANY)
        sent = peer.send(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % size + MANY * 4)
        self.assertLess(sent, 2_000_000)
        self.assertLess(mesh.connection().descriptor.pending_bytes, 400_000)
        got = len(client.read())
        self.assertEqual(got, sent)
        rest = (b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % size + MANY * 4)[sent:]
        while rest:
            rest = rest[peer.send(rest):]
            got += len(client.read())
        got += len(client.read())
        self.assertEqual(got, size + len(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % size))

    def test_an_upstream_that_does_not_read_stops_the_client(self):
        mesh = self.mesh()
        size = 4 * len(MANY)
        client = mesh.client(b"PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % size)
        peer = mesh.upstream.accept()
        sent = client.send(MANY * 4)
        self.assertLess(sent, 2_000_000)
        connection = mesh.connection().exchange.attempt.connection
        self.assertLess(connection.descriptor.pending_bytes, 400_000)
        got = len(peer.read())
        while sent < size:
            sent += client.send(b"x" * (size - sent))
            got += len(peer.read())
        self.assertGreaterEqual(got, size)
        peer.send(OK)
        self.assertEqual(client.read(), OK)

    def test_a_client_that_leaves_meanwhile(self):
        mesh = self.mesh()
        client = mesh.client(GET, small=True)
        peer = mesh.upstream.accept()
        peer.read()
        peer.send(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % len(MANY) + MANY)
        client.close()
        self.assertEqual(mesh.last.flags, flag.DC)

    def test_the_answer_is_whole_although_its_exchange_ended_before_the_client_had_read(self):
        mesh = self.mesh()
        client = mesh.client(GET.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"), small=True)
        peer = mesh.upstream.accept()
        answer = b"HTTP/1.1 200 OK\r\ncontent-length: 120000\r\n\r\n" + MANY[:120000]
        peer.send(answer)
        data = client.read()
        self.assertTrue(data.endswith(MANY[:120000]))
        self.assertEqual(client.end(), "fin")
        self.assertEqual(mesh.listener.connections, set())


class Tunnels(MeshCase):
    def tunnel(self, *filters, early=b"", **options):
        """Return (mesh, client, peer) of an open tunnel."""
        mesh = self.mesh(*filters, **options)
        self.addCleanup(lambda: [one.close() for one in (client, *mesh.upstream.peers)])
        client = mesh.client(WS + early)
        peer, data = mesh.upstream.serve(SWITCH)
        self.assertIn(b"upgrade: websocket\r\n", data)
        answer = client.read()
        self.assertTrue(answer.startswith(b"HTTP/1.1 101 "), answer)
        self.assertIn(b"upgrade: websocket", answer.lower())
        return mesh, client, peer

    def test_bytes_go_both_ways_unchanged(self):
        mesh, client, peer = self.tunnel()
        client.send(b"\x81\x00GET / HTTP/1.1\r\n\r\n")
        self.assertEqual(peer.read(), b"\x81\x00GET / HTTP/1.1\r\n\r\n")
        peer.send(b"\r\n\r\nHTTP/1.1 200")
        self.assertEqual(client.read(), b"\r\n\r\nHTTP/1.1 200")
        self.assertEqual(mesh.sink.ended, [])

    def test_what_came_with_the_request_is_passed_on(self):
        for count in (5, 100_000):
            mesh, client, peer = self.tunnel(early=b"x" * count)
            self.assertEqual(len(peer.read()), count)
            client.send(b"more")
            self.assertEqual(peer.read(), b"more", count)

    def test_what_came_with_the_101_is_passed_on(self):
        mesh = self.mesh()
        client = mesh.client(WS)
        peer, _ = mesh.upstream.serve(SWITCH + b"first")
        self.assertTrue(client.read().endswith(b"\r\n\r\nfirst"))
        peer.close()

    def test_the_client_ends_its_half_first(self):
        mesh, client, peer = self.tunnel()
        client.half_close()
        self.assertEqual(peer.end(), "fin")
        self.assertEqual(mesh.sink.ended, [])
        peer.send(b"still")
        self.assertEqual(client.read(), b"still")
        peer.close()
        self.assertEqual(client.end(), "fin")
        self.assertEqual((len(mesh.sink.ended), mesh.last.flags), (1, 0))
        mesh.advance(2)
        self.assertEqual(mesh.listener.connections, set())

    def test_the_upstream_ends_its_half_first(self):
        mesh, client, peer = self.tunnel()
        peer.half_close()
        self.assertEqual(client.end(), "fin")
        self.assertEqual(mesh.sink.ended, [])
        client.send(b"still")
        self.assertEqual(peer.read(), b"still")
        client.half_close()
        self.assertEqual(peer.end(), "fin")
        self.assertEqual(len(mesh.sink.ended), 1)

    def test_an_end_behind_a_full_buffer_is_one_end(self):
        mesh, client, peer = self.tunnel()
        sent = client.send(MANY)
        client.half_close()
        got = len(peer.read())
        while sent < 0 or got < sent:
            more = len(peer.read())
            self.assertTrue(more)
            got += more
        self.assertEqual(mesh.sink.ended, [])
        self.assertEqual(peer.end(), "fin")
        peer.send(b"answer")
        self.assertEqual(client.read(), b"answer")

    def test_the_last_bytes_reach_a_slow_upstream(self):
        mesh, client, peer = self.tunnel()
        peer.half_close()
        sent = client.send(MANY[:700_000])
        client.half_close()
        self.assertEqual(len(peer.read()), sent)

    def test_a_side_that_breaks_ends_both(self):
        mesh, client, peer = self.tunnel()
        client.close()
        peer.close()
        mesh.turn()
        self.assertEqual(len(mesh.sink.ended), 1)

    def test_silence_ends_it(self):
        mesh, client, peer = self.tunnel(times={"stream_idle_s": 5.0})
        for _ in range(4):
            mesh.advance(4)
            client.send(b"x")
        self.assertEqual(mesh.sink.ended, [])
        mesh.advance(5.5)
        self.assertEqual(mesh.last.flags, flag.SI)
        self.assertNotEqual(client.end(), "open")
        self.assertEqual(peer.end(), "fin")

    def test_the_routes_timeout_is_not_for_tunnels(self):
        mesh, client, peer = self.tunnel()
        mesh.advance(60)
        client.send(b"x")
        self.assertEqual(peer.read(), b"x")

    def test_a_protocol_that_the_route_does_not_pass_on(self):
        mesh = self.mesh(plan={"upgrades": ()})
        client = mesh.client(WS)
        _, data = mesh.upstream.serve()
        self.assertNotIn(b"upgrade", data.lower())
        self.assertEqual(client.read(), OK)

    def test_an_upstream_that_declines(self):
        mesh = self.mesh()
        client = mesh.client(WS)
        peer, _ = mesh.upstream.serve()
        self.assertEqual(client.read(), OK)
        client.send(GET)
        self.assertTrue(peer.read())
        peer.send(OK)
        self.assertEqual(client.read(), OK)
