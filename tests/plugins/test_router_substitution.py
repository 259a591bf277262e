"""Substitutions in header values and bodies."""

import unittest

from meshd.testing.exchange import FakeExchange
from meshd.testing.site import FakeSite
from meshd_plugins.router.substitution import Context, compile_text, parse


def render(text, exchange=None, environment=(), clock=None, **fixed):
    """Compile and render ``text``."""
    found = compile_text(text, Context(dict(environment), clock, fixed))
    return found if isinstance(found, bytes) else found(exchange or FakeExchange())


class Texts(unittest.TestCase):
    def test_text_without_operator_is_bytes_at_build_time(self):
        self.assertEqual(compile_text("a b", Context({})), b"a b")
        self.assertEqual(compile_text("", Context({})), b"")

    def test_two_percent_signs_are_one(self):
        self.assertEqual(compile_text("100%%", Context({})), b"100%")
        self.assertEqual(render("%%REQ(a)%%"), b"%REQ(a)%")

    def test_text_around_operators_stays(self):
        self.assertEqual(render("a%PROTOCOL%b%PROTOCOL%"), b"aHTTP/1.1bHTTP/1.1")

    def test_length_cuts(self):
        exchange = FakeExchange(headers=[(b"x", b"abcdef")])
        self.assertEqual(render("%REQ(x):3%", exchange), b"abc")

    def test_refuses_a_lone_percent_sign(self):
        for text in ("100%", "%REQ(x", "% PROTOCOL%", "a%b"):
            with self.assertRaisesRegex(ValueError, "character .*: expected %OPERATOR%"):
                parse(text)

    def test_refuses_an_unknown_operator_and_names_the_known(self):
        with self.assertRaisesRegex(ValueError, "unknown operator 'NOPE': expected one of .*PROTOCOL"):
            parse("%NOPE%")

    def test_refuses_wrong_arguments(self):
        for text in ("%REQ%", "%REQ(a?b?c)%", "%REQ(a b)%", "%PROTOCOL(x)%", "%ENVIRONMENT%", "%HOSTNAME(x)%"):
            with self.assertRaises(ValueError, msg=text):
                parse(text)


class Operators(unittest.TestCase):
    def test_request_field_with_alternative(self):
        exchange = FakeExchange(target=b"/a?b", headers=[(b"x", b"1")])
        self.assertEqual(render("%REQ(X)%", exchange), b"1")
        self.assertEqual(render("%REQ(y?x)%", exchange), b"1")
        self.assertEqual(render("%REQ(y?:path)%", exchange), b"/a?b")
        self.assertEqual(render("%REQ(:method)% %REQ(:authority)% %REQ(:scheme)%", exchange), b"GET example.com http")

    def test_missing_value_is_empty(self):
        self.assertEqual(render("[%REQ(none)%%UPSTREAM_HOST%%RESPONSE_CODE%%RESP(x)%]"), b"[]")

    def test_addresses(self):
        exchange = FakeExchange(peer="10.1.2.3:4567", client="203.0.113.9", local="[::1]:80")
        self.assertEqual(render("%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT%", exchange), b"203.0.113.9")
        self.assertEqual(render("%DOWNSTREAM_REMOTE_ADDRESS%", exchange), b"10.1.2.3:4567")
        self.assertEqual(render("%DOWNSTREAM_LOCAL_ADDRESS_WITHOUT_PORT%:%DOWNSTREAM_LOCAL_PORT%", exchange), b"::1:80")
        self.assertEqual(render("%DOWNSTREAM_LOCAL_PORT%", FakeExchange(local="unix:/run/x")), b"")

    def test_response(self):
        exchange = FakeExchange()
        exchange.respond(418, [(b"x", b"tea")])
        self.assertEqual(render("%RESPONSE_CODE% %RESP(X)% %RESP(:status)%", exchange), b"418 tea 418")

    def test_fixed_values_win(self):
        self.assertEqual(compile_text("%RESPONSE_CODE%", Context({}, None, {"RESPONSE_CODE": b"301"})), b"301")

    def test_environment_is_read_at_build_time_and_loses_line_breaks(self):
        self.assertEqual(compile_text("%ENVIRONMENT(A)%", Context({"A": "x\r\ny\0"})), b"xy")
        self.assertEqual(compile_text("%ENVIRONMENT(B)%", Context({})), b"")

    def test_start_time_is_wall_time_of_the_first_byte(self):
        site = FakeSite()
        exchange = FakeExchange(started=site.clock.now())
        site.advance(10.25)
        self.assertEqual(render("%START_TIME%", exchange, clock=site.clock), b"2023-11-14T22:13:20.000Z")
        self.assertEqual(render("%START_TIME(%Y %6f)%", exchange, clock=site.clock), b"2023 000000")

    def test_names_of_route_and_numbers(self):
        exchange = FakeExchange(attempts=2, connection_id=7, stream_id=9, detail="via_upstream")
        text = "%UPSTREAM_REQUEST_ATTEMPT_COUNT% %CONNECTION_ID% %STREAM_ID% %RESPONSE_CODE_DETAILS% %RESPONSE_FLAGS%"
        self.assertEqual(render(text, exchange), b"2 7 9 via_upstream -")
