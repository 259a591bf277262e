"""HTTPRoute: which rule takes a request, by path, method, fields and parameters, over several rules and routes."""

from tests.istio.gateway_api.case import Loaded, RoutingCase, gateway, route, table

TO_1, TO_2, TO_3 = ("backendRefs: [{name: v%d, port: 80}]" % number for number in (1, 2, 3))


def rules(*pairs):
    """Return rules of (matches, backend line)."""
    return "".join(f"- matches: {matches}\n  {backend}\n" for matches, backend in pairs)


def header(value, name="version"):
    return f"headers: [{{name: {name}, value: '{value}'}}]"


@table((
    ("every path", "v1", "/"),
    ("a path below", "v1", "/example"),
    ("a field that is asked for beside every path", "v1", "/", {"Version": "one"}),
    ("a longer prefix", "v2", "/v2"),
    ("a path below the longer prefix", "v2", "/v2/example"),
    ("the prefix with a slash", "v2", "/v2/"),
    ("a field wins over every path without one", "v2", "/", {"Version": "two"}),
    ("a prefix ends with its segment", "v1", "/v2example"),
    ("a prefix stands at the beginning", "v1", "/foo/v2/example"),
))
class Matching(RoutingCase):
    TEXT = gateway() + route(rules(
        ("[{path: {type: PathPrefix, value: /}}, {%s}]" % header("one"), TO_1),
        ("[{path: {type: PathPrefix, value: /v2}}, {%s}]" % header("two"), TO_2),
    ))

    def check(self, expected, target, headers=()):
        super().check(expected, target, headers=headers)


@table((
    ("the whole path", "v1", "/one"),
    ("the whole path, longer", "v2", "/two"),
    ("not a path below", 404, "/one/example"),
    ("not with a slash at its end", 404, "/one/"),
    ("not in capitals", 404, "/ONE"),
    ("not the root", 404, "/"),
    ("the query does not count", "v1", "/one?a=b"),
    ("percent signs are compared as they stand", "v3", "/a%20b"),
))
class ExactPaths(RoutingCase):
    TEXT = gateway() + route(rules(
        ("[{path: {type: Exact, value: /one}}]", TO_1), ("[{path: {type: Exact, value: /two}}]", TO_2),
        ("[{path: {type: Exact, value: '/a%20b'}}]", TO_3),
    ))


@table((
    ("exact below exact", "v3", "/match/exact/one"),
    ("exact", "v2", "/match/exact"),
    ("exact before the prefix with a slash", "v1", "/match"),
    ("the longest prefix", "v2", "/match/prefix/one/any"),
    ("a shorter prefix", "v1", "/match/prefix/any"),
    ("the shortest prefix", "v3", "/match/any"),
    ("the prefix takes its own path with a slash", "v3", "/match/"),
))
class PathOrder(RoutingCase):
    TEXT = gateway() + route(rules(
        ("[{path: {type: Exact, value: /match}}]", TO_1), ("[{path: {type: Exact, value: /match/exact}}]", TO_2),
        ("[{path: {type: Exact, value: /match/exact/one}}]", TO_3),
        ("[{path: {type: PathPrefix, value: /match/}}]", TO_3),
        ("[{path: {type: PathPrefix, value: /match/prefix/}}]", TO_1),
        ("[{path: {type: PathPrefix, value: /match/prefix/one}}]", TO_2),
    ))


@table((
    ("an expression before every path", "v2", "/items/12"),
    ("an expression takes the whole path", "v1", "/items/12/more"),
    ("a prefix before an expression", "v3", "/items/special"),
    ("exact before all", "v1", "/items/7"),
))
class Expressions(RoutingCase):
    TEXT = gateway() + route(rules(
        ("[{path: {value: /}}]", TO_1),
        ("[{path: {type: RegularExpression, value: '/items/[0-9a-z]+'}}]", TO_2),
        ("[{path: {value: /items/special}}]", TO_3), ("[{path: {type: Exact, value: /items/7}}]", TO_1),
    ))


