"""HTTP/2 to an endpoint: requests, answers and what becomes of them, through a listener of HTTP/1.1."""

from meshd.http import flag
from meshd.http.headers import Headers
from meshd.http.h2.settings import Settings
from tests.exchange.mesh import GET, head_of, status_of
from tests.upstream.h2_case import H2Case, both


@both
class Passing(H2Case):
    def test_a_request_and_its_answer(self):
        mesh = self.h2()
        client = mesh.client(b"GET /a?b=1 HTTP/1.1\r\nHost: A.test:80\r\nConnection: x, keep-alive\r\nX: 1\r\n"
                             b"TE: trailers, deflate\r\nKeep-Alive: 5\r\nUser-Agent: z\r\n\r\n")
        server = self.server(mesh)
        number, = server.requests()
        head = server.heads[number]
        self.assertEqual((head.method, head.target, head.host, head.scheme), (b"GET", b"/a?b=1", b"a.test:80", b"http"))
        names = {name for name, _ in head.headers}
        self.assertFalse(names & {b"connection", b"keep-alive", b"x", b"transfer-encoding"})
        self.assertEqual(head.headers.get(b"user-agent"), b"z")
        self.assertTrue(server.told("request")[0][-1])
        server.answer(number, b"ok", fields=((b"a", b"b"),))
        line, fields, body = head_of(client.read())
        self.assertEqual((line, fields[b"a"], fields[b"transfer-encoding"]), (b"HTTP/1.1 200 OK", b"b", b"chunked"))
        self.assertEqual(body, b"2\r\nok\r\n0\r\n\r\n")
        self.assertEqual(mesh.last.detail, "via_upstream")

    def test_requests_share_one_connection(self):
        mesh = self.h2()
        clients = [mesh.client(GET) for _ in range(10)]
        server = self.server(mesh)
        numbers = server.requests()
        self.assertEqual(numbers, list(range(1, 21, 2)))
        for number in reversed(numbers):
            server.answer(number, b"%d" % number, fields=((b"content-length", b"%d" % len(str(number))),))
        for number, client in zip(numbers, clients, strict=True):
            self.assertEqual(head_of(client.read())[2], b"%d" % number)
        self.assertFalse(mesh.upstream.is_wanted())
        self.assertEqual(mesh.cluster.cells.connections.value, 1)
        self.assertEqual(mesh.cluster.idle, 1)

    def test_a_body_with_a_length_and_one_in_chunks(self):
        for fields, data in ((b"Content-Length: 5\r\n\r\n", b"hello"),
                             (b"Transfer-Encoding: chunked\r\n\r\n", b"5\r\nhello\r\n0\r\n\r\n")):
            mesh = self.h2()
            client = mesh.client(b"POST / HTTP/1.1\r\nHost: a\r\n" + fields)
            server = self.server(mesh)
            number, = server.requests()
            self.assertFalse(server.told("request")[0][-1])
            client.send(data)
            self.assertEqual(server.told("end"), [("end", number, None)])
            self.assertEqual(server.bodies[number], b"hello")
            server.answer(number, status=204)
            self.assertEqual(status_of(client.read()), 204)

    def test_trailers_both_ways(self):
        mesh = self.h2()
        client = mesh.client(b"POST / HTTP/1.1\r\nHost: a\r\nTE: trailers\r\nTransfer-Encoding: chunked\r\n\r\n"
                             b"1\r\nx\r\n0\r\nsum: 1\r\n\r\n")
        server = self.server(mesh)
        number, = server.requests()
        self.assertEqual(server.heads[number].headers.get(b"te"), b"trailers")
        self.assertEqual(server.told("end"), [("end", number, [(b"sum", b"1")])])
        server.answer(number, b"y", is_last=False)
        server.session.trailers(number, Headers.of((b"grpc-status", b"0")))
        server.turn()
        self.assertEqual(head_of(client.read())[2], b"1\r\ny\r\n0\r\ngrpc-status: 0\r\n\r\n")

    def test_head_and_1xx(self):
        mesh = self.h2()
        client = mesh.client(b"HEAD / HTTP/1.1\r\nHost: a\r\n\r\n")
        server = self.server(mesh)
        number, = server.requests()
        server.answer(number, status=103, fields=((b"link", b"x"),), is_last=False)
        self.assertEqual(status_of(client.read()), 103)
        server.answer(number, fields=((b"content-length", b"7"),))
        line, fields, body = head_of(client.read())
        self.assertEqual((line, fields[b"content-length"], body), (b"HTTP/1.1 200 OK", b"7", b""))

    def test_an_early_answer_ends_the_upload(self):
        mesh = self.h2()
        client = mesh.client(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 500000\r\n\r\n" + b"x" * 1000)
        server = self.server(mesh)
        number, = server.requests()
        server.answer(number, b"no", status=413, fields=((b"content-length", b"2"),))
        self.assertEqual(server.told("reset"), [("reset", number, 0, False)])
        self.assertEqual(status_of(client.read()), 413)
        self.assertEqual(len(mesh.cluster.endpoints[0].pool.connections), 1)

    def test_expect_continue_is_answered_here(self):
        mesh = self.h2()
        client = mesh.client(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nExpect: 100-continue\r\n\r\n")
        server = self.server(mesh)
        number, = server.requests()
        self.assertEqual(status_of(client.read()), 100)
        self.assertNotIn(b"expect", server.heads[number].headers)
        client.send(b"x")
        server.answer(number, status=204)
        self.assertEqual(status_of(client.read()), 204)


@both
class Ends(H2Case):
    def test_a_client_that_goes_resets_its_stream_alone(self):
        mesh = self.h2()
        gone, stays = mesh.client(GET), mesh.client(GET)
        server = self.server(mesh)
        first, second = server.requests()
        gone.close()
        self.assertEqual(server.told("reset"), [("reset", first, 8, False)])
        server.answer(second, status=204)
        self.assertEqual(status_of(stays.read()), 204)
        self.assertEqual(mesh.cluster.stream_cells.tx_reset.value, 1)

    def test_a_reset_is_ur(self):
        mesh = self.h2()
        client, other = mesh.client(GET), mesh.client(GET)
        server = self.server(mesh)
        first, second = server.requests()
        server.session.reset(first, 2)
        server.turn()
        self.assertEqual(status_of(client.read()), 503)
        self.assertEqual((mesh.last.flags, mesh.last.failure), (flag.UR, "reset by upstream: INTERNAL_ERROR"))
        server.answer(second, status=204)
        self.assertEqual(status_of(other.read()), 204)
        cells = mesh.cluster.stream_cells
        self.assertEqual((cells.rx_reset.value, cells.events["rx_reset"].value), (1, 1))

    def test_the_code_of_a_reset_says_more(self):
        for code, status, bit, word in (
                (1, 502, flag.UPE, "protocol_error"), (7, 503, flag.UR, "remote_refused_stream_reset"),
                (10, 503, flag.UR, "remote_error_with_CONNECT_request"), (8, 503, flag.UR, "remote_reset")):
            mesh = self.h2()
            client = mesh.client(GET)
            server = self.server(mesh)
            server.session.reset(server.requests()[0], code)
            server.turn()
            self.assertEqual(status_of(client.read()), status)
            self.assertEqual((mesh.last.flags, mesh.last.detail),
                             (bit, f"upstream_reset_before_response_started{{{word}}}"))
            client = mesh.client(GET)
            server.answer(server.requests()[1], b"part", is_last=False)
            server.session.reset(server.requests()[1], code)
            server.turn()
            self.assertTrue(client.read().endswith(b"4\r\npart\r\n"))
            self.assertEqual((mesh.last.flags, mesh.last.detail),
                             (bit, f"upstream_reset_after_response_started{{{word}}}"))

    def test_a_reset_in_the_body_cuts_the_answer(self):
        mesh = self.h2()
        client = mesh.client(GET)
        server = self.server(mesh)
        number, = server.requests()
        server.answer(number, b"part", is_last=False)
        server.session.reset(number, 8)
        server.turn()
        self.assertTrue(client.read().endswith(b"4\r\npart\r\n"))
        self.assertEqual(mesh.last.flags, flag.UR)

    def test_a_lost_connection_is_uc_for_all(self):
        mesh = self.h2()
        clients = [mesh.client(GET) for _ in range(3)]
        server = self.server(mesh)
        server.requests()
        server.peer.close()
        self.assertEqual([status_of(client.read()) for client in clients], [503] * 3)
        self.assertEqual([one.flags for one in mesh.sink.ended], [flag.UC] * 3)

    def test_what_is_no_http2_is_upe(self):
        mesh = self.h2()
        client = mesh.client(GET)
        peer = mesh.upstream.accept()
        peer.send(b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n")
        self.assertEqual(status_of(client.read()), 502)
        self.assertEqual(mesh.last.flags, flag.UPE)
        self.assertEqual(mesh.cluster.stream_cells.protocol_errors.value, 1)

    def test_refused_streams_are_sent_again(self):
        mesh = self.h2(retry={"retry_on": ("refused-stream",), "attempts": 2})
        client = mesh.client(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi")
        server = self.server(mesh)
        number, = server.requests()
        server.session.reset(number, 7)
        server.turn()
        mesh.advance(1)
        _, again = server.requests()
        self.assertEqual(server.bodies[again], b"hi")
        server.answer(again, status=204)
        self.assertEqual(status_of(client.read()), 204)

    def test_a_reset_is_not_retried_as_refused(self):
        mesh = self.h2(retry={"retry_on": ("refused-stream",), "attempts": 2})
        client = mesh.client(GET)
        server = self.server(mesh)
        number, = server.requests()
        server.session.reset(number, 2)
        server.turn()
        self.assertEqual(status_of(client.read()), 503)


@both
class GoingAway(H2Case):
    def test_streams_above_the_last_are_sent_again_and_others_finish(self):
        mesh = self.h2(retry={"retry_on": ("refused-stream",), "attempts": 1})
        first, second = mesh.client(GET), mesh.client(GET)
        server = self.server(mesh)
        self.assertEqual(server.requests(), [1, 3])
        server.session.last_stream_id = 1
        server.session.finish()
        server.turn()
        mesh.advance(1)
        new = self.server(mesh)
        self.assertEqual(new.requests(), [1])
        new.answer(1, status=201)
        self.assertEqual(status_of(second.read()), 201)
        server.answer(1, status=202)
        self.assertEqual(head_of(first.read())[:2], (b"HTTP/1.1 202 Accepted", {b"content-length": b"0"}))
        self.assertEqual(server.peer.end(), "fin")
        self.assertEqual(mesh.cluster.stream_cells.close_notify.value, 1)
        self.assertEqual(mesh.cluster.stream_cells.events["rx_reset"].value, 0)

    def test_an_idle_connection_is_replaced(self):
        mesh = self.h2()
        client = mesh.client(GET)
        server = self.server(mesh)
        server.answer(*server.requests(), status=204)
        self.assertEqual(status_of(client.read()), 204)
        server.session.finish()
        server.turn()
        self.assertEqual(server.peer.end(), "fin")
        client.send(GET)
        new = self.server(mesh)
        new.answer(*new.requests(), status=205)
        self.assertEqual(status_of(client.read()), 205)


@both
class Limits(H2Case):
    def test_the_endpoint_s_streams_make_more_connections(self):
        mesh = self.h2()
        settings = Settings(max_concurrent_streams=2)
        clients = [mesh.client(GET) for _ in range(1)]
        first = self.server(mesh, settings)
        clients += [mesh.client(GET) for _ in range(2)]
        second = self.server(mesh, settings)
        self.assertEqual((first.requests(), second.requests()), ([1, 3], [1]))
        for server in (first, second):
            for number in server.requests():
                server.answer(number, status=204)
        self.assertEqual([status_of(client.read()) for client in clients], [204] * 3)

    def test_a_new_connection_begins_with_what_the_last_one_took(self):
        mesh = self.h2()
        settings = Settings(max_concurrent_streams=2)
        clients = [mesh.client(GET)]
        first = self.server(mesh, settings)
        clients += [mesh.client(GET) for _ in range(5)]
        silent = [mesh.upstreams[0].accept() for _ in range(2)]  # they have not said SETTINGS
        self.assertEqual([first.requests(), *map(streams_of, silent)], [[1, 3], [1, 3], [1, 3]])

    def test_our_limit_counts_too_and_the_breaker_lets_wait(self):
        mesh = self.h2(cluster={"http2": http2(max_concurrent_streams=1)}, breaker={"max_connections": 1})
        clients = [mesh.client(GET) for _ in range(3)]
        server = self.server(mesh)
        for number in (1, 3, 5):
            self.assertEqual(server.requests()[-1], number)
            self.assertEqual(len(server.requests()), number // 2 + 1)
            server.answer(number, status=204)
        self.assertEqual([status_of(client.read()) for client in clients], [204] * 3)

    def test_waiting_is_bounded(self):
        mesh = self.h2(cluster={"http2": http2(max_concurrent_streams=1)},
                       breaker={"max_connections": 1, "max_pending": 1})
        clients = [mesh.client(GET) for _ in range(3)]
        self.assertEqual(status_of(clients[2].read()), 503)
        self.assertEqual(mesh.last.flags, flag.UO)

    def test_requests_of_one_connection(self):
        mesh = self.h2(pool={"max_requests_per_connection": 2})
        client = mesh.client(GET)
        server = self.server(mesh)
        server.answer(*server.requests(), status=204)
        client.send(GET)
        server.answer(server.requests()[1], status=204)
        self.assertEqual(server.peer.end(), "fin")
        client.send(GET)
        new = self.server(mesh)
        new.answer(*new.requests(), status=204)
        self.assertEqual(client.read().count(b" 204 "), 3)

    def test_idle_and_old_connections_close(self):
        for pool, seconds in (({"idle_timeout_s": 5.0}, 6), ({"max_connection_duration_s": 3.0}, 4)):
            mesh = self.h2(pool=pool)
            client = mesh.client(GET)
            server = self.server(mesh)
            server.answer(*server.requests(), status=204)
            mesh.advance(seconds)
            self.assertEqual(server.peer.end(), "fin")
            self.assertEqual(status_of(client.read()), 204)


def http2(**options):
    """Return the model's options."""
    from meshd.model.http2_upstream import Http2Upstream
    return Http2Upstream(**options)


def streams_of(peer):
    """Return the streams that a client has begun on a connection where nothing has been said."""
    data, found = peer.read()[24:], []
    while data:
        if data[3] == 1:
            found.append(int.from_bytes(data[5:9], "big"))
        data = data[9 + int.from_bytes(data[:3], "big"):]
    return found
