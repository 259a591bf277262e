"""What the router says of a request: the winner is the table's, and who was passed over does not match."""

import unittest

from hypothesis import given, settings, strategies as st
from meshd.runtime.site import finish
from meshd.testing.exchange import FakeExchange, request_head
from meshd_plugins.router.build import build
from meshd_plugins.router.condition import failure, words
from meshd_plugins.router.config import (
    DirectResponse, Redirect, RegexRewrite, RequestEdits, Route, Router, VirtualHost, WeightedCluster,
)
from meshd_plugins.router.match_config import HeaderMatch, Match, QueryMatch, Range
from meshd_plugins.router.matcher import compile_conditions, compile_path
from tests.plugins.router_case import make_site, route, router

PATHS = ("/", "/a", "/A", "/a/b", "/ab", "/a/b/c", "/users/7")
VALUES = ("", "1", "12", "abc", "ABC", "-3")
HOSTS = ("a.com", "b.a.com", "shop.org", "a.com:8080", "other.net")
DOMAINS = ("a.com", "*.a.com", "shop.*", "a.com:8080", "*")


def holds(match, request):
    """Say by the compiled predicates whether all of ``match`` holds."""
    conditions = compile_conditions(match)
    return bool(compile_path(match)(request.path)) and (conditions is None or conditions(request))


def explained(filter, method=b"GET", target=b"/", headers=(), host=b"example.com"):
    """Return (facts, route that the table finds) of one request."""
    exchange = FakeExchange(request=request_head(method, target, headers, host=host))
    exchange.route = filter.match(exchange)
    return finish(filter.explain(exchange)), exchange.route


def why(match, target=b"/", headers=(), method=b"GET"):
    """Return the first failure in words."""
    return failure(match, request_head(method, target, headers))


values = st.sampled_from(VALUES)
texts = st.sampled_from(VALUES[1:])
condition = st.one_of(
    st.fixed_dictionaries({"exact": values}), st.fixed_dictionaries({"prefix": texts}), st.just({}),
    st.fixed_dictionaries({"suffix": texts}), st.fixed_dictionaries({"contains": texts}),
    st.fixed_dictionaries({"regex": st.sampled_from(("[0-9]+", "a.*", ""))}),
    st.fixed_dictionaries({"present": st.booleans()}))
ranges = st.just({"range": Range(start=-5, end=10)})
flags = st.fixed_dictionaries({"invert": st.booleans(), "treat_missing_as_empty": st.booleans()})
headers = st.builds(lambda name, one, more: HeaderMatch(name=name, **one, **more),
                    st.sampled_from(("x-a", "x-b")), st.one_of(condition, ranges), flags)
query = st.builds(lambda name, one: QueryMatch(name=name, **one), st.sampled_from("qr"), condition)
path = st.one_of(
    st.builds(dict, path=st.sampled_from(PATHS), ignore_case=st.booleans()),
    st.builds(dict, prefix=st.sampled_from(PATHS), ignore_case=st.booleans()),
    st.builds(dict, path_separated_prefix=st.sampled_from(PATHS[1:]), ignore_case=st.booleans()),
    st.builds(dict, regex=st.sampled_from(("/a.*", ".*", "/users/[0-9]+"))))
methods = st.sampled_from(((), (), ("GET",), ("POST", "PUT")))
matches = st.builds(lambda one, methods, headers, query: Match(methods=methods, headers=headers, query=query, **one),
                    path, methods, st.lists(headers, max_size=2).map(tuple), st.lists(query, max_size=1).map(tuple))
routes = st.lists(matches, max_size=14).map(lambda found: tuple(
    Route(name=str(number), match=one, cluster="users") for number, one in enumerate(found)))
tables = st.tuples(routes, routes, st.permutations(DOMAINS), st.integers(1, 4)).map(lambda parts: Router(virtual_hosts=(
    VirtualHost(name="one", domains=tuple(parts[2][:parts[3]]), routes=parts[0]),
    VirtualHost(name="two", domains=tuple(parts[2][parts[3]:]), routes=parts[1]))))
