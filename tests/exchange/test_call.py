"""gRPC calls: local replies in their shape, deadlines, and statuses that come in trailers."""

from meshd.api import STOP, Calls, Extra, Timeouts
from meshd.http import flag
from meshd.http.head import ResponseHead
from meshd.http.headers import Headers
from tests.exchange.mesh import GET, MeshCase, head_of, status_of
from tests.upstream.h2_case import Server

CALL = (b"POST /pkg.Service/Do HTTP/1.1\r\nHost: a\r\ncontent-type: application/grpc\r\nte: trailers\r\n"
        b"content-length: 5\r\n%b\r\n\0\0\0\0\0")
HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: application/grpc\r\ntransfer-encoding: chunked\r\n\r\n"
MESSAGE = b"5\r\n\0\0\0\0\0\r\n"


def call(*fields):
    """Return a unary call with these ``name: value`` fields."""
    return CALL % b"".join(field + b"\r\n" for field in fields)


def trailers(status):
    """Return the end of a body with this grpc-status."""
    return b"0\r\ngrpc-status: %d\r\ngrpc-message: because\r\n\r\n" % status


def parts(data):
    """Return (status, fields, body) of an answer."""
    return status_of(data), *head_of(data)[1:]


class Refusing:
    """A filter that answers itself."""

    def __init__(self, *arguments):
        self.arguments = arguments

    def on_request(self, exchange):
        exchange.reply(*self.arguments)
        return STOP


class Breaking:
    """A filter that fails on the way back."""

    def on_response(self, exchange):
        raise ValueError("bug")


class Replies(MeshCase):
    def test_no_endpoint(self):
        mesh = self.mesh()
        mesh.upstream.stop()
        status, fields, body = parts(mesh.client(call()).read())
        self.assertEqual((status, body), (200, b""))
        self.assertEqual(fields[b"content-type"], b"application/grpc")
        self.assertEqual(fields[b"grpc-status"], b"14")
        self.assertEqual(fields[b"grpc-message"], b"no connection to the upstream could be made")
        self.assertEqual(fields[b"content-length"], b"0")
        self.assertEqual((mesh.last.flags, mesh.last.detail),
                         (flag.UF, "upstream_reset_before_response_started{connection_failure}"))

    def test_what_a_filter_answers(self):
        filter = Refusing(429, b"50% is enough", ((b"x-a", b"1"),), flag.RL, "limited")
        _, fields, body = head_of(self.mesh(filter).client(call()).read())
        self.assertEqual((fields[b"grpc-status"], fields[b"grpc-message"], fields[b"x-a"], body),
                         (b"14", b"50%25 is enough", b"1", b""))

    def test_a_status_that_a_filter_names(self):
        filter = Refusing(429, b"", ((b"grpc-status", b"8"),))
        self.assertEqual(head_of(self.mesh(filter).client(call()).read())[1][b"grpc-status"], b"8")

    def test_others_get_what_they_always_got(self):
        self.assertEqual(status_of(self.mesh(Refusing(429, b"enough")).client(GET).read()), 429)
        web = call().replace(b"application/grpc", b"application/grpc-web")
        self.assertEqual(status_of(self.mesh(Refusing(429, b"enough")).client(web).read()), 429)

    def test_a_filter_that_fails_on_the_way_back(self):
        mesh = self.mesh(Breaking())
        client = mesh.client(call())
        mesh.upstream.serve(HEAD + MESSAGE + trailers(0))
        status, fields, body = parts(client.read())
        self.assertEqual((status, fields[b"grpc-status"], body), (200, b"2", b""))

    def test_the_connection_serves_the_next_call(self):
        mesh = self.mesh(Refusing(403, b"no"))
        client = mesh.client(call())
        self.assertEqual(head_of(client.read())[1][b"grpc-status"], b"7")
        client.send(call())
        self.assertEqual(head_of(client.read())[1][b"grpc-status"], b"7")


