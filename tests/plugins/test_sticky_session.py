"""sticky_session: what is read of a client's cookie or field, and what it is told."""

import unittest
from base64 import b64decode, b64encode

from meshd.api import CONTINUE, health
from meshd.testing.contract.http import HttpFilterContract
from meshd.testing.exchange import FakeExchange
from meshd.testing.site import FakeSite
from meshd_plugins.sticky_session import SessionCookie, StickySessionOptions, address_of
from tests.plugins.balancer_case import FakeEndpoint

HERE = FakeEndpoint("10.0.0.1:80")
PLAIN = b64encode(b"10.0.0.1:80")
MESSAGE = b64encode(b"\n\x0b10.0.0.1:80")
"""As Envoy writes it: a message whose field 1 is the address."""


def session(**options):
    """Return the filter."""
    return FakeSite().make("http_filter", "sticky_session", StickySessionOptions(**options))


def by_cookie(**options):
    """Return the filter with the cookie ``at``."""
    return session(cookie=SessionCookie(name="at", **options))


def told(made, exchange, endpoint=HERE):
    """Run both phases; return the answer's fields."""
    made.on_request(exchange)
    exchange.endpoint = endpoint
    exchange.respond(200)
    exchange.response_phase(made)
    return exchange.response.headers


class Contract(HttpFilterContract, unittest.TestCase):
    def make(self):
        return by_cookie()


class Reading(unittest.TestCase):
    def test_addresses_in_both_of_envoy_s_forms(self):
        self.assertEqual(address_of(PLAIN), "10.0.0.1:80")
        self.assertEqual(address_of(MESSAGE), "10.0.0.1:80")
        self.assertEqual(address_of(b64encode(b"\n\x0b10.0.0.1:80\x10\x05")), "10.0.0.1:80")

    def test_what_is_none(self):
        for value in (None, b"", b"%%%", b"=", b64encode(b"\xff\xfe"), b"A" * 404):
            self.assertIsNone(address_of(value), value)

    def test_the_cookie_among_others(self):
        for line in (b"at=" + PLAIN, b'a=1; at="' + MESSAGE + b'"; b=2'):
            exchange = FakeExchange(headers=[(b"cookie", line)])
            self.assertIs(exchange.request_phase(by_cookie()), CONTINUE)
            self.assertEqual(exchange.wanted, ("10.0.0.1:80", False, 0))

    def test_the_options_are_passed_on(self):
        exchange = FakeExchange(headers=[(b"x-at", PLAIN)])
        session(header="x-at", strict=True, draining=True).on_request(exchange)
        self.assertEqual(exchange.wanted, ("10.0.0.1:80", True, health.DRAINING))

    def test_nothing_is_wanted_without_one(self):
        exchange = FakeExchange(headers=[(b"cookie", b"hat=1")])
        by_cookie().on_request(exchange)
        self.assertIsNone(exchange.wanted)


class Telling(unittest.TestCase):
    def test_a_new_client_is_told(self):
        headers = told(by_cookie(ttl_s=9.0, path="/", attributes=(("Secure", ""),)), FakeExchange())
        start, tail = headers.get(b"set-cookie").split(b"; ", 1)
        self.assertEqual(tail, b"Max-Age=9; Path=/; Secure; HttpOnly")
        self.assertEqual(b64decode(start.removeprefix(b'at="').removesuffix(b'"')), b"\n\x0b10.0.0.1:80")

    def test_a_client_that_is_where_it_was_is_not(self):
        for value in (PLAIN, MESSAGE):
            headers = told(by_cookie(), FakeExchange(headers=[(b"cookie", b"at=" + value)]))
            self.assertIsNone(headers.get(b"set-cookie"))

    def test_one_that_has_been_moved_is(self):
        headers = told(session(header="x-at"), FakeExchange(headers=[(b"x-at", b64encode(b"10.0.0.2:80"))]))
        self.assertEqual(headers.get(b"x-at"), PLAIN)

    def test_our_own_answers_tell_nothing(self):
        made, exchange = by_cookie(), FakeExchange()
        made.on_request(exchange)
        exchange.reply(503)
        exchange.response_phase(made)
        self.assertIsNone(exchange.response.headers.get(b"set-cookie"))

    def test_paths_that_the_cookie_is_not_for_are_left_alone(self):
        rows = ((b"/shop", True), (b"/shop/a?b", True), (b"/shop?b", True), (b"/shopping", False), (b"/", False))
        for target, is_told in rows:
            headers = told(by_cookie(path="/shop"), FakeExchange(b"GET", target))
            self.assertEqual(headers.get(b"set-cookie") is not None, is_told, target)


class Options(unittest.TestCase):
    def test_one_place_is_named(self):
        self.assertEqual(len(list(StickySessionOptions().check())), 1)
        self.assertEqual(len(list(StickySessionOptions(header="a", cookie=SessionCookie(name="b")).check())), 1)
        self.assertEqual(list(StickySessionOptions(header="a").check()), [])
