"""The filter rate_limit_service: descriptors, what an answer comes to, and what becomes of requests without one."""

import unittest

from meshd.api import CONTINUE, STOP, flag, grpc, message
from meshd.model.snapshot import Node
from meshd.testing.contract.http import HttpFilterContract
from meshd.testing.exchange import FakeExchange
from meshd.testing.site import FakeSite
from meshd_plugins.rate_limit_service import RateLimitService, RateLimitServiceFilter, wire
from tests.plugins.reading import read

BASE = "cluster: limits\ndomain: shop\n"
KEY = "rate_limits: [{actions: [{generic_key: {descriptor_value: all}}]}]\n"


class Target:
    name = "carts"


class Route:
    """What the router found: one cluster."""

    def __init__(self, *clusters):
        self.plan = type("Plan", (), {"clusters": tuple((1, one, None, None) for one in clusters)})


ROUTE = Route(Target)


def pair(name, value):
    return message.text(1, name) + message.text(2, value)


def status(per_unit, unit, left, reset, name="", code=1):
    limit = message.number(1, per_unit) + message.number(2, unit) + message.text(3, name)
    return (message.number(1, code) + message.data(2, limit) + message.number(3, left)
            + message.data(4, message.number(1, reset)))


class Case(unittest.TestCase):
    def setUp(self):
        self.site = FakeSite("limits", node=Node(id="n1", labels=(("app", "web"),), namespace="prod"))

    def filter(self, text=""):
        text = BASE + (text if "rate_limits:" in text else KEY + text)
        config, faults = read(RateLimitService, text)
        self.assertEqual(faults, [])
        return RateLimitServiceFilter(config, self.site)

    def ask(self, text="", headers=(), **attributes):
        """Let a request come, and return (exchange, list that gets its verdict)."""
        self.used = self.filter(text)
        exchange = FakeExchange(headers=headers, **{"route": ROUTE, **attributes})
        exchange.phase = "request"
        self.verdict = []
        found = self.used.on_request(exchange)
        if found in (CONTINUE, STOP):
            self.verdict.append(found)
        else:
            self.asked = found.addCallback(self.verdict.append)
        return exchange

    def answer(self, body=b"", status=0, **options):
        data = grpc.frame(body) if body is not None else b""
        self.site.calls[-1].answer(200, data, [(b"content-type", b"application/grpc")],
                                   [(b"grpc-status", b"%d" % status)], **options)

    def descriptors(self, text, headers=(), **attributes):
        exchange = self.ask(f"rate_limits: {text}", headers, **attributes)
        if not self.site.calls:
            self.assertEqual(self.verdict, [CONTINUE])
            return []
        call = self.site.calls.pop()
        self.assertIs(exchange.response, None)
        raw, = grpc.messages_of(call.request.body)
        return [[(entry.text(1), entry.text(2)) for entry in map(message.read, message.read(one).all(1))]
                for one in message.read(raw).all(2)]


