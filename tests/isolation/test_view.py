"""What a child says of an exchange: plain changes are applied, everything that could smuggle or break is refused."""

from unittest import TestCase

from meshd.api import CONTINUE, Headers, Identity, PluginError
from meshd.isolated.exchange import IsolatedExchange
from meshd.isolation.message import (
    COMPLETE, REQUEST, RESPONSE, Changes, ReplyView, decode_downward, decode_upward, encode,
)
from meshd.isolation.view import apply, call_of, plain_of
from meshd.testing.exchange import FakeExchange


class Chain:
    """Matches every request."""

    def match(self, exchange):
        """Return the route."""
        return type("Route", (), {"name": "all", "virtual_host": "host"})


def exchange_of(method=b"GET", target=b"/a?b", headers=((b"x-a", b"1"),), **more):
    """Return a FakeExchange with what a real one has beside IExchange."""
    made = FakeExchange(method, target, headers, route_found=False, chain=Chain(), **more)
    made.notes = made.metadata
    return made


def inside(exchange, phase=REQUEST):
    """Return the exchange as the child has it."""
    call = decode_downward(encode(call_of(7, 0, phase, exchange)))
    return IsolatedExchange(call, None)


def back(exchange, seen, is_request=True):
    """Apply what was done to ``seen``."""
    changes = seen.changes()
    if changes is not None:
        apply(decode_upward(b"\x94\x0c\x07\xc2" + encode(changes)).changes, exchange, is_request)
    return changes


class SeenTest(TestCase):
    def test_the_child_sees_what_is_there(self):
        exchange = exchange_of(b"POST", b"/a?b", [(b"content-length", b"3")], client="192.0.2.7", started=1.5)
        exchange.identity = Identity(name="ann", method="basic", claims=(("a", "b"),))
        exchange.metadata.update(one={"a": [1, None, b"x"]}, two=object())
        seen = inside(exchange)
        self.assertEqual((seen.request.method, seen.request.path, seen.request.query), (b"POST", b"/a", b"b"))
        self.assertEqual((seen.request.content_length, seen.client, seen.started), (3, "192.0.2.7", 1.5))
        self.assertEqual((seen.identity, seen.route.name), (exchange.identity, "all"))
        self.assertEqual(seen.metadata, {"one": {"a": [1, None, b"x"]}})
        self.assertIsNone(seen.changes())
        self.assertIs(exchange.route_found, False)

    def test_what_cannot_travel_stays(self):
        endless = []
        endless.append(endless)
        self.assertEqual(plain_of({"a": endless, "b": 2**70, "c": {1: 2}, 5: 1, "d": (1.5, True)}), {"d": (1.5, True)})

    def test_changes_of_the_request_come_back(self):
        exchange = exchange_of()
        exchange.metadata.update(kept=object(), old=1, changed=1)
        seen = inside(exchange)
        seen.request.method = b"PUT"
        seen.request.set_target(b"/new?c")
        seen.request.headers.set(b"x-b", b"2")
        seen.request.headers.remove(b"x-a")
        seen.identity = Identity(name="bob", method="key")
        seen.metadata.update(changed=2, new=["x"])
        del seen.metadata["old"]
        seen.clear_route()
        back(exchange, seen)
        request = exchange.request
        self.assertEqual((request.method, request.target, request.path), (b"PUT", b"/new?c", b"/new"))
        self.assertEqual((request.headers.get(b"x-a"), request.headers.get(b"x-b")), (None, b"2"))
        self.assertEqual(exchange.identity.name, "bob")
        self.assertEqual({key: value for key, value in exchange.metadata.items() if key != "kept"},
                         {"changed": 2, "new": ["x"]})
        self.assertIn("kept", exchange.metadata)
        self.assertEqual(exchange.routes_cleared, 1)

    def test_an_identity_can_be_taken_away(self):
        exchange = exchange_of(identity=Identity(name="ann", method="basic"))
        seen = inside(exchange)
        seen.identity = None
        back(exchange, seen)
        self.assertIsNone(exchange.identity)

    def test_a_reply_is_made_once(self):
        exchange = exchange_of()
        seen = inside(exchange)
        seen.reply(403, b"no\n", [(b"x-why", b"because")], detail="denied")
        seen.reply(200)
        back(exchange, seen)
        self.assertEqual([(one.status, one.body, one.detail) for one in exchange.replies], [(403, b"no\n", "denied")])

    def test_changes_of_the_response_come_back(self):
        exchange = exchange_of()
        exchange.respond(200, [(b"server", b"x")], 3)
        seen = inside(exchange, RESPONSE)
        seen.response.status = 203
        seen.response.headers.set(b"server", b"y")
        back(exchange, seen, is_request=False)
        self.assertEqual((exchange.response.status, exchange.response.headers.get(b"server")), (203, b"y"))

    def test_what_is_not_there_says_so(self):
        for phase in (RESPONSE, COMPLETE):
            seen = inside(exchange_of(), phase)
            self.assertRaises(PluginError, seen.reply, 200)
            failure = seen.read_body(5)
            failure.addErrback(lambda why: self.assertIn("on_request only", str(why.value)))
        for call in (seen.forward, seen.transform_request, seen.transform_response):
            self.assertRaisesRegex(PluginError, "not available to an isolated filter", call, None)

    def test_metadata_must_be_plain(self):
        seen = inside(exchange_of())
        seen.metadata["bad"] = object()
        self.assertRaisesRegex(PluginError, "metadata", seen.changes)
        seen.metadata["bad"] = "x" * 100_000
        self.assertRaisesRegex(PluginError, "100.* bytes changed, expected at most", seen.changes)


