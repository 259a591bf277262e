"""Hostnames: of listeners and routes together, the more specific first, and no request for two listeners."""

from tests.istio.gateway_api.case import Loaded, RoutingCase, conditions, gateway, route, table


def to(number):
    return f"- backendRefs: [{{name: v{number}, port: 80}}]"


def at(path, number):
    return f"- matches: [{{path: {{value: {path}}}}}]\n  backendRefs: [{{name: v{number}, port: 80}}]"


def listeners(*hosts):
    rows = ", ".join(f"{{name: l{number}, port: 80, protocol: HTTP, hostname: '{host}'}}" if host else
                     f"{{name: l{number}, port: 80, protocol: HTTP}}" for number, host in enumerate(hosts, 1))
    return f"[{rows}]"


def section(*numbers):
    return "[" + ", ".join(f"{{name: web, sectionName: l{number}}}" for number in numbers) + "]"


@table((
    ("the listener's own hostname", "v1", "bar.com"),
    ("a hostname below, with a listener of its own", "v2", "foo.bar.com"),
    ("a wildcard", "v3", "baz.bar.com"),
    ("a wildcard, once more", "v3", "boo.bar.com"),
    ("a wildcard takes several labels", "v3", "multiple.prefixes.bar.com"),
    ("another wildcard", "v3", "multiple.prefixes.foo.com"),
    ("a wildcard does not take its own domain", 404, "foo.com"),
    ("no listener", 404, "no.matching.host"),
    ("capitals mean nothing", "v2", "Foo.Bar.COM"),
    ("the port means nothing", "v2", "foo.bar.com:8080"),
))
class ListenerHostnames(RoutingCase):
    TEXT = gateway(listeners("bar.com", "foo.bar.com", "*.bar.com", "*.foo.com")) \
        + route(to(1), name="b1", parents=section(1)) + route(to(2), name="b2", parents=section(2)) \
        + route(to(3), name="b3", parents=section(3, 4))

    def check(self, expected, host):
        super().check(expected, host=host)


@table((
    ("a shared hostname", "v1", "/s1", "very.specific.com"),
    ("a shared hostname with a port", "v1", "/s1", "very.specific.com:1234"),
    ("a hostname of the route alone", 404, "/s1", "non.matching.com"),
    ("a wildcard of the route alone", 404, "/s1", "foo.nonmatchingwildcard.io"),
    ("a hostname of another listener", 404, "/s1", "foo.wildcard.io"),
    ("another path", 404, "/other", "very.specific.com"),
    ("below the listener's wildcard", "v2", "/s2", "foo.wildcard.io"),
    ("below the listener's wildcard, another one", "v2", "/s2", "bar.wildcard.io"),
    ("further below the listener's wildcard", "v2", "/s2", "foo.bar.wildcard.io"),
    ("below the wildcard and not of the route", 404, "/s2", "baz.wildcard.io"),
    ("the wildcard's own domain", 404, "/s2", "wildcard.io"),
    ("the route's wildcard and the listener's hostname", "v3", "/s3", "very.specific.com"),
    ("the route's wildcard below the listener's hostname", 404, "/s3", "foo.specific.com"),
    ("two equal wildcards", "v1", "/s4", "foo.anotherwildcard.io"),
    ("two equal wildcards, further below", "v1", "/s4", "foo.bar.anotherwildcard.io"),
    ("two equal wildcards, their own domain", 404, "/s4", "anotherwildcard.io"),
))
class Intersection(RoutingCase):
    TEXT = gateway(listeners("very.specific.com", "*.wildcard.io", "*.anotherwildcard.io")) \
        + route(at("/s1", 1), name="s1",
                hostnames="[non.matching.com, '*.nonmatchingwildcard.io', very.specific.com]") \
        + route(at("/s2", 2), name="s2",
                hostnames="[non.matching.com, wildcard.io, foo.wildcard.io, bar.wildcard.io, foo.bar.wildcard.io]") \
        + route(at("/s3", 3), name="s3", hostnames="[non.matching.com, '*.specific.com']") \
        + route(at("/s4", 1), name="s4", hostnames="['*.anotherwildcard.io']") \
        + route(at("/s5", 1), name="s5", hostnames="[specific.but.wrong.com, wildcard.io]")

    def check(self, expected, target, host):
        super().check(expected, target, host=host)

    def test_a_route_that_shares_no_hostname_is_not_accepted(self):
        self.assertEqual(self.loaded.parent("s5")["Accepted"], ("False", "NoMatchingListenerHostname"))

    def test_routes_that_share_one_are_accepted(self):
        for name in ("s1", "s2", "s3", "s4"):
            self.assertEqual(self.loaded.parent(name)["Accepted"], ("True", "Accepted"))