class Descriptors(Case):
    def one(self, action, *headers, **attributes):
        found = self.descriptors(f"[{{actions: [{action}]}}]", headers, **attributes)
        return found[0] if found else None

    def test_what_is_always_the_same(self):
        self.assertEqual(self.one("{generic_key: {descriptor_value: a}}"), [("generic_key", "a")])
        self.assertEqual(self.one("{generic_key: {descriptor_value: a, descriptor_key: k}}"), [("k", "a")])
        self.assertEqual(self.one("{source_cluster: {}}"), [("source_cluster", "web.prod")])

    def test_the_routes_cluster(self):
        self.assertEqual(self.one("{destination_cluster: {}}"), [("destination_cluster", "carts")])
        self.assertIsNone(self.one("{destination_cluster: {}}", route=Route(Target, Target)))
        self.assertIsNone(self.one("{destination_cluster: {}}", route=Route(None)))

    def test_a_field(self):
        action = "{request_headers: {header_name: X-User, descriptor_key: user}}"
        self.assertEqual(self.one(action, (b"x-user", b"ann")), [("user", "ann")])
        self.assertEqual(self.one(action, (b"x-user", b"ann"), (b"x-user", b"bob")), [("user", "ann, bob")])
        self.assertIsNone(self.one(action))

    def test_one_that_may_be_absent(self):
        action = ("{request_headers: {header_name: x-user, descriptor_key: user, skip_if_absent: true}}, "
                  "{generic_key: {descriptor_value: a}}")
        self.assertEqual(self.one(action), [("generic_key", "a")])
        self.assertIsNone(self.one(action.partition(", {gen")[0]))

    def test_the_client(self):
        self.assertEqual(self.one("{remote_address: {}}", client="10.1.2.3"), [("remote_address", "10.1.2.3")])
        self.assertIsNone(self.one("{remote_address: {}}", client="unix:/run/x"))
        masked = "{masked_remote_address: {v4_prefix_mask_len: 16, v6_prefix_mask_len: 64}}"
        for client, expected in (("10.1.2.3", "10.1.0.0/16"), ("2001:db8::1:2:3:4", "2001:db8::/64")):
            self.assertEqual(self.one(masked, client=client), [("masked_remote_address", expected)])

    def test_query_parameters_that_match(self):
        action = "{query_parameter_value_match: {descriptor_value: v, query_parameters: [%s]}}"
        for wanted, query, is_one in (
                ("{name: a}", b"a=", True), ("{name: a}", b"b=a", False),
                ("{name: a, exact: '1'}", b"b=2&a=1&a=2", True),
                ("{name: a, exact: '2'}", b"a=1&a=2", False), ("{name: a, prefix: x}", b"a=xy", True),
                ("{name: a, suffix: x}", b"a=xy", False), ("{name: a, contains: x}, {name: b}", b"a=yxy&b", True)):
            exchange = FakeExchange(target=b"/?" + query)
            found = self.one(action % wanted, request=exchange.request)
            self.assertEqual(found, [("query_match", "v")] if is_one else None, (wanted, query))
        found = self.one(action.replace("value: v", "value: v, descriptor_key: k, expect_match: false") % "{name: a}")
        self.assertEqual(found, [("k", "v")])

    def test_a_descriptor_may_have_hits_and_a_limit_of_its_own(self):
        text = ("rate_limits: [{actions: [{generic_key: {descriptor_value: a}}], hits_addend: 3, "
                "limit: {key: tariff, path: [now]}}]")
        for noted, expected in (({"requests_per_unit": 7, "unit": "HOUR"}, (7, 3)), ({"requests_per_unit": 7}, None),
                                ({"requests_per_unit": "7", "unit": "HOUR"}, None), ("x", None)):
            self.ask(text, metadata={"tariff": {"now": noted}})
            raw, = grpc.messages_of(self.site.calls.pop().request.body)
            one, = map(message.read, message.read(raw).all(2))
            self.assertEqual(one.message(3).number(1), 3)
            limit = one.message(2)
            self.assertEqual(None if limit is None else (limit.number(1), limit.number(2)), expected)

    def test_refusals_may_have_more_fields(self):
        for code in (1, 2):
            exchange = self.ask("response_headers_to_add: {x-why: quota}")
            self.answer(message.number(1, code))
            if code == 1:
                exchange.respond(200)
            exchange.response_phase(self.used)
            self.assertEqual(exchange.response.headers.get(b"x-why"), b"quota" if code == 2 else None)

    def test_fields_that_match(self):
        action = "{header_value_match: {descriptor_value: v, headers: [{name: x-a, exact: '1'}, {name: x-b}]}}"
        self.assertEqual(self.one(action, (b"x-a", b"1"), (b"x-b", b"")), [("header_match", "v")])
        self.assertIsNone(self.one(action, (b"x-a", b"1")))
        action = action.replace("value: v", "value: v, descriptor_key: k, expect_match: false")
        self.assertEqual(self.one(action), [("k", "v")])

    def test_a_note_of_another_plugin(self):
        action = "{metadata: {descriptor_key: k, metadata_key: {key: auth, path: [user, name]}%s}}"
        notes = {"auth": {"user": {"name": "ann"}}}
        self.assertEqual(self.one(action % "", metadata=notes), [("k", "ann")])
        self.assertIsNone(self.one(action % "", metadata={"auth": {"user": 7}}))
        self.assertEqual(self.one(action % ", default_value: nobody"), [("k", "nobody")])
        self.assertIsNone(self.one(action % ", skip_if_absent: true"))

    def test_several(self):
        found = self.descriptors("[{actions: [{remote_address: {}}, {generic_key: {descriptor_value: a}}]}, "
                                 "{actions: [{request_headers: {header_name: x-no, descriptor_key: who}}]}, "
                                 "{actions: [{generic_key: {descriptor_value: b}}]}]", client="10.0.0.1")
        self.assertEqual(found, [[("remote_address", "10.0.0.1"), ("generic_key", "a")], [("generic_key", "b")]])

    def test_without_a_route_nobody_is_asked(self):
        self.ask(route=None)
        self.assertEqual((self.verdict, self.site.calls), ([CONTINUE], []))