class RefusedTest(TestCase):
    def refuse(self, text, exchange=None, is_request=True, **changes):
        exchange = exchange or exchange_of()
        exchange.respond(200, [], 3)
        before = exchange.request.headers.raw, exchange.request.target, exchange.request.method
        with self.assertRaisesRegex(ValueError, text):
            apply(Changes(**changes), exchange, is_request)
        self.assertEqual(before, (exchange.request.headers.raw, exchange.request.target, exchange.request.method))
        self.assertEqual(exchange.replies, [])

    def test_fields_that_frame_route_or_hop(self):
        raw = exchange_of().request.headers.raw
        for line in (b"content-length: 5", b"transfer-encoding: chunked", b"Host: b", b"Connection: x-a", b"te: a",
                     b"upgrade: h2c", b"expect: 100-continue"):
            self.refuse("expected it as it was", headers=raw + b"\r\n" + line)
            self.refuse("expected it as it was", is_request=False,
                        response_headers=b"\r\ncontent-length: 3\r\n" + line)
        self.refuse("host: expected it as it was", headers=b"\r\nx-a: 1")

    def test_heads_that_are_none(self):
        for raw in (b"\r\nx", b"\r\nx: a\n b", b"\r\nx: a\r\n\r\nGET / HTTP/1.1", b"\r\nx: \0", b"\r\n x: 1",
                    b"\r\nx : 1", b"\r\nx: " + b"a" * 200_000):
            self.refuse("well-formed", headers=exchange_of().request.headers.raw + raw)

    def test_methods_and_targets_that_are_none(self):
        for method in (b"", b"GET /", b"a\r\nb", b"HEAD", b"CONNECT", b"x" * 65):
            self.refuse("expected a method", method=method)
        self.refuse("expected a method", exchange_of(b"HEAD"), method=b"GET")
        for target in (b"", b"a", b"/a b", b"/\r\nx: 1", b"/#a", b"http://b/", b"/\xff", b"/" + b"a" * 200_000):
            self.refuse("expected a path", target=target)

    def test_statuses_that_change_what_follows(self):
        for status in (101, 199, 204, 304, 600, -1):
            self.refuse("status", is_request=False, status=status)

    def test_replies_that_are_none(self):
        good = {"status": 200, "body": b"", "headers": (), "flag": 0, "detail": "", "content_type": b"a/b"}
        for bad in ({"status": 100}, {"status": 999}, {"body": b"x" * 2_000_000}, {"headers": ((b"a b", b""),)},
                    {"headers": ((b"a", b"b\r\nc: d"),)}, {"headers": ((b"content-length", b"5"),)}, {"flag": -1},
                    {"flag": 1 << 60}, {"detail": "a\nb"}, {"content_type": b"a\r\nb: c"}):
            self.refuse("reply|headers", reply=ReplyView(**{**good, **bad}))
        self.refuse("expected it in on_request", is_request=False, reply=ReplyView(**good))

    def test_metadata_that_is_none(self):
        self.refuse("", metadata=b"\xff")
        self.refuse("", metadata=encode([1]))
        self.refuse("at most", metadata=encode({"a": "x" * 70_000}))


class VerdictTest(TestCase):
    def test_nothing_changed_costs_nothing(self):
        headers = Headers.of((b"a", b"b"))
        exchange = exchange_of()
        self.assertIsNone(back(exchange, inside(exchange)))
        self.assertEqual((headers.get(b"a"), CONTINUE.value), (b"b", "continue"))