@table((
    ("one value", "v1", {"Version": "one"}),
    ("another value", "v2", {"Version": "two"}),
    ("two fields before one", "v1", {"Version": "two", "Color": "orange"}),
    ("one field where the other has another value", "v2", {"Version": "two", "Color": "blue"}),
    ("a field of its own", "v2", {"Color": "blue"}),
    ("any of two matches", "v2", {"Color": "green"}),
    ("any of two matches, the second", "v1", {"Color": "red"}),
    ("names are compared without case", "v1", {"VERSION": "one"}),
    ("values are compared with case", 404, {"Color": "Blue"}),
    ("no field of that value", 404, {"Color": "purple"}),
    ("no field", 404, {}),
    ("an expression takes the whole value", "v3", {"Agent": "curl/8.1"}),
    ("an expression does not take a part", 404, {"Agent": "curl/8.1 x"}),
    ("of two conditions on one name the first counts", "v3", {"Twice": "first"}),
    ("of two conditions on one name the second does not count", 404, {"Twice": "second"}),
))
class Fields(RoutingCase):
    TEXT = gateway() + route(rules(
        ("[{%s}]" % header("one"), TO_1), ("[{%s}]" % header("two"), TO_2),
        ("[{headers: [{name: version, value: two}, {name: color, value: orange}]}]", TO_1),
        ("[{%s}, {%s}]" % (header("blue", "color"), header("green", "color")), TO_2),
        ("[{%s}, {%s}]" % (header("red", "color"), header("yellow", "color")), TO_1),
        ("[{headers: [{name: agent, type: RegularExpression, value: 'curl/[0-9.]+'}]}]", TO_3),
        ("[{headers: [{name: twice, value: first}, {name: Twice, value: second}]}]", TO_3),
    ))

    def check(self, expected, headers):
        super().check(expected, headers=headers)


@table((
    ("POST", "v1", "POST", "/", {}),
    ("GET", "v2", "GET", "/", {}),
    ("HEAD is not GET", 404, "HEAD", "/", {}),
    ("a path and GET", "v1", "GET", "/path1", {}),
    ("a field and PUT", "v2", "PUT", "/", {"version": "one"}),
    ("PUT without the field", 404, "PUT", "/", {}),
    ("path, field and POST", "v3", "POST", "/path2", {"version": "two"}),
    ("the first of two matches", "v1", "PATCH", "/path3", {}),
    ("the second of two matches", "v1", "DELETE", "/path4", {"version": "three"}),
    ("the second of two matches without its field", 404, "DELETE", "/path4", {}),
    ("a longer path before a method", "v1", "PATCH", "/path5", {}),
    ("a method before a field", "v2", "PATCH", "/", {"version": "four"}),
    ("a field alone", "v3", "TRACE", "/", {"version": "four"}),
))
class Methods(RoutingCase):
    TEXT = gateway() + route(rules(
        ("[{method: POST}]", TO_1), ("[{method: GET}]", TO_2), ("[{path: {value: /path1}, method: GET}]", TO_1),
        ("[{%s, method: PUT}]" % header("one"), TO_2),
        ("[{path: {value: /path2}, %s, method: POST}]" % header("two"), TO_3),
        ("[{path: {value: /path3}, method: PATCH}, "
         "{path: {value: /path4}, %s, method: DELETE}]" % header("three"), TO_1),
        ("[{path: {value: /path5}}]", TO_1), ("[{method: PATCH}]", TO_2), ("[{%s}]" % header("four"), TO_3),
    ))

    def check(self, expected, method, target, headers):
        super().check(expected, target, method=method, headers=headers)


@table((
    ("one value", "v1", "/?animal=whale"),
    ("another value", "v2", "/?animal=dolphin"),
    ("two parameters before one", "v3", "/?animal=dolphin&color=blue"),
    ("names and values are compared with case", "v3", "/?ANIMAL=Whale"),
    ("others do not count", "v1", "/?animal=whale&other=irrelevant"),
    ("one of two has another value", "v2", "/?animal=dolphin&color=yellow"),
    ("the other one alone", 404, "/?color=blue"),
    ("another animal", 404, "/?animal=dog"),
    ("a value is compared as a whole", 404, "/?animal=whaledolphin"),
    ("no query", 404, "/"),
    ("the first of two values counts", "v1", "/?animal=whale&animal=dolphin"),
    ("path and parameter", "v1", "/path1?animal=whale"),
    ("field and parameter", "v2", "/?animal=whale", {"version": "one"}),
    ("path, field and parameter", "v3", "/path2?animal=whale", {"version": "two"}),
    ("the first of two matches", "v1", "/path3?animal=shark"),
    ("the second of two matches", "v1", "/path4?animal=kraken", {"version": "three"}),
    ("the path of a match is needed", 404, "/?animal=shark"),
    ("the field of a match is needed", 404, "/path4?animal=kraken"),
    ("a longer path before a parameter", "v1", "/path5?animal=hydra"),
    ("a field before a parameter", "v3", "/?animal=hydra", {"version": "four"}),
    ("an expression", "v2", "/?id=123"),
    ("an expression takes the whole value", 404, "/?id=123x"),
))
class Parameters(RoutingCase):
    TEXT = gateway() + route(rules(
        ("[{queryParams: [{name: animal, value: whale}]}]", TO_1),
        ("[{queryParams: [{name: animal, value: dolphin}]}]", TO_2),
        ("[{queryParams: [{name: animal, value: dolphin}, {name: color, value: blue}]}, "
         "{queryParams: [{name: ANIMAL, value: Whale}]}]", TO_3),
        ("[{path: {value: /path1}, queryParams: [{name: animal, value: whale}]}]", TO_1),
        ("[{%s, queryParams: [{name: animal, value: whale}]}]" % header("one"), TO_2),
        ("[{path: {value: /path2}, %s, queryParams: [{name: animal, value: whale}]}]" % header("two"), TO_3),
        ("[{path: {value: /path3}, queryParams: [{name: animal, value: shark}]}, "
         "{path: {value: /path4}, %s, queryParams: [{name: animal, value: kraken}]}]" % header("three"), TO_1),
        ("[{path: {value: /path5}}]", TO_1), ("[{queryParams: [{name: animal, value: hydra}]}]", TO_2),
        ("[{%s}]" % header("four"), TO_3),
        ("[{queryParams: [{name: id, type: RegularExpression, value: '[0-9]+'}]}]", TO_2),
    ))

    def check(self, expected, target, headers=()):
        super().check(expected, target, headers=headers)