@table((
    ("exact hostname before wildcards", "v1", "/", "foo.example.com"),
    ("the longer wildcard", "v2", "/", "a.foo.example.com"),
    ("the shorter wildcard", "v3", "/", "bar.example.com"),
    ("a rule of a wildcard where the exact hostname has none for the path", "v3", "/wide", "foo.example.com"),
    ("the exact hostname's prefix wins over the wildcard's longer one", "v1", "/wide/x", "narrow.example.com"),
    ("any hostname is last", "v2", "/", "example.org"),
))
class Specificity(RoutingCase):
    TEXT = gateway() + route("- matches: [{path: {type: Exact, value: /}}]\n  backendRefs: [{name: v1, port: 80}]",
                             name="exact", hostnames="[foo.example.com]") \
        + route(to(2), name="longer", hostnames="['*.foo.example.com']") \
        + route(to(3), name="wide", hostnames="['*.example.com']") \
        + route(at("/wide", 1), name="narrow", hostnames="[narrow.example.com]") \
        + route(at("/wide/x", 3), name="wider", hostnames="['*.example.com']") + route(to(2), name="any")

    def check(self, expected, target, host):
        super().check(expected, target, host=host)


@table((
    ("no hostname", "v1", "/empty", "bar.com"),
    ("the wildcard's listener", "v2", "/wildcard", "bar.example.com"),
    ("the longer wildcard's listener", "v3", "/foo", "bar.foo.example.com"),
    ("the exact listener", "v1", "/abc", "abc.foo.example.com"),
    ("a listener's route is not for hosts of a more specific one", 404, "/empty", "bar.example.com"),
    ("nor of the longer wildcard's", 404, "/wildcard", "bar.foo.example.com"),
    ("nor of the exact one's", 404, "/foo", "abc.foo.example.com"),
    ("nor of the exact one's from the first", 404, "/empty", "abc.foo.example.com"),
    ("the more specific listener's route is not for others", 404, "/abc", "bar.com"),
    ("a route's own hostname that another listener takes", 404, "/stolen", "abc.foo.example.com"),
    ("a route's own hostname that nobody takes", "v2", "/stolen", "free.org"),
))
class Isolation(RoutingCase):
    TEXT = gateway(listeners("", "*.example.com", "*.foo.example.com", "abc.foo.example.com")) \
        + route(at("/empty", 1), name="r1", parents=section(1)) \
        + route(at("/wildcard", 2), name="r2", parents=section(2)) \
        + route(at("/foo", 3), name="r3", parents=section(3)) + route(at("/abc", 1), name="r4", parents=section(4)) \
        + route(at("/stolen", 2), name="r5", parents=section(1), hostnames="[abc.foo.example.com, free.org]")

    def check(self, expected, target, host):
        super().check(expected, target, host=host)


class Wider(RoutingCase):
    TEXT = gateway() + route(to(1), name="exact", hostnames="[a.example.com]") + route(
        at("/x", 2), name="wide", hostnames="['*.example.com']")

    def test_what_cannot_be_reached_is_not_there(self):
        hosts = {one.domains[0]: len(one.routes) for one in self.loaded.listener().filters[-1].config.virtual_hosts}
        self.assertEqual(hosts, {"a.example.com": 1, "*.example.com": 1, "*": 0})
        self.assertEqual(self.loaded.where("/x", host="a.example.com"), "v1")


class SharedPort(RoutingCase):
    TEXT = gateway(listeners("a.com"), name="web") + gateway(listeners("b.com"), name="web2") \
        + route(to(1)) + route(to(2), name="r2", parents="[{name: web2}]")

    def test_two_gateways_share_a_port(self):
        self.assertEqual([self.loaded.where(host=host) for host in ("a.com", "b.com", "c.com")], ["v1", "v2", 404])

    def test_of_two_gateways_with_one_hostname_the_first_has_it(self):
        loaded = Loaded(gateway(listeners("a.com"), name="web2") + gateway(listeners("a.com"))
                        + route(to(1)) + route(to(2), name="r2", parents="[{name: web2}]"))
        self.assertEqual(loaded.where(host="a.com"), "v1")
        self.assertEqual(conditions(loaded.listener_status("l1", "web2"))["Conflicted"], ("True", "HostnameConflict"))
        self.assertEqual(conditions(loaded.listener_status("l1", "web"))["Conflicted"], ("False", "NoConflicts"))
