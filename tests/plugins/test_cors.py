"""cors: preflights are answered here, other answers are marked for the origins that may read them."""

import unittest

from meshd.api import CONTINUE, STOP
from meshd.testing.contract.http import HttpFilterContract
from meshd.testing.exchange import FakeExchange
from meshd.testing.site import FakeSite
from meshd_plugins.cors import Cors, CorsFilter
from tests.plugins.reading import read

TEXT = """
allow_origins: [{exact: "https://a.example"}, {suffix: .b.example}, {regex: 'https://c[0-9]+\\.example'}]
allow_methods: [GET, PUT]
allow_headers: [X-Token, content-type]
expose_headers: [x-total]
max_age: 10m
allow_credentials: true
"""


def cors(text=TEXT):
    config, faults = read(Cors, text)
    assert not faults, faults
    return CorsFilter(config, FakeSite())


def preflight(origin, *headers):
    return FakeExchange(
        b"OPTIONS", b"/x", [(b"origin", origin), (b"access-control-request-method", b"PUT"), *headers]
    )


class Contract(HttpFilterContract, unittest.TestCase):
    def make(self):
        return cors()


class Preflight(unittest.TestCase):
    def test_a_matched_origin_gets_the_grant_at_once(self):
        exchange = preflight(b"https://a.example")
        self.assertIs(exchange.request_phase(cors()), STOP)
        reply = exchange.replies[0]
        self.assertEqual((reply.status, reply.body, reply.detail), (200, b"", "cors_response"))
        self.assertEqual(dict(reply.headers), {
            b"access-control-allow-origin": b"https://a.example", b"access-control-allow-credentials": b"true",
            b"access-control-allow-methods": b"GET, PUT", b"access-control-allow-headers": b"x-token, content-type",
            b"access-control-max-age": b"600",
        })

    def test_the_answer_varies_by_origin(self):
        exchange, filter = preflight(b"https://a.example"), cors()
        exchange.request_phase(filter)
        exchange.response_phase(filter)
        self.assertEqual(exchange.response.headers.get_all(b"vary"), [b"origin"])
        self.assertEqual(len(exchange.response.headers.get_all(b"access-control-allow-origin")), 1)

    def test_suffix_and_regular_expression_match_whole_origins(self):
        for origin, verdict in (
            (b"https://x.b.example", STOP), (b"https://c12.example", STOP), (b"https://c12.example.evil", CONTINUE),
            (b"https://evilb.example", CONTINUE), (b"xhttps://c1.example", CONTINUE), (b"https://A.example", CONTINUE),
        ):
            with self.subTest(origin):
                self.assertIs(preflight(origin).request_phase(cors()), verdict)

    def test_another_origin_is_forwarded_by_default(self):
        exchange = preflight(b"https://evil.example")
        self.assertIs(exchange.request_phase(cors()), CONTINUE)

    def test_another_origin_gets_no_grant_where_preflights_are_not_forwarded(self):
        exchange = preflight(b"https://evil.example")
        self.assertIs(exchange.request_phase(cors(TEXT + "unmatched_preflights: ignore")), STOP)
        self.assertEqual((exchange.replies[0].status, exchange.replies[0].headers), (200, ()))

    def test_two_origins_are_no_origin_that_we_know(self):
        exchange = preflight(b"https://a.example", (b"origin", b"https://a.example"))
        self.assertIs(exchange.request_phase(cors()), CONTINUE)

    def test_options_without_a_requested_method_is_an_ordinary_request(self):
        exchange = FakeExchange(b"OPTIONS", b"/", [(b"origin", b"https://a.example")])
        self.assertIs(exchange.request_phase(cors()), CONTINUE)


class Response(unittest.TestCase):
    def answer(self, origin, *headers, text=TEXT):
        exchange = FakeExchange(headers=[(b"origin", origin)] if origin else [])
        exchange.request_phase(cors(text))
        exchange.respond(200, headers)
        exchange.response_phase(cors(text))
        return exchange.response.headers

    def test_the_matched_origin_is_echoed(self):
        headers = self.answer(b"https://a.example")
        self.assertEqual(headers.get(b"access-control-allow-origin"), b"https://a.example")
        self.assertEqual(headers.get(b"access-control-expose-headers"), b"x-total")
        self.assertEqual(headers.get(b"access-control-allow-credentials"), b"true")

    def test_what_the_upstream_said_of_it_is_replaced(self):
        headers = self.answer(b"https://a.example", (b"access-control-allow-origin", b"*"))
        self.assertEqual(headers.get_all(b"access-control-allow-origin"), [b"https://a.example"])

    def test_another_origin_gets_nothing_but_vary(self):
        self.assertEqual(list(self.answer(b"https://evil.example")), [(b"vary", b"origin")])

    def test_vary_is_set_also_without_origin_so_that_caches_are_not_poisoned(self):
        self.assertEqual(self.answer(None, (b"vary", b"Accept")).get_all(b"vary"), [b"Accept, origin"])

    def test_vary_is_not_said_twice(self):
        self.assertEqual(self.answer(b"https://a.example", (b"vary", b"Origin")).get_all(b"vary"), [b"Origin"])

    def test_every_origin_is_answered_with_a_star_that_any_cache_may_keep(self):
        headers = self.answer(b"https://x", text='allow_origins: [{exact: "*"}]')
        self.assertEqual(list(headers), [(b"access-control-allow-origin", b"*")])


class Configuration(unittest.TestCase):
    def test_every_origin_with_credentials_is_a_fault(self):
        for origin in ('{exact: "*"}', "{prefix: 'https://'}", "{regex: '.*'}", "{regex: 'https?://.+'}"):
            with self.subTest(origin):
                found, faults = read(Cors, f"allow_origins: [{origin}]\nallow_credentials: true")
                self.assertIsNone(found)
                self.assertIn("expected a closer match", faults[0])

    def test_an_origin_needs_exactly_one_condition(self):
        for origin in ("{}", "{exact: a, prefix: b}"):
            with self.subTest(origin):
                self.assertIn("expected one of exact", str(read(Cors, f"allow_origins: [{origin}]")[1]))

    def test_a_star_in_a_list_beside_credentials_is_a_fault(self):
        faults = read(Cors, "allow_origins: [{exact: a}]\nallow_methods: ['*']\nallow_credentials: true")[1]
        self.assertIn("allow_methods", str(faults))


class Explained(unittest.TestCase):
    def test_it_says_what_becomes_of_each_origin(self):
        for exchange, said, replies in (
                (FakeExchange(), "no origin: nothing to grant", 0),
                (FakeExchange(headers=[(b"origin", b"https://a.example")]),
                 "origin https://a.example is allowed: passes the request on", 0),
                (preflight(b"https://a.example"), "origin https://a.example is allowed: answers the preflight", 1),
                (preflight(b"https://z.example"), "origin https://z.example is not allowed: passes the request on", 0)):
            self.assertEqual(cors().explain(exchange), said)
            self.assertEqual(len(exchange.replies), replies)