@table((
    ("every path of the first route", "v1", "/", "example.com"),
    ("a path below", "v1", "/example", "example.com"),
    ("its other hostname", "v1", "/example", "example.net"),
    ("its field", "v1", "/example", "example.com", {"Version": "one"}),
    ("a longer prefix of the second route", "v2", "/v2", "example.com"),
    ("not for a hostname that it has not", "v1", "/v2", "example.net"),
    ("a path below that", "v2", "/v2/example", "example.com"),
    ("its field wins over every path", "v2", "/", "example.com", {"Version": "two"}),
    ("a hostname of neither", 404, "/", "example.org"),
))
class AcrossRoutes(RoutingCase):
    TEXT = gateway() + route(rules(
        ("[{path: {value: /}}, {%s}]" % header("one"), TO_1)), name="part1", hostnames="[example.com, example.net]",
    ) + route(rules(
        ("[{path: {value: /v2}}, {%s}]" % header("two"), TO_2)), name="part2", hostnames="[example.com]")

    def check(self, expected, target, host, headers=()):
        super().check(expected, target, host=host, headers=headers)


def tied(one, two):
    """Load two routes that match the same; return who gets the request."""
    text = gateway() + "".join(
        route(f"- {backend}", name=name, more=more, namespace="default")
        for (name, more), backend in ((one, TO_1), (two, TO_2)))
    return Loaded(text).where()


class Ties(RoutingCase):
    TEXT = gateway()

    def test_the_name_that_comes_first_wins(self):
        self.assertEqual([tied(("a", ""), ("b", "")), tied(("b", ""), ("a", ""))], ["v1", "v2"])

    def test_the_older_one_wins_where_documents_have_an_age(self):
        old, new = (f", creationTimestamp: '{year}-01-01T00:00:00Z'" for year in (2020, 2021))
        self.assertEqual([tied(("b", old), ("a", new)), tied(("b", new), ("a", old))], ["v1", "v2"])

    def test_a_priority_wins_over_age_and_name(self):
        first = ", annotations: {meshd.io/priority: '1'}"
        old = ", creationTimestamp: '2020-01-01T00:00:00Z'"
        self.assertEqual(tied(("z", first), ("a", old)), "v1")

    def test_within_a_route_the_first_rule_wins(self):
        self.assertEqual(Loaded(gateway() + route(f"- {TO_2}\n- {TO_1}")).where(), "v2")

    def test_within_a_route_the_better_match_wins_over_the_first_rule(self):
        text = rules(("[{path: {value: /a}}]", TO_1), ("[{path: {value: /a/b}}]", TO_2))
        self.assertEqual(Loaded(gateway() + route(text)).where("/a/b/c"), "v2")

    def test_many_routes_are_found_as_few_are(self):
        text = gateway() + "".join(
            route(rules((f"[{{path: {{value: /p{number}}}}}]", TO_2 if number == 150 else TO_1)), name=f"r{number:03}")
            for number in range(200))
        loaded = Loaded(text)
        self.assertEqual([loaded.where("/p150/x"), loaded.where("/p15/x"), loaded.where("/p201")], ["v2", "v1", 404])
