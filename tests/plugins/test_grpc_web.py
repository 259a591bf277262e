"""The filter grpc_web, alone and within a chain: requests, answers, trailers in the body, what is no gRPC."""

import base64
import unittest

from meshd.http import flag
from meshd.http.headers import Headers
from meshd.testing.contract.http import HttpFilterContract
from meshd.testing.exchange import FakeExchange
from meshd.testing.site import FakeSite
from meshd_plugins.cors import Cors, CorsFilter, OriginMatch
from meshd_plugins.grpc_web import GrpcWeb, GrpcWebFilter
from tests.exchange.mesh import MeshCase, head_of, status_of
from tests.upstream.h2_case import Server

MESSAGE = b"\0\0\0\0\3abc"
TYPE = (b"content-type", b"application/grpc")
HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: application/grpc\r\ntransfer-encoding: chunked\r\n\r\n"
ANSWER = HEAD + b"8\r\n" + MESSAGE + b"\r\n0\r\ngrpc-status: 0\r\nX-Sum: 7\r\n\r\n"
FRAME = b"\x80\0\0\0\x18grpc-status:0\r\nx-sum:7\r\n"


def made():
    return GrpcWebFilter(GrpcWeb(), FakeSite("web"))


def ask(body=MESSAGE, kind=b"application/grpc-web+proto", *fields):
    lines = b"".join(field + b"\r\n" for field in fields)
    return (b"POST /a.B/C HTTP/1.1\r\nHost: a\r\ncontent-type: %b\r\n%bcontent-length: %d\r\n\r\n%b"
            % (kind, lines, len(body), body))


def whole(data):
    """Return the chunks of an answer as one body."""
    _, _, rest = data.partition(b"\r\n\r\n")
    parts = []
    while rest:
        size, _, rest = rest.partition(b"\r\n")
        count = int(size, 16)
        if not count:
            assert rest == b"\r\n", rest
            break
        parts.append(rest[:count])
        rest = rest[count + 2:]
    return parts


class Binary(MeshCase):
    def test_a_call(self):
        mesh = self.mesh(made())
        client = mesh.client(ask())
        _, data = mesh.upstream.serve(ANSWER)
        _, fields, body = head_of(data)
        self.assertEqual((fields[b"content-type"], fields[b"te"], fields[b"grpc-accept-encoding"], body),
                         (b"application/grpc", b"trailers", b"identity", MESSAGE))
        answer = client.read()
        self.assertEqual(head_of(answer)[1][b"content-type"], b"application/grpc-web+proto")
        self.assertEqual(b"".join(whole(answer)), MESSAGE + FRAME)
        self.assertEqual(mesh.last.trailers.get(b"grpc-status"), b"0")

    def test_messages_go_on_as_they_come(self):
        mesh = self.mesh(made())
        client = mesh.client(ask(MESSAGE, b"application/grpc-web"))
        peer, _ = mesh.upstream.serve(HEAD + b"8\r\n" + MESSAGE + b"\r\n")
        self.assertIn(MESSAGE, client.read())
        peer.send(b"0\r\ngrpc-status: 5\r\n\r\n")
        self.assertIn(b"grpc-status:5\r\n", client.read())

    def test_an_answer_that_is_but_a_head(self):
        mesh = self.mesh(made())
        client = mesh.client(ask())
        mesh.upstream.serve(b"HTTP/1.1 200 OK\r\ncontent-type: application/grpc\r\ngrpc-status: 5\r\n"
                            b"content-length: 0\r\n\r\n")
        _, fields, body = head_of(client.read())
        self.assertEqual((fields[b"content-type"], fields[b"grpc-status"], body),
                         (b"application/grpc-web+proto", b"5", b""))

    def test_trailers_behind_a_length_of_none(self):
        mesh = self.mesh(made(), cluster={"protocol": "http2"})
        client = mesh.client(ask())
        server = Server(mesh.upstream.accept())
        asked, = server.requests()
        server.answer(asked, fields=(TYPE, (b"content-length", b"0")), is_last=False)
        server.session.trailers(asked, Headers.of((b"grpc-status", b"5")))
        server.turn()
        data = client.read()
        self.assertNotIn(b"content-length", head_of(data)[1])
        self.assertIn(b"grpc-status:5\r\n", b"".join(whole(data)))

    def test_what_is_another_kind_is_left_alone(self):
        for kind in (b"application/grpc", b"application/grpc-web+json", b"text/plain", b"Application/grpc-web"):
            mesh = self.mesh(made())
            client = mesh.client(ask(MESSAGE, kind))
            self.assertIn(kind, mesh.upstream.serve(ANSWER)[1])
            self.assertIn(b"0\r\ngrpc-status: 0\r\n", client.read())


