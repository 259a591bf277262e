"""Filters of rules and backends: edits of fields, cross-origin rules, and those that cannot be carried out."""

import unittest

from meshd.testing.exchange import FakeExchange
from meshd.testing.site import FakeSite
from tests.istio.gateway_api.case import REGISTRY, Loaded, RoutingCase, gateway, route, table

ONE = "  backendRefs: [{name: v1, port: 80}]\n"


def edited(path, kind, text):
    key = kind[0].lower() + kind[1:]
    return f"- matches: [{{path: {{value: {path}}}}}]\n  filters:\n  - type: {kind}\n    {key}: {{{text}}}\n{ONE}"


EDITS = "".join(edited(path, kind, text) for kind in ("RequestHeaderModifier",) for path, text in (
    ("/set", "set: [{name: X-Header-Set, value: set-overwrites-values}]"),
    ("/add", "add: [{name: X-Header-Add, value: add-appends-values}]"),
    ("/remove", "remove: [X-Header-Remove]"),
    ("/multiple", "set: [{name: X-Header-Set-1, value: header-set-1}, {name: X-Header-Set-2, value: header-set-2}], "
                  "add: [{name: X-Header-Add-1, value: header-add-1}], remove: [X-Header-Remove-1]"),
    ("/case", "set: [{name: X-HEADER-SET, value: header-set}], remove: [x-header-remove]"),
    ("/percent", "set: [{name: x-share, value: '100%'}]"),
    ("/twice", "set: [{name: x-twice, value: first}, {name: X-Twice, value: second}]"),
))


@table((
    ("a field that is set", "/set", {}, {"x-header-set": ["set-overwrites-values"]}),
    ("a field that is set over another", "/set", {"X-Header-Set": "x"}, {"x-header-set": ["set-overwrites-values"]}),
    ("a field that is added", "/add", {}, {"x-header-add": ["add-appends-values"]}),
    ("a field that is added to another", "/add", {"X-Header-Add": "x"}, {"x-header-add": ["x", "add-appends-values"]}),
    ("a field that is removed", "/remove", {"X-Header-Remove": "x", "x-stays": "y"},
     {"x-header-remove": [], "x-stays": ["y"]}),
    ("several", "/multiple", {"X-Header-Set-2": "x", "X-Header-Remove-1": "x"},
     {"x-header-set-1": ["header-set-1"], "x-header-set-2": ["header-set-2"], "x-header-add-1": ["header-add-1"],
      "x-header-remove-1": []}),
    ("names without case", "/case", {"x-header-set": "x", "X-Header-Remove": "x"},
     {"x-header-set": ["header-set"], "x-header-remove": []}),
    ("a percent sign is a percent sign", "/percent", {}, {"x-share": ["100%"]}),
    ("of two edits of one name the first counts", "/twice", {}, {"x-twice": ["first"]}),
))
class Edits(RoutingCase):
    """The same edits, of requests and of answers."""

    TEXT = gateway() + route(EDITS) + route(
        EDITS.replace("RequestHeader", "ResponseHeader").replace("requestHeader", "responseHeader"), name="answers",
        hostnames="[answers.example.com]")

    def check(self, target, given, expected):
        sent = self.loaded.ask(target, headers=given).sent().headers
        pairs = [(name.lower().encode(), value.encode()) for name, value in given.items()]
        answered = self.loaded.ask(target, host="answers.example.com").answered(pairs).headers
        for name, values in expected.items():
            values = [value.encode() for value in values]
            self.assertEqual(sent.get_all(name.encode()), values)
            self.assertEqual(answered.get_all(name.encode()), values)


SHARE = """
- backendRefs:
  - name: v1
    port: 80
    filters:
    - type: RequestHeaderModifier
      requestHeaderModifier: {set: [{name: x-backend, value: one}]}
"""
SHARE_AND_ANSWER = SHARE + """\
    - type: ResponseHeaderModifier
      responseHeaderModifier: {set: [{name: x-from, value: one}]}
"""