class Deadlines(MeshCase):
    """The whole call: ``grpc_timeout_header_max``."""

    def asked(self, value, extra=None, **calls):
        mesh = self.mesh(plan={"calls": Calls(**calls), "extra": extra}, timeouts=Timeouts(request_s=30.0))
        return mesh, mesh.client(call(*([b"grpc-timeout: " + value] if value else [])))

    def assert_exceeded(self, mesh, client):
        status, fields, _ = parts(client.read())
        self.assertEqual((status, fields[b"grpc-status"]), (200, b"4"))
        self.assertEqual((mesh.last.flags, mesh.last.detail), (flag.UMSDR, "max_duration_timeout"))

    def test_the_calls_own(self):
        mesh, client = self.asked(b"1500000u", stream_max_s=0.0)
        peer = mesh.upstream.accept()
        self.assertIn(b"grpc-timeout: 1500m\r\n", peer.read())
        mesh.advance(1.4)
        self.assertEqual(client.read(), b"")
        mesh.advance(0.2)
        self.assert_exceeded(mesh, client)
        self.assertNotEqual(peer.end(), "open")

    def test_at_most_the_routes_less_the_offset(self):
        mesh, client = self.asked(b"1H", stream_max_s=2.0, stream_offset_s=0.5)
        self.assertIn(b"grpc-timeout: 1500m\r\n", mesh.upstream.accept().read())
        mesh.advance(1.6)
        self.assert_exceeded(mesh, client)

    def test_an_offset_beyond_it_leaves_no_time(self):
        mesh, client = self.asked(b"100m", stream_max_s=0.0, stream_offset_s=0.5)
        mesh.advance(0.02)
        self.assert_exceeded(mesh, client)

    def test_one_that_is_none_leaves_the_routes(self):
        mesh, client = self.asked(b"soon", Extra(max_stream_s=3.0), stream_max_s=2.0)
        self.assertIn(b"grpc-timeout: 3000m\r\n", mesh.upstream.accept().read())
        mesh.advance(2.5)
        self.assertEqual(client.read(), b"")
        mesh.advance(0.6)
        self.assert_exceeded(mesh, client)

    def test_a_call_whose_answer_has_begun_is_cut(self):
        mesh, client = self.asked(b"1S", stream_max_s=0.0)
        mesh.upstream.serve(HEAD + MESSAGE)
        mesh.advance(1.1)
        self.assertNotIn(b"0\r\n\r\n", client.read())
        self.assertNotEqual(client.end(), "open")

    def test_others_are_not_asked(self):
        mesh = self.mesh(plan={"calls": Calls(stream_max_s=0.0)}, timeouts=Timeouts(request_s=30.0))
        mesh.client(GET.replace(b"\r\n\r\n", b"\r\ngrpc-timeout: 1S\r\n\r\n"))
        self.assertIn(b"grpc-timeout: 1S\r\n", mesh.upstream.accept().read())
        mesh.advance(10)
        self.assertEqual(mesh.sink.ended, [])


class Timeout(MeshCase):
    """The route's timeout: ``max_grpc_timeout``, Istio's way."""

    def asked(self, value, per_try_s=0.0, retry=None, upstreams=1, **calls):
        mesh = self.mesh(plan={"calls": Calls(**calls)}, upstreams=upstreams, retry=retry,
                         timeouts=Timeouts(request_s=30.0, per_try_s=per_try_s))
        return mesh, mesh.client(call(*([b"grpc-timeout: " + value] if value else [])))

    def assert_timed_out(self, mesh, client):
        status, fields, _ = parts(client.read())
        self.assertEqual((status, fields[b"grpc-status"]), (200, b"14"))
        self.assertEqual((mesh.last.flags, mesh.last.detail), (flag.UT, "response_timeout"))

    def test_the_calls_own(self):
        mesh, client = self.asked(b"1500m", timeout_max_s=0.0)
        self.assertIn(b"grpc-timeout: 1500m\r\n", mesh.upstream.accept().read())
        mesh.advance(1.6)
        self.assert_timed_out(mesh, client)

    def test_at_most_the_routes(self):
        mesh, client = self.asked(b"1H", timeout_max_s=2.0)
        self.assertIn(b"grpc-timeout: 2000m\r\n", mesh.upstream.accept().read())
        mesh.advance(2.1)
        self.assert_timed_out(mesh, client)

    def test_less_the_offset_where_some_is_left(self):
        for value, expected in ((b"2S", b"1500m"), (b"400m", b"400m")):
            mesh, _ = self.asked(value, timeout_max_s=0.0, timeout_offset_s=0.5)
            self.assertIn(b"grpc-timeout: %b\r\n" % expected, mesh.upstream.accept().read())

    def test_without_one_it_is_the_bound(self):
        mesh, client = self.asked(b"", timeout_max_s=2.0)
        self.assertIn(b"grpc-timeout: 2000m\r\n", mesh.upstream.accept().read())
        mesh.advance(2.1)
        self.assert_timed_out(mesh, client)

    def test_without_one_and_without_a_bound_there_is_none(self):
        mesh, client = self.asked(b"soon", timeout_max_s=0.0)
        self.assertIn(b"grpc-timeout: soon\r\n", mesh.upstream.accept().read())
        mesh.advance(100)
        self.assertEqual(client.read(), b"")

    def test_each_attempt_is_told_what_is_left(self):
        mesh, _ = self.asked(b"3S", per_try_s=2.0, upstreams=2, timeout_max_s=0.0,
                             retry={"retry_on": ("5xx",), "methods": ("*",)})
        self.assertIn(b"grpc-timeout: 2000m\r\n", mesh.upstream.accept().read())
        mesh.advance(2.3)
        told = mesh.upstreams[1].accept().read().partition(b"grpc-timeout: ")[2].partition(b"m\r\n")[0]
        self.assertTrue(600 <= int(told) <= 1000, told)