class Text(MeshCase):
    KIND = b"application/grpc-web-text"
    ACCEPT = b"accept: application/grpc-web-text"

    def test_a_call(self):
        mesh = self.mesh(made())
        client = mesh.client(ask(base64.b64encode(MESSAGE), self.KIND, self.ACCEPT))
        _, data = mesh.upstream.serve(ANSWER)
        self.assertNotIn(b"content-length", data)
        self.assertEqual(b"".join(whole(data)), MESSAGE)
        answer = client.read()
        self.assertEqual(head_of(answer)[1][b"content-type"], b"application/grpc-web-text+proto")
        self.assertEqual(b"".join(map(base64.b64decode, whole(answer))), MESSAGE + FRAME)

    def test_the_answer_is_as_the_client_accepts_it(self):
        mesh = self.mesh(made())
        client = mesh.client(ask(base64.b64encode(MESSAGE), self.KIND))
        mesh.upstream.serve(ANSWER)
        self.assertEqual(b"".join(whole(client.read())), MESSAGE + FRAME)

    def test_a_body_in_pieces(self):
        data = base64.b64encode(MESSAGE)
        mesh = self.mesh(made())
        head = ask(b"", self.KIND).replace(b"content-length: 0", b"content-length: %d" % len(data))
        client = mesh.client(head)
        peer = mesh.upstream.accept()
        for byte in data:
            client.send(bytes((byte,)))
        self.assertEqual(b"".join(whole(peer.read())), MESSAGE)

    def test_what_is_no_base64(self):
        for body, detail in ((b"AAA", "grpc_base_64_decode_failed_bad_size"),
                             (b"A!AA", "grpc_base_64_decode_failed"), (b"A=AA", "grpc_base_64_decode_failed")):
            mesh = self.mesh(made())
            client = mesh.client(ask(body, self.KIND))
            data = client.read()
            self.assertEqual(status_of(data), 400, body)
            self.assertEqual(mesh.last.detail, detail)
            self.assertEqual(head_of(data)[1][b"grpc-status"], b"13")


class NoGrpc(MeshCase):
    """Answers that are not gRPC's."""

    def assert_told(self, data, status, code, text):
        _, fields, body = head_of(data)
        self.assertEqual((status_of(data), fields[b"content-type"], body), (status, b"application/grpc-web+proto", b""))
        self.assertEqual((fields[b"grpc-status"], fields[b"grpc-message"]), (code, text))
        self.assertEqual(fields[b"content-length"], b"0")

    def test_a_local_reply(self):
        mesh = self.mesh(made())
        mesh.upstream.stop()
        self.assert_told(mesh.client(ask()).read(), 503, b"14", b"no connection to the upstream could be made")
        self.assertEqual(mesh.last.flags, flag.UF)

    def test_an_error_page_comes_whole_before_the_head_goes(self):
        mesh = self.mesh(made())
        client = mesh.client(ask())
        peer, _ = mesh.upstream.serve(b"HTTP/1.1 404 No\r\ncontent-type: text/html\r\ncontent-length: 10\r\n\r\n<p>")
        self.assertEqual(client.read(), b"")
        peer.send(b"no\xc3\xa9</p")
        self.assert_told(client.read(), 404, b"12", b"<p>no%C3%A9</p")
        client.send(ask())
        self.assertTrue(peer.read().startswith(b"POST"))

    def test_a_long_one_is_cut_and_does_not_stop_the_upstream(self):
        mesh = self.mesh(made())
        client = mesh.client(ask())
        mesh.upstream.serve(b"HTTP/1.1 500 No\r\ncontent-length: 300000\r\n\r\n" + b"x" * 300_000)
        self.assert_told(client.read(), 500, b"2", b"x" * 16384)

    def test_one_that_is_cut_short(self):
        mesh = self.mesh(made())
        client = mesh.client(ask())
        peer, _ = mesh.upstream.serve(b"HTTP/1.1 500 No\r\ncontent-length: 30\r\n\r\nxx")
        peer.close()
        self.assertNotEqual(client.end(), "open")

    def test_gives_marks_for_other_origins_beside_cors(self):
        cors = CorsFilter(Cors(allow_origins=(OriginMatch(exact="https://shop.test"),)), FakeSite("cors"))
        for answer in (ANSWER, b"HTTP/1.1 500 No\r\ncontent-length: 2\r\n\r\nno"):
            mesh = self.mesh(cors, made())
            client = mesh.client(ask(MESSAGE, b"application/grpc-web", b"origin: https://shop.test"))
            mesh.upstream.serve(answer)
            fields = head_of(client.read())[1]
            self.assertEqual(fields[b"access-control-allow-origin"], b"https://shop.test")


class Told(unittest.TestCase):
    def test_explains(self):
        for kind, word in ((b"application/grpc-web", "makes a gRPC call"), (b"text/plain", "passes it on")):
            self.assertIn(word, made().explain(FakeExchange(b"POST", headers=[(b"content-type", kind)])))


class Contract(HttpFilterContract, unittest.TestCase):
    def make(self):
        return made()