class BackendFilters(unittest.TestCase):
    def test_edits_of_one_share(self):
        text = SHARE_AND_ANSWER + "  - {name: v2, port: 80}\n  filters:\n  - type: RequestHeaderModifier\n" \
                       "    requestHeaderModifier: {set: [{name: x-rule, value: r}]}\n"
        loaded = Loaded(gateway() + route(text))
        answers = {answer.backend: answer for answer in (loaded.ask() for _ in range(100))}
        sent = {name: answer.sent().headers for name, answer in answers.items()}
        self.assertEqual({name: one.get(b"x-rule") for name, one in sent.items()}, {"v1": b"r", "v2": b"r"})
        self.assertEqual({name: one.get(b"x-backend") for name, one in sent.items()}, {"v1": b"one", "v2": None})
        self.assertEqual({name: answer.answered().headers.get(b"x-from") for name, answer in answers.items()},
                         {"v1": b"one", "v2": None})

    def test_edits_of_the_answer_of_one_share(self):
        answer = Loaded(gateway() + route(SHARE_AND_ANSWER)).ask()
        self.assertEqual(answer.answered().headers.get(b"x-from"), b"one")

    def test_a_redirect_of_a_share(self):
        text = ("- matches: [{path: {value: /prefix}}]\n  backendRefs:\n  - name: v1\n    port: 80\n    filters:\n"
                "    - type: RequestRedirect\n      requestRedirect: {path: {type: ReplacePrefixMatch, "
                "replacePrefixMatch: /redirected}}\n")
        answer = Loaded(gateway() + route(text)).ask("/prefix/original")
        self.assertEqual((answer.status, answer.location), (302, "http://example.com/redirected/original"))

    def test_a_rewrite_of_a_share(self):
        text = ("- matches: [{path: {value: /prefix}}]\n  backendRefs:\n  - name: v1\n    port: 80\n    filters:\n"
                "    - type: URLRewrite\n      urlRewrite: {hostname: b.example, path: {type: ReplacePrefixMatch, "
                "replacePrefixMatch: /rewritten}}\n")
        sent = Loaded(gateway() + route(text)).ask("/prefix/original").sent()
        self.assertEqual((sent.target, sent.host), (b"/rewritten/original", b"b.example"))

    def test_an_unknown_filter_of_a_share_is_an_error_for_that_share_alone(self):
        text = ("- backendRefs:\n  - {name: v1, port: 80}\n  - name: v2\n    port: 80\n    filters:\n"
                "    - {type: ExtensionRef, extensionRef: {group: x.io, kind: Odd, name: a}}\n")
        loaded = Loaded(gateway() + route(text))
        self.assertEqual({loaded.where() for _ in range(100)}, {"v1", 500})
        self.assertEqual(loaded.parent()["ResolvedRefs"], ("False", "InvalidKind"))


class Impossible(unittest.TestCase):
    def test_an_unknown_filter_is_never_skipped(self):
        text = f"- filters: [{{type: ExtensionRef, extensionRef: {{group: x.io, kind: Odd, name: a}}}}]\n{ONE}"
        loaded = Loaded(gateway() + route(text))
        self.assertEqual(loaded.where(), 500)
        self.assertEqual(loaded.parent()["ResolvedRefs"], ("False", "InvalidKind"))
        self.assertTrue(any(one.startswith("MSH0332 spec.rules[0].filters[0].extensionRef") for one in loaded.warnings))

    def test_external_authorization_is_refused_never_skipped(self):
        auth = "{type: ExternalAuth, externalAuth: {protocol: HTTP, backendRef: {name: v2, port: 80}}}"
        text = f"- matches: [{{path: {{value: /a}}}}]\n  filters: [{auth}]\n{ONE}" \
               f"- matches: [{{path: {{value: /b}}}}]\n{ONE}"
        loaded = Loaded(gateway() + route(text))
        self.assertEqual([loaded.where("/a"), loaded.where("/b")], [500, "v1"])
        self.assertEqual(loaded.parent()["PartiallyInvalid"], ("True", "UnsupportedValue"))
        self.assertEqual(loaded.parent()["Accepted"], ("True", "Accepted"))

    def test_a_route_of_impossible_rules_alone_is_not_accepted(self):
        auth = "{type: ExternalAuth, externalAuth: {protocol: HTTP, backendRef: {name: v2, port: 80}}}"
        loaded = Loaded(gateway() + route(f"- filters: [{auth}]\n{ONE}"))
        self.assertEqual(loaded.parent()["Accepted"], ("False", "UnsupportedValue"))
        self.assertEqual(loaded.listener_status()["attachedRoutes"], 0)
        self.assertEqual(loaded.where(), 500)

    def mirrors(self, share="", rest=ONE):
        """Return (cluster, percent) of each mirror of a rule with one."""
        one = f"{{type: RequestMirror, requestMirror: {{backendRef: {{name: v2, port: 80}}{share}}}}}"
        loaded = Loaded(gateway() + route(f"- filters: [{one}]\n{rest}"))
        self.assertEqual((loaded.where(), loaded.warnings), ("v1", []))
        found = loaded.listener().filters[-1].config.virtual_hosts[0].routes[0].mirror
        return [(one.cluster.rpartition("|")[2].partition(".")[0], one.percent) for one in found]

    def test_a_mirror_gets_copies_of_all_requests_or_of_a_share(self):
        self.assertEqual(self.mirrors(), [("v2", 100.0)])
        self.assertEqual(self.mirrors(", percent: 5"), [("v2", 5.0)])
        self.assertEqual(self.mirrors(", fraction: {numerator: 1, denominator: 8}"), [("v2", 12.5)])
        self.assertEqual(self.mirrors(", percent: 0"), [])

    def test_the_mirror_of_a_backend_is_the_rule_s_where_there_is_no_other(self):
        one = "filters: [{type: RequestMirror, requestMirror: {backendRef: {name: v2, port: 80}}}]"
        alone = Loaded(gateway() + route(f"- backendRefs: [{{name: v1, port: 80, {one}}}]\n"))
        self.assertEqual(len(alone.listener().filters[-1].config.virtual_hosts[0].routes[0].mirror), 1)
        both = Loaded(gateway() + route(f"- backendRefs: [{{name: v1, port: 80, {one}}}, {{name: v2, port: 80}}]\n"))
        self.assertEqual(both.listener().filters[-1].config.virtual_hosts[0].routes[0].mirror, ())
        self.assertTrue(any("mirrors are for whole rules" in one for one in both.warnings))

    def test_a_mirror_to_nobody_is_not_resolved(self):
        text = f"- filters: [{{type: RequestMirror, requestMirror: {{backendRef: {{name: nobody, port: 80}}}}}}]\n{ONE}"
        loaded = Loaded(gateway() + route(text))
        self.assertEqual((loaded.where(), loaded.parent()["ResolvedRefs"]), ("v1", ("False", "BackendNotFound")))

    def test_fields_of_the_connection_are_not_edited_and_that_is_said(self):
        text = edited("/", "RequestHeaderModifier", "set: [{name: Content-Length, value: '5'}, {name: x, value: z}]")
        loaded = Loaded(gateway() + route(text))
        sent = loaded.ask().sent().headers
        self.assertEqual((sent.get(b"content-length"), sent.get(b"x")), (None, b"z"))
        self.assertTrue(any("content-length is the connection's own" in one for one in loaded.warnings))