class Trailers(MeshCase):
    """Retries on statuses."""

    def asked(self, words=("unavailable",), upstreams=2, **options):
        mesh = self.mesh(upstreams=upstreams, plan={"calls": Calls()},
                         retry={"retry_on": words, "methods": ("*",)}, **options)
        return mesh, mesh.client(call())

    def test_an_answer_that_is_but_a_head(self):
        mesh, client = self.asked()
        mesh.upstream.serve(b"HTTP/1.1 200 OK\r\ncontent-type: application/grpc\r\ngrpc-status: 14\r\n"
                            b"content-length: 0\r\n\r\n")
        mesh.advance(0.3)
        mesh.upstreams[1].serve(HEAD + MESSAGE + trailers(0))
        self.assertIn(b"grpc-status: 0", client.read())

    def test_trailers_behind_a_head(self):
        for status, word in ((1, "cancelled"), (4, "deadline-exceeded"), (13, "internal"),
                             (8, "resource-exhausted"), (14, "unavailable")):
            mesh, client = self.asked((word,))
            mesh.upstream.serve(HEAD + trailers(status))
            mesh.advance(0.3)
            self.assertEqual(client.read(), b"")
            mesh.upstreams[1].serve(HEAD + MESSAGE + trailers(0))
            self.assertIn(b"grpc-status: 0", client.read())
            self.assertEqual((mesh.last.attempts, mesh.last.flags), (2, 0))
            self.assertEqual(mesh.cluster.cells.retry_success.value, 1)

    def test_trailers_behind_a_length_of_none(self):
        mesh, client = self.asked(cluster={"protocol": "http2"})
        for upstream, status in zip(mesh.upstreams, (b"14", b"0")):
            server = Server(upstream.accept())
            asked, = server.requests()
            fields = ((b"content-type", b"application/grpc"), (b"content-length", b"0"))
            head = ResponseHead(200, Headers.of(*fields), version=20)
            server.session.respond(asked, head, False)
            server.session.trailers(asked, Headers.of((b"grpc-status", status)))
            server.turn()
            mesh.advance(0.3)
        self.assertEqual((status_of(client.read()), mesh.last.attempts), (200, 2))
        self.assertEqual(mesh.last.trailers.get(b"grpc-status"), b"0")

    def test_another_status_stands(self):
        mesh, client = self.asked()
        mesh.upstream.serve(HEAD + trailers(5))
        self.assertIn(b"grpc-status: 5", client.read())
        self.assertEqual((mesh.last.attempts, mesh.last.trailers.get(b"grpc-status")), (1, b"5"))

    def test_the_last_status_stands(self):
        mesh, client = self.asked()
        for upstream in mesh.upstreams:
            upstream.serve(HEAD + trailers(14))
            mesh.advance(0.3)
        data = client.read()
        self.assertIn(b"grpc-status: 14", data)
        self.assertEqual(data.count(b"HTTP/1.1 200"), 1)
        self.assertEqual((mesh.last.attempts, mesh.last.flags), (2, flag.URX))

    def test_not_once_a_message_has_been_passed_on(self):
        mesh, client = self.asked()
        mesh.upstream.serve(HEAD + MESSAGE + trailers(14))
        self.assertIn(b"grpc-status: 14", client.read())
        self.assertEqual(mesh.last.attempts, 1)

    def test_a_head_that_comes_alone_is_passed_on_at_once(self):
        mesh, client = self.asked()
        peer, _ = mesh.upstream.serve(HEAD)
        self.assertEqual(status_of(client.read()), 200)
        peer.send(trailers(14))
        self.assertIn(b"grpc-status: 14", client.read())
        self.assertEqual(mesh.last.attempts, 1)

    def test_a_head_that_is_cut(self):
        mesh, client = self.asked()
        peer, _ = mesh.upstream.serve(HEAD)
        peer.close()
        self.assertEqual(status_of(client.read()), 200)
        self.assertEqual(mesh.last.flags, flag.UC)

    def test_other_requests_pay_nothing_for_it(self):
        mesh = self.mesh(plan={"calls": Calls(timeout_max_s=0.0)}, retry={"retry_on": ("unavailable",)})
        mesh.client(GET)
        mesh.upstream.serve()
        self.assertIsNone(mesh.last.more)

    def test_the_connection_is_used_again(self):
        mesh, client = self.asked(upstreams=1)
        peer, _ = mesh.upstream.serve(HEAD + trailers(14))
        mesh.advance(0.3)
        self.assertTrue(peer.read().startswith(b"POST"))
        peer.send(HEAD + MESSAGE + trailers(0))
        self.assertIn(b"grpc-status: 0", client.read())


class Judged(MeshCase):
    """What observes the cluster's endpoints."""

    def seen(self, request, answer):
        mesh = self.mesh()
        outcomes = []
        mesh.cluster.observe = lambda endpoint, outcome: outcomes.append(outcome.status)
        mesh.client(request)
        mesh.upstream.serve(answer)
        return outcomes

    def test_a_status_in_the_head_counts_as_its_http_status(self):
        bare = b"HTTP/1.1 200 OK\r\ngrpc-status: %b\r\ncontent-length: 0\r\n\r\n"
        for value, expected in ((b"14", 503), (b"13", 500), (b"4", 504), (b"5", 404), (b"0", 200), (b"x", 500)):
            self.assertEqual(self.seen(call(), bare % value), [expected], value)
        self.assertEqual(self.seen(GET, bare % b"14"), [200])

    def test_one_in_trailers_does_not(self):
        self.assertEqual(self.seen(call(), HEAD + MESSAGE + trailers(14)), [200])