requests = st.fixed_dictionaries({
    "method": st.sampled_from((b"GET", b"PUT")), "host": st.sampled_from([host.encode() for host in HOSTS]),
    "target": st.tuples(st.sampled_from(PATHS), st.sampled_from(("", "?q", "?q=1", "?r=abc&q=12"))).map(
        lambda parts: "".join(parts).encode()),
    "headers": st.lists(st.tuples(st.sampled_from((b"x-a", b"x-b")), values.map(str.encode)), max_size=3),
})


class AgainstTheTable(unittest.TestCase):
    @settings(max_examples=400, deadline=None)
    @given(tables, requests)
    def test_the_winner_is_the_tables_and_nobody_before_it_matches(self, table, request):
        facts, found = explained(finish(build(table, make_site())), **request)
        head = request_head(**request)
        hosts = {host.name: host for host in table.virtual_hosts}
        self.assertEqual(found is None, facts["route"] is None)
        if facts["virtual_host"] is None:
            self.assertIsNone(found)
            return
        host = hosts[facts["virtual_host"]["name"]]
        self.assertIn(facts["virtual_host"]["domain"], host.domains)
        passed = facts["passed_over"]
        self.assertEqual([row["name"] for row in passed], [one.name for one in host.routes[:len(passed)]])
        for row, one in zip(passed, host.routes):
            self.assertFalse(holds(one.match, head), row)
            self.assertTrue(row["reason"], row)
        if found is not None:
            self.assertEqual((found.virtual_host, found.name), (host.name, facts["route"]["name"]))
            self.assertTrue(holds(host.routes[len(passed)].match, head))
        else:
            self.assertEqual(len(passed), len(host.routes))

    @settings(max_examples=300, deadline=None)
    @given(matches, requests)
    def test_a_failure_is_named_exactly_where_the_condition_does_not_hold(self, match, request):
        head = request_head(**request)
        self.assertEqual(failure(match, head) == "", holds(match, head))


class Words(unittest.TestCase):
    def test_paths(self):
        for options, said in (
                ({"path": "/b"}, 'path /a is not "/b"'), ({"prefix": "/users"}, 'path /a does not begin with "/users"'),
                ({"path_separated_prefix": "/b"}, 'path /a neither is nor is below "/b"'),
                ({"regex": "/b.*"}, 'path /a does not match regex "/b.*"'),
                ({"path": "/B", "ignore_case": True}, 'path /a is not "/B" (case ignored)')):
            self.assertEqual(why(Match(**options), b"/a?x"), said)

    def test_methods(self):
        self.assertEqual(why(Match(prefix="/", methods=("PUT",))), "method GET is not PUT")
        self.assertEqual(why(Match(prefix="/", methods=("PUT", "POST"))), "method GET is not one of PUT, POST")

    def test_headers(self):
        for options, value, said in (
                ({"exact": "1"}, None, 'is missing, expected exactly "1"'),
                ({"exact": "1"}, b"2", 'is "2", expected exactly "1"'),
                ({"exact": "1", "invert": True}, b"1", 'is "1", expected anything but exactly "1"'),
                ({"prefix": "a", "ignore_case": True}, b"b", 'is "b", expected beginning with "a" (case ignored)'),
                ({"range": Range(start=1, end=5)}, b"5", 'is "5", expected a whole number from 1 to 4'),
                ({}, None, "is missing, expected to be there"),
                ({"present": False}, b"x", 'is "x", expected to be absent'),
                ({"exact": "1", "treat_missing_as_empty": True}, None,
                 'is missing and taken as "", expected exactly "1"')):
            given_headers = [] if value is None else [(b"x-beta", value)]
            match = Match(prefix="/", headers=(HeaderMatch(name="X-Beta", **options),))
            self.assertEqual(why(match, headers=given_headers), f"header x-beta {said}")

    def test_query(self):
        match = Match(prefix="/", query=(QueryMatch(name="v", exact="2"),))
        self.assertEqual(why(match), 'query parameter v is missing, expected exactly "2"')
        self.assertEqual(why(match, b"/?v=1"), 'query parameter v is "1", expected exactly "2"')

    def test_the_first_failure_is_told_in_the_order_of_trying(self):
        match = Match(prefix="/", methods=("PUT",), headers=(HeaderMatch(name="a"), HeaderMatch(name="b")))
        self.assertIn("method", why(match))
        self.assertIn("header b", why(match, headers=[(b"a", b"")], method=b"PUT"))

    def test_a_whole_match(self):
        match = Match(prefix="/a", methods=("GET",), headers=(HeaderMatch(name="B", exact="1"),),
                      query=(QueryMatch(name="q"),))
        self.assertEqual(
            words(match), 'path begins with "/a", method GET, header b exactly "1", query parameter q to be there')

    def test_long_values_are_cut(self):
        self.assertLess(len(why(Match(path="/b"), b"/" + b"a" * 5000)), 300)


