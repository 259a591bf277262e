"""GRPCRoute: which rule takes a call, by service, method and fields; what it gets where nobody can take it."""

import unittest

from tests.istio.gateway_api.case import Loaded, RoutingCase, gateway, route, table

ECHO = "gateway_api.echo.GrpcEcho"


def to(number, matches=""):
    head = f"- matches: {matches}\n  " if matches else "- "
    return f"{head}backendRefs: [{{name: v{number}, port: 80}}]\n"


def call(text, kind="Exact"):
    return f"{{method: {{type: {kind}, {text}}}}}"


class Calls(RoutingCase):
    """Rows are (name, backend, path, fields)."""

    def check(self, expected, target, headers=()):
        super().check(expected, target, method="POST", headers=headers)


@table((
    ("service and method", "v1", f"/{ECHO}/Echo"),
    ("service and another method", "v2", f"/{ECHO}/EchoTwo"),
    ("a method that nobody has", 404, f"/{ECHO}/EchoThree"),
    ("another service", 404, "/other.Service/Echo"),
    ("a method with more behind", 404, f"/{ECHO}/Echo/x"),
    ("a service with more before", 404, f"/x.{ECHO}/Echo"),
))
class ExactMethods(Calls):
    TEXT = gateway() + route(to(1, f"[{call(f'service: {ECHO}, method: Echo')}]")
                             + to(2, f"[{call(f'service: {ECHO}, method: EchoTwo')}]"), kind="GRPCRoute")


@table((
    ("a service with all its methods", "v2", "/shop.Orders/List"),
    ("a method of the service", "v1", "/shop.Orders/Buy"),
    ("the longer service", "v3", "/shop.Orders.Archive/List"),
    ("a method of any service", "v3", "/whatever.Service/Ping"),
    ("a service before a method of any service", "v2", "/shop.Orders/Ping"),
    ("an expression", "v1", "/audit.v2/Read"),
    ("an expression takes the whole service", 404, "/x.audit.v2/Read"),
    ("an expression takes the whole method", 404, "/audit.v2/ReadAll"),
))
class Precedence(Calls):
    TEXT = gateway() + route(
        to(2, f"[{call('service: shop.Orders')}]") + to(1, f"[{call('service: shop.Orders, method: Buy')}]")
        + to(3, f"[{call('service: shop.Orders.Archive')}]") + to(3, f"[{call('method: Ping')}]")
        + to(1, "[" + call("service: 'audit[.]v[0-9]+', method: Read", "RegularExpression") + "]"), kind="GRPCRoute")


def fields(*pairs):
    return "[" + ", ".join("{headers: [" + ", ".join(f"{{name: {name}, value: {value}}}" for name, value in one) + "]}"
                           for one in pairs) + "]"


@table((
    ("one value", "v1", {"version": "one"}),
    ("another value", "v2", {"version": "two"}),
    ("two fields before one", "v1", {"version": "two", "color": "orange"}),
    ("one field where the other differs", "v2", {"version": "two", "color": "brown"}),
    ("the first of two matches", "v1", {"color": "blue"}),
    ("the second of two matches", "v1", {"color": "green"}),
    ("no such value", 404, {"color": "purple"}),
    ("no field", 404, {}),
))
class Fields(Calls):
    TEXT = gateway() + route(
        to(1, fields([("version", "one")])) + to(2, fields([("version", "two")]))
        + to(1, fields([("version", "two"), ("color", "orange")]))
        + to(1, fields([("color", "blue")], [("color", "green")])), kind="GRPCRoute")

    def check(self, expected, headers):
        super().check(expected, f"/{ECHO}/Echo", headers)


@table((
    ("an exact hostname", "v1", "bar.com"),
    ("a hostname below", "v2", "foo.bar.com"),
    ("a wildcard", "v3", "multiple.prefixes.bar.com"),
    ("nobody", 404, "foo.com"),
))
class Hostnames(Calls):
    TEXT = gateway() + route(to(1), kind="GRPCRoute", name="b1", hostnames="[bar.com]") \
        + route(to(2), kind="GRPCRoute", name="b2", hostnames="[foo.bar.com]") \
        + route(to(3), kind="GRPCRoute", name="b3", hostnames="['*.bar.com']")

    def check(self, expected, host):
        RoutingCase.check(self, expected, f"/{ECHO}/Echo", method="POST", host=host)


class Answers(unittest.TestCase):
    def test_no_matches_are_every_call(self):
        self.assertEqual(Loaded(gateway() + route(to(1), kind="GRPCRoute")).where("/a.B/C", method="POST"), "v1")

    def test_weights_and_edits(self):
        text = "- filters:\n  - type: RequestHeaderModifier\n" \
               "    requestHeaderModifier: {set: [{name: x-a, value: b}]}\n" \
               "  backendRefs: [{name: v1, port: 80, weight: 3}, {name: v2, port: 80}]"
        answer = Loaded(gateway() + route(text, kind="GRPCRoute")).ask("/a.B/C", method="POST")
        self.assertEqual((answer.backends, answer.sent().headers.get(b"x-a")), ({"v1": 3, "v2": 1}, b"b"))

    def test_a_broken_backend_is_the_status_unavailable(self):
        text = "- backendRefs: [{name: nobody, port: 80}]"
        reply = Loaded(gateway() + route(text, kind="GRPCRoute")).ask("/a.B/C", method="POST").exchange.replies[0]
        self.assertEqual((reply.status, reply.header(b"grpc-status"), reply.header(b"content-type")),
                         (200, b"14", b"application/grpc"))


class BesideHttp(unittest.TestCase):
    """HTTP and gRPC routes of one hostname are not merged: the first has it."""

    def loaded(self, first, second, hostnames="[]"):
        return Loaded(gateway() + route(to(1), name="a", kind=first, hostnames="[example.com]")
                      + route(to(2), name="b", kind=second, hostnames=hostnames))

    def test_the_first_has_the_hostname(self):
        for first, second in (("HTTPRoute", "GRPCRoute"), ("GRPCRoute", "HTTPRoute")):
            loaded = self.loaded(first, second)
            self.assertEqual(loaded.where("/a.B/C", method="POST"), "v1")
            self.assertEqual([loaded.parent(name)["Accepted"] for name in ("a", "b")],
                             [("True", "Accepted"), ("False", "HostnameConflict")])

    def test_other_hostnames_are_free(self):
        loaded = self.loaded("HTTPRoute", "GRPCRoute", "[example.net]")
        self.assertEqual([loaded.where("/a.B/C", host=host, method="POST") for host in ("example.com", "example.net")],
                         ["v1", "v2"])
