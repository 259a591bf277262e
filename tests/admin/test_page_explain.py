"""/explain: the question is read from the query, and what cannot be asked is refused with what was expected."""

import json
from unittest import TestCase

from twisted.internet.defer import succeed

from tests.admin.fake import FakeDaemon
from tests.admin.wire import Wire


class Explain(TestCase):
    def setUp(self):
        self.daemon = FakeDaemon()
        self.daemon.runtime = object()

    def ask(self, query):
        """Return (status, body)."""
        status, _, body = Wire(self.daemon).ask(f"/explain?{query}")
        return status, body.decode()

    def test_the_question_is_read_from_the_query(self):
        status, body = self.ask(
            "method=PUT&url=http%3A%2F%2Fa.com%2Fb&header=x:1&header=y:%202&client=10.0.0.1&from=web")
        self.assertEqual(status, 200)
        (asked,) = self.daemon.told
        self.assertEqual((asked.method, asked.target, asked.headers), ("PUT", "/b", (("x", "1"), ("y", "2"))))
        self.assertEqual((asked.client, asked.source), ("10.0.0.1", "web"))
        found = json.loads(body)
        self.assertEqual((found["generation"], found["result"]), (3, {"kind": "forward"}))

    def test_get_is_asked_where_no_method_is_named(self):
        self.ask("url=http://a.com/")
        self.assertEqual(self.daemon.told[0].method, "GET")

    def test_many_routes_are_written_in_pieces_and_are_all_there(self):
        rows = [{"name": str(number), "reason": "x"} for number in range(3000)]
        self.daemon.explain = lambda asked: succeed({"passed_over": rows, "result": {"kind": "forward"}})
        status, fields, body = Wire(self.daemon).ask("/explain?url=http://a/")
        self.assertEqual((status, fields.get("transfer-encoding")), (200, "chunked"))
        found = json.loads(body)
        self.assertEqual((found["passed_over"], found["result"], found["generation"]), (rows, {"kind": "forward"}, 3))

    def test_what_cannot_be_asked_is_400(self):
        for query, said in (("", "expected http://HOST"), ("url=http://a/&header=x", "expected NAME:VALUE"),
                            ("url=http://a/&client=web", "expected an IP address"),
                            ("url=http://a/&listener=unknown", "expected one of public")):
            status, body = self.ask(query)
            self.assertEqual(status, 400, query)
            self.assertIn(said, body)

    def test_before_the_first_configuration_it_is_503(self):
        self.daemon.runtime = None
        self.assertEqual(self.ask("url=http://a/")[0], 503)