class Facts(unittest.TestCase):
    def test_no_virtual_host(self):
        facts, _ = explained(router(route(), domains=("a.com",)), host=b"b.com")
        self.assertEqual(facts["reason"], "no domain of 1 virtual hosts matches 'b.com'")
        self.assertIsNone(facts["virtual_host"])

    def test_no_route(self):
        facts, _ = explained(router(route(prefix="/a"), route(prefix="/b")))
        self.assertEqual(facts["reason"], "none of 2 routes of 'all' matches")
        self.assertEqual(len(facts["passed_over"]), 2)

    def test_the_domain_that_matched(self):
        for host, domain in ((b"a.com", "a.com"), (b"x.a.com:80", "*.a.com"), (b"shop.net", "shop.*"), (b"q", "*")):
            facts, _ = explained(router(route(), domains=("a.com", "*.A.com", "shop.*", "*")), host=host)
            self.assertEqual(facts["virtual_host"]["domain"], domain)

    def test_shares_in_percent(self):
        shares = (WeightedCluster(name="users", weight=3), WeightedCluster(name="beta", weight=1),
                  WeightedCluster(name="gamma", weight=0))
        facts, _ = explained(router(route(None, weighted_clusters=shares)))
        self.assertEqual([one["percent"] for one in facts["action"]["clusters"]], [75.0, 25.0, 0.0])
        one, _ = explained(router(route(None, weighted_clusters=(WeightedCluster(name="users", weight=0),))))
        self.assertEqual(one["action"]["clusters"], [{"cluster": "users", "percent": 100.0}])

    def test_actions_that_answer_have_neither_timeouts_nor_retries(self):
        for options in ({"redirect": Redirect(path="/x")}, {"direct_response": DirectResponse(status=418)}):
            facts, _ = explained(router(route(None, **options)))
            self.assertNotIn("timeouts", facts)
            self.assertNotIn("retry", facts)

    def test_rewrites_and_edits_in_their_order(self):
        edits = RequestEdits(set=(("x-a", "1"),), add=(("x-b", "2"),), remove=("x-c",))
        facts, _ = explained(router(
            route(host_rewrite="h", regex_rewrite=RegexRewrite(pattern="a", substitution="b"), request_headers=edits),
            host={"request_headers": RequestEdits(remove=("x-d",))}))
        self.assertEqual([one["rewrite"] for one in facts["rewrites"]], ["host_rewrite", "regex_rewrite"])
        self.assertEqual([(one["of"], one["edit"], one["name"]) for one in facts["request_headers"]], [
            ("route", "remove", "x-c"), ("route", "set", "x-a"), ("route", "add", "x-b"),
            ("virtual host", "remove", "x-d")])

    def test_timeouts_say_where_they_come_from(self):
        facts, _ = explained(router(route(timeout_s=3.0, where="mesh.yaml:7:5")))
        self.assertEqual(facts["timeouts"]["timeout"], {"seconds": 3.0, "where": "mesh.yaml:7:5"})
        self.assertEqual(facts["timeouts"]["per_try_timeout"], {"seconds": 0.0, "where": "default of native"})

    def test_a_place_does_not_count_where_routes_are_compared(self):
        self.assertEqual(route(where="a:1:1"), route(where="b:2:2"))
