"""The upstream of answers: what it says, what it remembers, how it ends."""

import threading
import time
from unittest import TestCase

from meshd.testing import NEVER, RESET, Client, MeshMixin, Raw, Response, Upstream


class AnswerTest(MeshMixin, TestCase):
    def statuses(self, api, count):
        return [self.client(api).get("/").status for _ in range(count)]

    def test_without_a_script_it_is_content(self):
        answer = self.client(self.upstream(body="hi", headers={"x-a": "1"})).get("/")
        self.assertEqual((answer.status, answer.body, answer.headers["x-a"]), (200, b"hi", "1"))

    def test_a_status_may_have_a_body(self):
        answer = self.client(self.upstream(status=418, body=b"tea")).get("/")
        self.assertEqual((answer.line, answer.body), (b"HTTP/1.1 418 I'm a Teapot", b"tea"))

    def test_a_list_is_given_in_turn_and_its_last_again(self):
        self.assertEqual(self.statuses(self.upstream([503, "one", 404]), 5), [503, 200, 404, 404, 404])

    def test_a_function_sees_the_request(self):
        api = self.upstream(lambda request: f"{request.method} {request.path} {request.query} {request.body.decode()}")
        self.assertEqual(self.client(api).request("POST", "/a?b", body="c").text, "POST /a b c")

    def test_chunks_have_no_length(self):
        answer = self.client(self.upstream(Response(200, b"abc", is_chunked=True))).get("/")
        self.assertEqual((answer.body, answer.get(b"content-length")), (b"abc", []))

    def test_the_last_answer_of_a_connection_says_so(self):
        client = self.client(self.upstream(Response(is_last=True)))
        self.assertTrue(client.get("/").closes)
        self.assertEqual(client.until_end(), b"")

    def test_raw_bytes_go_out_as_they_are(self):
        client = self.client(self.upstream(Raw(b"\x00\x01", is_last=True)))
        client.send(b"GET / HTTP/1.1\r\n\r\n")
        self.assertEqual(client.until_end(), b"\x00\x01")

    def test_a_delay_is_kept(self):
        client = self.client(self.upstream(Response(delay_s=0.2)))
        began = time.monotonic()
        self.assertEqual(client.get("/").status, 200)
        self.assertGreaterEqual(time.monotonic() - began, 0.2)

    def test_what_is_no_answer_is_refused_at_once(self):
        with self.assertRaisesRegex(TypeError, "answer 2.5: expected a status"):
            Upstream([200, 2.5])
        with self.assertRaisesRegex(ValueError, "no answer"):
            Upstream([])


class RecordTest(MeshMixin, TestCase):
    def test_requests_are_remembered_whole(self):
        api = self.upstream()
        self.client(api).request("POST", "/x?y=1", body=b"abc", headers={"X-A": "1"})
        request = api.requests[0]
        self.assertEqual((request.method, request.target, request.path, request.query), ("POST", "/x?y=1", "/x", "y=1"))
        self.assertEqual((request.headers["x-a"], request.body), ("1", b"abc"))

    def test_a_test_waits_for_requests(self):
        api = self.upstream(NEVER)
        self.client(api).send(b"GET /late HTTP/1.1\r\n\r\n")
        self.assertEqual(api.wait(1)[0].path, "/late")
        with self.assertRaisesRegex(AssertionError, "1 requests in 0.01 s, expected 2"):
            api.wait(2, limit_s=0.01)


class EndTest(TestCase):
    def test_its_threads_end_with_it(self):
        before = set(threading.enumerate())
        api = Upstream([NEVER, RESET, Response(delay_s=60)])
        clients = [Client(api) for _ in range(3)]
        for count, client in enumerate(clients, 1):
            client.send(b"GET / HTTP/1.1\r\n\r\n")
            api.wait(count)
        api.close()
        self.assertEqual([thread for thread in threading.enumerate() if thread not in before], [])
        for client in clients:
            client.close()

    def test_what_its_function_raises_fails_the_test(self):
        def script(request):
            raise KeyError("no such thing")
        api = Upstream(script)
        with Client(api) as client:
            self.assertEqual(client.get("/").status, 500)
        with self.assertRaisesRegex(KeyError, "no such thing"):
            api.close()
        api.close()

    def test_nobody_listens_afterwards(self):
        api = Upstream()
        api.close()
        with self.assertRaises(ConnectionRefusedError):
            Client(api)
