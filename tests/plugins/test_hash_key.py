"""The key of a request for the hash balancers: what it is made of, how rules combine, cookies that are made."""

import unittest
from random import Random

from xxhash import xxh64_intdigest as xxh64

from meshd.testing.exchange import FakeExchange
from meshd_plugins.consistent_hash.key import Cookie, HashRule, combined, key_function


def key(exchange, *rules):
    """Return the key of a request by rules."""
    return key_function(rules, Random(1))(exchange)


def request(target=b"/", *headers, **attributes):
    """Return a request."""
    return FakeExchange(b"GET", target, headers, **attributes)


def cookie(**options):
    """Return a rule of a cookie."""
    return HashRule(cookie=Cookie(name="who", **options))


class Rules(unittest.TestCase):
    def test_no_rules_no_function(self):
        self.assertIsNone(key_function((), Random(1)))

    def test_a_header(self):
        rule = HashRule(header="x-user")
        self.assertEqual(key(request(b"/", (b"X-User", b"a")), rule), xxh64(b"a"))
        self.assertIsNone(key(request(), rule))

    def test_several_values_in_any_order_are_one_key(self):
        rule, values = HashRule(header="x-user"), ((b"x-user", b"b"), (b"x-user", b"a"))
        self.assertEqual(key(request(b"/", *values), rule), xxh64(b"b", xxh64(b"a")))
        self.assertEqual(key(request(b"/", *values[::-1]), rule), xxh64(b"b", xxh64(b"a")))

    def test_the_first_value_of_a_query_parameter_as_it_is_written(self):
        rule = HashRule(query="q")
        self.assertEqual(key(request(b"/?a=1&q=%41&q=2"), rule), xxh64(b"%41"))
        self.assertEqual(key(request(b"/?q"), rule), xxh64(b""))
        self.assertIsNone(key(request(b"/?aq=1"), rule))
        self.assertIsNone(key(request(b"/"), rule))

    def test_the_client_s_address(self):
        rule = HashRule(source_address=True)
        self.assertEqual(key(request(client="192.0.2.7"), rule), xxh64(b"192.0.2.7"))
        self.assertIsNone(key(request(client="unix"), rule))

    def test_rules_combine_by_rotation_and_xor(self):
        rules = HashRule(header="a"), HashRule(query="b")
        found = key(request(b"/?b=2", (b"a", b"1")), *rules)
        one, two = xxh64(b"1"), xxh64(b"2")
        self.assertEqual(found, combined(one, two))
        self.assertEqual(found, ((one << 1 | one >> 63) & (2**64 - 1)) ^ two)
        self.assertEqual(key(request(b"/?b=2"), *rules), two)
        self.assertIsNone(key(request(), *rules))

    def test_equal_rules_do_not_cancel_each_other_out(self):
        rule = HashRule(header="a")
        self.assertNotEqual(key(request(b"/", (b"a", b"1")), rule, rule), 0)

    def test_the_first_terminal_rule_after_which_there_is_a_key_ends(self):
        rules = HashRule(header="a", terminal=True), HashRule(query="b", terminal=True), HashRule(header="c")
        self.assertEqual(key(request(b"/?b=2", (b"a", b"1"), (b"c", b"3")), *rules), xxh64(b"1"))
        self.assertEqual(key(request(b"/?b=2", (b"c", b"3")), *rules), xxh64(b"2"))
        self.assertEqual(key(request(b"/", (b"c", b"3")), *rules), xxh64(b"3"))

    def test_a_rule_names_one_thing(self):
        self.assertEqual(len(list(HashRule().check())), 1)
        self.assertEqual(len(list(HashRule(header="a", query="b").check())), 1)
        self.assertEqual(list(HashRule(query="b").check()), [])


class Cookies(unittest.TestCase):
    def test_a_cookie_that_is_there(self):
        for line in (b"who=me", b"a=1; who=me", b'who="me"; b=2'):
            exchange = request(b"/", (b"cookie", line))
            self.assertEqual(key(exchange, cookie(ttl_s=10.0)), xxh64(b"me"))
            self.assertEqual(exchange.added, [])

    def test_without_a_ttl_none_is_made(self):
        exchange = request(b"/", (b"cookie", b"whose=1"))
        self.assertIsNone(key(exchange, cookie()))
        self.assertEqual(exchange.added, [])

    def test_with_a_ttl_one_is_made_and_is_the_key(self):
        exchange = request()
        found = key(exchange, cookie(ttl_s=60.0, path="/shop", attributes=(("SameSite", "Lax"), ("Secure", ""))))
        (name, text), = exchange.added
        start, *rest = text.split(b"; ")
        self.assertEqual(name, b"set-cookie")
        self.assertEqual(rest, [b"Max-Age=60", b"Path=/shop", b"SameSite=Lax", b"Secure", b"HttpOnly"])
        value = start.removeprefix(b'who="').removesuffix(b'"')
        self.assertEqual(found, xxh64(value))
        self.assertEqual(key(request(b"/", (b"cookie", b"who=" + value)), cookie(ttl_s=60.0)), found)

    def test_ttl_zero_is_a_session_s_cookie(self):
        exchange = request()
        key(exchange, cookie(ttl_s=0.0))
        self.assertNotIn(b"Max-Age", exchange.added[0][1])

    def test_another_attempt_of_a_request_makes_no_second_cookie(self):
        exchange, function = request(), key_function([cookie(ttl_s=0.0)], Random(1))
        self.assertEqual(function(exchange), function(exchange))
        self.assertEqual(len(exchange.added), 1)

    def test_two_clients_get_different_cookies(self):
        function = key_function([cookie(ttl_s=0.0)], Random(1))
        self.assertNotEqual(function(request()), function(request()))
