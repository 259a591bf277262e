"""The blocking client: what it sends, how it reads, how it tells of ends."""

import socket
import tempfile
import threading
from unittest import TestCase

from meshd.testing import CLOSE, NEVER, RESET, BadMessage, Client, Cut, MeshMixin, Raw, Response
from meshd.testing.client import address_of


class RequestTest(MeshMixin, TestCase):
    def ask(self, *args, script=200, **options):
        api = self.upstream(script)
        answer = self.client(api).request(*args, **options)
        return answer, api.requests[-1].head

    def test_a_get_has_a_host_and_no_length(self):
        api = self.upstream()
        self.client(api).get("/a?b=c", headers={"X-One": "1"})
        head = f"GET /a?b=c HTTP/1.1\r\nhost: {api.address}\r\nX-One: 1\r\n\r\n"
        self.assertEqual(api.requests[0].head, head.encode())

    def test_a_body_has_its_length(self):
        _, head = self.ask("POST", "/", body="gr\u00fc\u00df", headers=[(b"host", b"a")])
        self.assertEqual(head, b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 6\r\n\r\n")

    def test_a_post_without_a_body_has_a_length_too(self):
        self.assertIn(b"content-length: 0\r\n", self.ask("POST", "/")[1])

    def test_pieces_are_sent_as_chunks(self):
        api = self.upstream()
        self.client(api).request("PUT", "/", body=iter([b"one", b"", b"two"]))
        self.assertEqual((api.requests[0].body, api.requests[0].headers["Transfer-Encoding"]), (b"onetwo", "chunked"))

    def test_a_connection_is_kept(self):
        api = self.upstream()
        client = self.client(api)
        for _ in range(3):
            self.assertEqual(client.get("/").status, 200)
        self.assertEqual([request.connection for request in api.requests], [1, 1, 1])

    def test_fields_are_found_in_any_case_and_as_text(self):
        answer, _ = self.ask("GET", "/", script=Response(headers=[("X-A", "1"), ("x-a", "2")]))
        self.assertEqual((answer.headers["X-A"], answer.headers.all(b"x-A")), ("1", ["1", "2"]))
        self.assertNotIn("x-b", answer.headers)
        self.assertEqual(answer.get(b"x-a"), [b"1", b"2"])

    def test_a_body_is_read_as_text_and_as_json(self):
        answer, _ = self.ask("GET", "/", script='{"a": 1}')
        self.assertEqual((answer.body, answer.text, answer.json()), (b'{"a": 1}', '{"a": 1}', {"a": 1}))

    def test_head_has_no_body_whatever_its_length_says(self):
        api = self.upstream("hello")
        client = self.client(api)
        self.assertEqual(client.request("HEAD", "/").get(b"content-length"), [b"5"])
        self.assertEqual(client.get("/").body, b"hello")

    def test_chunks_and_trailers_are_read(self):
        answer, _ = self.ask("GET", "/", script=Raw(
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\none\r\n2\r\n--\r\n0\r\nX-T: 1\r\n\r\n"))
        self.assertEqual((answer.body, answer.trailers), (b"one--", [(b"x-t", b"1")]))

    def test_interim_answers_stand_beside_the_final_one(self):
        answer, _ = self.ask("GET", "/", script=Raw(
            b"HTTP/1.1 103 Early Hints\r\nlink: a\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n"))
        self.assertEqual((answer.status, answer.interim), (204, ((103, [(b"link", b"a")]),)))

    def test_after_an_upgrade_bytes_go_both_ways(self):
        def shout(peer):
            peer.send(peer.read(5).upper())
        api = self.upstream(Response(101, headers={"upgrade": "shout", "connection": "upgrade"}, then=shout))
        client = self.client(api)
        self.assertEqual(client.get("/", headers={"connection": "upgrade", "upgrade": "shout"}).status, 101)
        client.send(b"hello")
        self.assertEqual((client.read(2), client.until(b"L"), client.until_end()), (b"HE", b"L", b"LO"))


class EndTest(MeshMixin, TestCase):
    def client_of(self, script, **options):
        client = self.client(self.upstream(script), **options)
        client.send(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n")
        return client

    def test_an_end_before_the_answer_is_eof(self):
        client = self.client_of(CLOSE)
        with self.assertRaises(EOFError):
            client.answer()
        self.assertEqual((client.is_ended, client.is_reset), (True, False))

    def test_a_reset_is_told_apart(self):
        client = self.client_of(RESET)
        with self.assertRaises(EOFError):
            client.answer()
        self.assertTrue(client.is_reset)

    def test_an_end_inside_the_answer_is_a_cut(self):
        client = self.client_of(Response(200, "hello", cut_at=2))
        with self.assertRaises(Cut) as caught:
            client.answer()
        self.assertEqual(caught.exception.args, (b"he", False))

    def test_silence_is_an_error_that_says_how_long(self):
        client = self.client_of(NEVER, limit_s=0.05)
        with self.assertRaisesRegex(TimeoutError, r"client of 127.0.0.1:\d+: nothing came in 0.05 s"):
            client.answer()

    def test_what_is_no_http_fails_the_test(self):
        for data in (b"HTTP/1.0 200 OK\r\n\r\n", b"HTTP/1.1 200 OK\r\na b: c\r\n\r\n",
                     b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\ntransfer-encoding: chunked\r\n\r\n",
                     b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nx\r\n",
                     b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\r\nabc"):
            with self.subTest(data=data), self.assertRaises(BadMessage):
                self.client_of(Raw(data, is_last=True)).answer()

    def test_sending_to_a_peer_that_has_gone_is_told(self):
        client = self.client_of(CLOSE)
        client.until_end()
        self.assertFalse(all(client.send(b"x" * 65536) for _ in range(100)))


class AddressTest(TestCase):
    def test_a_target_is_a_port_an_address_or_what_has_one(self):
        self.assertEqual(address_of(80), "127.0.0.1:80")
        self.assertEqual(address_of("[::1]:80"), "[::1]:80")

    def test_a_unix_socket_is_dialled(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(f"{folder.name}/s")
            listener.listen()

            def serve():
                with listener.accept()[0] as sock:
                    sock.recv(999)
                    sock.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")
            thread = threading.Thread(target=serve)
            thread.start()
            self.addCleanup(thread.join)
            with Client(f"unix:{folder.name}/s") as client:
                self.assertEqual(client.get("/").status, 200)