class Answers(Case):
    def test_the_call(self):
        self.ask("timeout: 50ms\nauthority: rls\nhits_addend: 3")
        call = self.site.calls[-1]
        request = call.request
        self.assertEqual((call.cluster, request.method, request.host, request.timeout_s),
                         ("limits", b"POST", b"rls", 0.05))
        self.assertEqual(request.target, b"/envoy.service.ratelimit.v3.RateLimitService/ShouldRateLimit")
        self.assertEqual((call.header(b"te"), call.header(b"content-type"), call.header(b"grpc-timeout")),
                         (b"trailers", b"application/grpc", b"50m"))
        raw, = grpc.messages_of(request.body)
        fields = message.read(raw)
        self.assertEqual((fields.text(1), fields.number(3)), ("shop", 3))

    def test_ok(self):
        exchange = self.ask()
        self.assertEqual(self.verdict, [])
        self.answer(message.number(1, 1) + message.data(4, pair("X-Tenant", "7"))
                    + message.data(3, pair("x-seen", "yes")) + message.data(4, pair("host", "evil"))
                    + message.data(4, pair("bad name", "x")) + message.data(4, pair("x-b", "a\r\nb")))
        self.assertEqual(self.verdict, [CONTINUE])
        self.assertEqual(exchange.request.headers.get(b"x-tenant"), b"7")
        self.assertEqual(exchange.request.host, b"example.com")
        self.assertEqual(exchange.request.headers.get_all(b"host"), [b"example.com"])
        self.assertNotIn(b"x-b", exchange.request.headers)
        exchange.respond(200)
        exchange.response_phase(self.used)
        self.assertEqual(exchange.response.headers.get(b"x-seen"), b"yes")
        self.assertNotIn(b"x-envoy-ratelimited", exchange.response.headers)

    def refused(self, text="", headers=(), more=b""):
        exchange = self.ask(text, headers)
        self.answer(message.number(1, 2) + more)
        self.assertEqual(self.verdict, [STOP])
        exchange.response_phase(self.used)
        return exchange, exchange.replies[0]

    def test_over_the_limit(self):
        exchange, reply = self.refused(more=message.data(5, b"enough") + message.data(3, pair("x-a", "1")))
        self.assertEqual((reply.status, reply.body, reply.flag, reply.detail),
                         (429, b"enough", flag.RL, "request_rate_limited"))
        headers = exchange.response.headers
        self.assertEqual((headers.get(b"x-envoy-ratelimited"), headers.get(b"x-a")), (b"true", b"1"))

    def test_its_content_type_counts(self):
        kind = message.data(3, pair("content-type", "application/json"))
        exchange, _ = self.refused(more=message.data(5, b"{}") + kind)
        self.assertEqual(exchange.response.headers.get_all(b"content-type"), [b"application/json"])

    def test_another_status_and_no_field(self):
        exchange, reply = self.refused("rate_limited_status: 503\ndisable_x_envoy_ratelimited_header: true")
        self.assertEqual(reply.status, 503)
        self.assertNotIn(b"x-envoy-ratelimited", exchange.response.headers)

    def test_calls_may_be_told_that_something_is_exhausted(self):
        kind = [(b"content-type", b"application/grpc")]
        text = "rate_limited_as_resource_exhausted: true"
        self.assertEqual(self.refused(text, kind)[1].header(b"grpc-status"), b"8")
        self.assertIsNone(self.refused("", kind)[1].header(b"grpc-status"))
        self.assertIsNone(self.refused(text)[1].header(b"grpc-status"))

    def test_limits_are_told_in_the_words_of_draft_03(self):
        exchange = self.ask("enable_x_ratelimit_headers: DRAFT_VERSION_03")
        self.answer(message.number(1, 1) + message.data(2, status(10, 1, 4, 1, "per-ip"))
                    + message.data(2, message.number(1, 1)) + message.data(2, status(1000, 3, 3, 2000)))
        exchange.respond(200)
        exchange.response_phase(self.used)
        headers = exchange.response.headers
        self.assertEqual(headers.get(b"x-ratelimit-limit"), b'1000, 10;w=1;name="per-ip", 1000;w=3600')
        self.assertEqual((headers.get(b"x-ratelimit-remaining"), headers.get(b"x-ratelimit-reset")), (b"3", b"2000"))

    def test_not_by_default(self):
        exchange = self.ask()
        self.answer(message.number(1, 1) + message.data(2, status(10, 1, 4, 1)))
        exchange.respond(200)
        exchange.response_phase(self.used)
        self.assertNotIn(b"x-ratelimit-limit", exchange.response.headers)


