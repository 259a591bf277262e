"""The filter's own tests: the contract of its kind, and what it promises."""

from unittest import TestCase

import hello_plugin
from hello_plugin import Hello
from meshd.api import CONTINUE, STOP, Identity
from meshd.testing import FakeExchange, FakeSite
from meshd.testing.contract.http import HttpFilterContract


class ContractTest(HttpFilterContract, TestCase):
    def make(self):
        return FakeSite(plugins=[hello_plugin]).make("http_filter", "hello", Hello())


class HelloTest(TestCase):
    def setUp(self):
        self.site = FakeSite(plugins=[hello_plugin])

    def make(self, **config):
        return self.site.make("http_filter", "hello", Hello(**config))

    def test_greets_at_its_path(self):
        exchange = FakeExchange(b"GET", b"/hello?loud")
        self.assertIs(self.make().on_request(exchange), STOP)
        self.assertEqual((exchange.replies[0].status, exchange.replies[0].body), (200, b"hello\n"))
        self.assertEqual(self.site.metrics.value("hello_greetings_total", "hello"), 1)

    def test_lets_everything_else_pass(self):
        self.assertIs(self.make().on_request(FakeExchange(b"GET", b"/other")), CONTINUE)

    def test_greets_by_name(self):
        exchange = FakeExchange(b"GET", b"/hello")
        exchange.identity = Identity(name="ada", method="basic")
        self.make(by_name=True, greeting="hello %s").on_request(exchange)
        self.assertEqual(exchange.replies[0].body, b"hello ada\n")

    def test_signs_every_response(self):
        exchange = FakeExchange()
        exchange.respond(404, [], 0)
        self.make().on_response(exchange)
        self.assertEqual(exchange.response.headers.get(b"x-hello"), b"1")

    def test_a_greeting_by_name_needs_a_place_for_it(self):
        self.assertEqual([field for field, _ in Hello(by_name=True).check()], ["greeting"])