def cors(text):
    return f"- filters: [{{type: CORS, cors: {{{text}}}}}]\n{ONE}"


class CrossOrigin(unittest.TestCase):
    """The router's route is asked for its ``cors`` filter, and the real filter is built of it."""

    def preflight(self, text, origin, method="PUT", fields="", asked=b"OPTIONS"):
        loaded = Loaded(gateway() + route(cors(text)))
        self.loaded = loaded
        plugin = loaded.ask(method="OPTIONS").exchange.route.overrides["cors"]
        filter = FakeSite(registry=REGISTRY).build(plugin)
        pairs = [(b"origin", origin), (b"access-control-request-method", method.encode())]
        pairs += [(b"access-control-request-headers", fields)] if fields else []
        exchange = FakeExchange(asked, b"/", pairs)
        exchange.request_phase(filter)
        return exchange

    def grant(self, *given, **named):
        reply = self.preflight(*given, **named).replies[0]
        return {name.decode(): value.decode() for name, value in reply.headers}

    MANY = ("allowOrigins: ['https://www.foo.com', 'https://*.bar.com'], allowMethods: [GET, OPTIONS], "
            "allowHeaders: [x-1, x-2], exposeHeaders: [x-3], allowCredentials: true, maxAge: 3600")

    def test_an_origin_that_is_named(self):
        self.assertEqual(self.grant(self.MANY, b"https://www.foo.com"), {
            "access-control-allow-origin": "https://www.foo.com", "access-control-allow-credentials": "true",
            "access-control-allow-methods": "GET, OPTIONS", "access-control-allow-headers": "x-1, x-2",
            "access-control-max-age": "3600"})

    def test_an_origin_under_a_wildcard_of_any_depth(self):
        for origin in (b"https://www.bar.com", b"https://xpto.www.bar.com"):
            self.assertEqual(self.grant(self.MANY, origin)["access-control-allow-origin"], origin.decode())

    def test_other_origins_get_an_answer_without_a_grant(self):
        for origin in (b"https://foobar.com", b"http://www.bar.com", b"https://bar.com", b"https://bar.com.evil.org"):
            self.assertEqual(self.grant(self.MANY, origin), {})

    def test_every_origin_and_method(self):
        found = self.grant("allowOrigins: ['*'], allowMethods: ['*']", b"https://any.org:123")
        self.assertEqual((found["access-control-allow-origin"], found["access-control-allow-methods"],
                          found["access-control-max-age"]), ("*", "*", "5"))

    def test_beside_credentials_a_star_of_methods_is_their_list(self):
        found = self.grant("allowOrigins: ['https://a.org'], allowMethods: ['*'], allowCredentials: true",
                           b"https://a.org")
        self.assertIn("PATCH", found["access-control-allow-methods"])
        self.assertNotIn("*", found["access-control-allow-methods"])

    def test_credentials_for_every_origin_are_not_granted_and_that_is_said(self):
        found = self.grant("allowOrigins: ['*'], allowCredentials: true", b"https://evil.org")
        self.assertNotIn("access-control-allow-credentials", found)
        self.assertTrue(any("let every site act for the user" in one for one in self.loaded.warnings))

    def test_only_routes_that_ask_for_it_have_it(self):
        loaded = Loaded(gateway() + route(cors("allowOrigins: ['*']")) + route(
            "- matches: [{path: {value: /plain}}]\n" + ONE, name="plain"))
        self.assertEqual([one.name for one in loaded.listener().filters], ["cors", "grpc_stats", "router"])
        self.assertIsNone(loaded.ask("/plain").exchange.route.overrides["cors"])
        self.assertEqual([one.name for one in Loaded(gateway() + route("- " + ONE.strip())).listener().filters],
                         ["grpc_stats", "router"])