class Failures(Case):
    def fail_each_way(self, text):
        for fail in (lambda: self.site.calls[-1].fail("no answer within 0.02 s", flag.UT),
                     lambda: self.answer(None, 14), lambda: self.answer(b"\xff"), lambda: self.answer(None, 0),
                     lambda: self.site.calls[-1].answer(503, b"no")):
            exchange = self.ask(text)
            fail()
            yield exchange

    def test_requests_pass(self):
        for exchange in self.fail_each_way(""):
            self.assertEqual((self.verdict, exchange.replies), ([CONTINUE], []))

    def test_or_are_refused(self):
        for exchange in self.fail_each_way("failure_mode_deny: true"):
            self.assertEqual(self.verdict, [STOP])
            reply = exchange.replies[0]
            self.assertEqual((reply.status, reply.flag, reply.detail), (500, flag.RLSE, "rate_limiter_error"))

    def test_a_client_that_leaves_cancels_the_call(self):
        self.ask()
        self.asked.addErrback(lambda failure: None)
        self.asked.cancel()
        self.assertTrue(self.site.calls[-1].is_cancelled)

    def test_what_has_come_of_them_is_counted(self):
        self.ask()
        self.answer(message.number(1, 2))
        family = self.site.metrics.counter("meshd_rate_limit_service_requests_total", "", ("filter", "result"))
        self.assertEqual(family.cell("limits", "over_limit").value, 1)


class Told(Case):
    def test_explains_without_asking(self):
        text = "rate_limits: [{actions: [{remote_address: {}}, {generic_key: {descriptor_value: a}}]}]"
        exchange = FakeExchange(client="10.0.0.1", route=ROUTE)
        self.assertEqual(self.filter(text).explain(exchange), "asks the service at cluster limits, domain shop: "
                                                               "(remote_address=10.0.0.1, generic_key=a)")
        exchange.route = None
        self.assertIn("asks nobody", self.filter(text).explain(exchange))
        self.assertEqual(self.site.calls, [])

    def test_what_is_wrong(self):
        for text in ("rate_limits: [{actions: []}]", "rate_limits: [{actions: [{}]}]", "rate_limits: []",
                     "rate_limits: [{actions: [{source_cluster: {}, remote_address: {}}]}]"):
            self.assertEqual(len(read(RateLimitService, BASE + text)[1]), 1, text)

    def test_a_name_cannot_break_the_field(self):
        limit = message.read(status(1, 1, 0, 0, 'a"; x\r\n'))
        self.assertEqual(wire.limits_of([limit])[0][1], b'1, 1;w=1;name="a?; x??"')


class Contract(HttpFilterContract, unittest.TestCase):
    def make(self):
        config, _ = read(RateLimitService, BASE + KEY)
        return RateLimitServiceFilter(config, FakeSite("limits"))
