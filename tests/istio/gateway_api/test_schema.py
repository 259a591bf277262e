"""Documents that the published schemas refuse, with the field's path; and that those which they take are taken."""

import unittest

from tests.istio.gateway_api.case import API, Loaded, gateway, route, table

ONE = "backendRefs: [{name: v1, port: 80}]"
PREFIX = "matches: [{path: {value: /a}}, {path: {value: /b}}]"
RULE = "spec.rules[0]"


def rule(text):
    return route(f"- {ONE}\n  {text}")


def filters(*lines, more=ONE):
    return route(f"- {more}\n  filters:\n" + "".join(f"  - {line}\n" for line in lines))


def match(text):
    return rule(f"matches: [{{{text}}}]")


def listener(text):
    return gateway(f"[{{name: a, port: 80, {text}}}]")


def policy(text):
    return (f"---\n{API}kind: BackendTLSPolicy\nmetadata: {{name: p}}\n"
            f"spec: {{targetRefs: [{{group: '', kind: Service, name: v1}}], validation: {{{text}}}}}\n")


def path(value, kind="PathPrefix"):
    return match(f"path: {{type: {kind}, value: '{value}'}}"), f"{RULE}.matches[0].path.value"


EDIT = "requestHeaderModifier: {set: [{name: a, value: b}]}"
REDIRECT = "{type: RequestRedirect, requestRedirect: {%s}}"
REWRITE = "{type: URLRewrite, urlRewrite: {%s}}"
REPLACE = "path: {type: ReplacePrefixMatch, replacePrefixMatch: /x}"


@table((
    ("a path without a slash", *path("a"), "expected a path from / on"),
    ("a path with two slashes", *path("/a//b"), "expected a path without '//'"),
    ("a path with a dot segment", *path("/a/./b"), "expected a path without '/./'"),
    ("a path with a parent segment", *path("/a/../b", "Exact"), "expected a path without '/../'"),
    ("a path with a slash in percent signs", *path("/a%2fb"), "expected a path without '%2f'"),
    ("a path with a fragment", *path("/a#b"), "expected a path without '#'"),
    ("a path that ends in a dot segment", *path("/a/.."), "does not end in a dot segment"),
    ("a path with other characters", *path("/a b"), "expected the characters of a path"),
    ("a bad expression for a path", *path("/a(", "RegularExpression"), "missing )"),
    ("an unknown type of path", match("path: {type: Glob, value: /a}"), f"{RULE}.matches[0].path.type", "Glob"),
    ("a method in small letters", match("method: get"), f"{RULE}.matches[0].method", "get"),
    ("a field name with a space", match("headers: [{name: 'a b', value: c}]"), f"{RULE}.matches[0].headers[0].name",
     "form"),
    ("a pseudo header", match("headers: [{name: ':method', value: GET}]"), f"{RULE}.matches[0].headers[0].name",
     "form"),
    ("an empty value", match("headers: [{name: a, value: ''}]"), f"{RULE}.matches[0].headers[0].value", "at least 1"),
    ("a field twice", match("headers: [{name: a, value: b}, {name: a, value: c}]"), f"{RULE}.matches[0].headers[1]",
     "taken"),
    ("a parameter twice", match("queryParams: [{name: a, value: b}, {name: a, value: c}]"),
     f"{RULE}.matches[0].queryParams[1]", "taken"),
    ("a bad expression for a field", match("headers: [{name: a, type: RegularExpression, value: '('}]"),
     f"{RULE}.matches[0].headers[0].value", "missing )"),
    ("a Service without a port", route("- backendRefs: [{name: v1}]"), f"{RULE}.backendRefs[0].port",
     "expected a port"),
    ("a weight beyond a million", route("- backendRefs: [{name: v1, port: 80, weight: 1000001}]"),
     f"{RULE}.backendRefs[0].weight", "1000000"),
    ("a redirect beside backends", filters(REDIRECT % "statusCode: 301"), f"{RULE}.filters",
     "no RequestRedirect beside"),
    ("a redirect and a rewrite", filters(REDIRECT % "statusCode: 301", REWRITE % "hostname: a.com", more="name: a"),
     f"{RULE}.filters", "either RequestRedirect or URLRewrite"),
    ("a filter twice", filters(*[f"{{type: RequestHeaderModifier, {EDIT}}}"] * 2), f"{RULE}.filters", "at most once"),
    ("a filter without its field", filters("{type: RequestHeaderModifier}"),
     f"{RULE}.filters[0].requestHeaderModifier", "expected requestHeaderModifier with type"),
    ("a filter with another's field", filters(f"{{type: URLRewrite, urlRewrite: {{}}, {EDIT}}}"),
     f"{RULE}.filters[0].requestHeaderModifier", "expected no requestHeaderModifier with type URLRewrite"),
    ("an unknown filter", filters("{type: Odd}"), f"{RULE}.filters[0].type", "Odd"),
    ("another redirect status", filters(REDIRECT % "statusCode: 304", more="name: a"),
     f"{RULE}.filters[0].requestRedirect.statusCode", "expected one of 301"),
    ("another redirect scheme", filters(REDIRECT % "scheme: ftp", more="name: a"),
     f"{RULE}.filters[0].requestRedirect.scheme", "ftp"),
    ("a redirect to a wildcard", filters(REDIRECT % "hostname: '*.a.com'", more="name: a"),
     f"{RULE}.filters[0].requestRedirect.hostname", "form"),
    ("a path modifier without its field", filters(REWRITE % "path: {type: ReplaceFullPath}"),
     f"{RULE}.filters[0].urlRewrite.path.replaceFullPath", "expected replaceFullPath with type"),
    ("a path modifier with the other field", filters(REWRITE % "path: {type: ReplaceFullPath, replaceFullPath: /a, "
                                                               "replacePrefixMatch: /b}"),
     f"{RULE}.filters[0].urlRewrite.path.replacePrefixMatch", "expected no replacePrefixMatch"),
    ("a replaced prefix of two matches", filters(REWRITE % REPLACE, more=f"{ONE}\n  {PREFIX}"), f"{RULE}.filters",
     "exactly one PathPrefix match"),
    ("a replaced prefix of an exact path", filters(REWRITE % REPLACE,
                                                   more=f"{ONE}\n  matches: [{{path: {{type: Exact, value: /a}}}}]"),
     f"{RULE}.filters", "exactly one PathPrefix match"),
    ("a replaced prefix of a backend", route(
        f"- {PREFIX}\n  backendRefs: [{{name: v1, port: 80, filters: [{REWRITE % REPLACE}]}}]"),
     f"{RULE}.backendRefs", "exactly one PathPrefix match"),
    ("a star beside other origins", filters("{type: CORS, cors: {allowOrigins: ['*', 'https://a.com']}}"),
     f"{RULE}.filters[0].cors.allowOrigins", "expected '*' alone"),
    ("an origin without a scheme", filters("{type: CORS, cors: {allowOrigins: [a.com]}}"),
     f"{RULE}.filters[0].cors.allowOrigins[0]", "form"),
    ("a mirror with two shares", filters("{type: RequestMirror, requestMirror: {backendRef: {name: v1, port: 80}, "
                                         "percent: 5, fraction: {numerator: 1}}}"),
     f"{RULE}.filters[0].requestMirror.fraction", "at most one of percent, fraction"),
    ("more than everything", filters("{type: RequestMirror, requestMirror: {backendRef: {name: v1, port: 80}, "
                                     "fraction: {numerator: 101}}}"),
     f"{RULE}.filters[0].requestMirror.fraction.numerator", "at most the denominator"),
    ("a backend timeout above the request's", rule("timeouts: {request: 1s, backendRequest: 2s}"),
     f"{RULE}.timeouts.backendRequest", "at most the request timeout"),
    ("a time with a fraction", rule("timeouts: {request: 1.5s}"), f"{RULE}.timeouts.request",
     "whole numbers with the units"),
    ("a time without a unit", rule("timeouts: {request: '5'}"), f"{RULE}.timeouts.request", "a time with a unit"),
    ("a code that is no error", rule("retry: {codes: [200]}"), f"{RULE}.retry.codes[0]", "400"),
    ("no retries", rule("retry: {attempts: 0}"), f"{RULE}.retry.attempts", "from 1"),
    ("a session without its cookie", rule("sessionPersistence: {type: Cookie}"), f"{RULE}.sessionPersistence.cookie",
     "expected cookie with type Cookie"),
    ("a permanent cookie without an end", rule("sessionPersistence: {cookie: {lifetimeType: Permanent}}"),
     f"{RULE}.sessionPersistence.absoluteTimeout", "absoluteTimeout beside a permanent cookie"),
    ("two rules of one name", route(f"- {ONE}\n  name: a\n- {ONE}\n  name: a"), "spec.rules", "'a' is taken"),
    ("no rules", f"---\n{API}kind: HTTPRoute\nmetadata: {{name: r}}\nspec: {{rules: []}}\n", "spec.rules",
     "at least 1"),
    ("too many matches",
     route("".join(f"- {ONE}\n  matches: [{', '.join(['{method: GET}'] * 64)}]\n" for _ in range(3))),
     "spec.rules", "at most 128 matches"),
    ("a hostname with a port", route(f"- {ONE}", hostnames="['a.com:80']"), "spec.hostnames[0]", "form"),
    ("a hostname with a star inside", route(f"- {ONE}", hostnames="['a.*.com']"), "spec.hostnames[0]", "form"),
    ("a misspelt key", rule("timeout: 5s"), RULE, 'unknown field "timeout"'),
    ("one parent with and without a listener", route(f"- {ONE}", parents="[{name: a}, {name: a, sectionName: b}]"),
     "spec.parentRefs", "expected sectionName or port in each"),
    ("one listener of a parent twice",
     route(f"- {ONE}", parents="[{name: a, sectionName: b}, {name: a, sectionName: b}]"),
     "spec.parentRefs", "expected another sectionName or port"),
))
class BadRoutes(unittest.TestCase):
    def check(self, text, where, message):
        errors = Loaded(gateway() + text).errors
        self.assertTrue(any(one.startswith(f"{where}: ") and message in one for one in errors), errors)


@table((
    ("tls with HTTP", listener("protocol: HTTP, tls: {certificateRefs: [{name: a}]}"), "spec.listeners[0].tls",
     "no tls"),
    ("passthrough with HTTPS", listener("protocol: HTTPS, tls: {mode: Passthrough}"), "spec.listeners[0].tls",
     "Terminate"),
    ("TLS without tls", listener("protocol: TLS"), "spec.listeners[0].tls", "expected tls"),
    ("TLS without a certificate", listener("protocol: TLS, tls: {mode: Terminate}"),
     "spec.listeners[0].tls.certificateRefs", "expected certificateRefs"),
    ("a hostname with TCP", listener("protocol: TCP, hostname: a.com"), "spec.listeners[0].hostname", "no hostname"),
    ("a protocol of somebody without a path", listener("protocol: example.com"), "spec.listeners[0].protocol", "form"),
    ("port 0", gateway("[{name: a, port: 0, protocol: HTTP}]"), "spec.listeners[0].port", "from 1"),
    ("a name twice", gateway("[{name: a, port: 80, protocol: HTTP}, {name: a, port: 81, protocol: HTTP}]"),
     "spec.listeners[1]", "'a' is taken"),
    ("port, protocol and hostname twice", gateway("[{name: a, port: 80, protocol: HTTP}, {name: b, port: 80, "
                                                  "protocol: HTTP}]"), "spec.listeners", "they are those of 'a'"),
    ("no listeners", gateway("[]"), "spec.listeners", "at least 1"),
    ("a selection without a selector", listener("protocol: HTTP, allowedRoutes: {namespaces: {from: Selector}}"),
     "spec.listeners[0].allowedRoutes.namespaces.selector", "expected a selector"),
    ("routes of no namespace", listener("protocol: HTTP, allowedRoutes: {namespaces: {from: None}}"),
     "spec.listeners[0].allowedRoutes.namespaces.from", "None"),
    ("an address that is none", gateway(more="  addresses: [{value: abc}]\n"), "spec.addresses[0].value", "IP address"),
    ("an address twice", gateway(more="  addresses: [{value: 10.0.0.1}, {value: 10.0.0.1}]\n"), "spec.addresses",
     "taken"),
    ("In without values", listener("protocol: HTTP, allowedRoutes: {namespaces: {from: Selector, selector: "
                                   "{matchExpressions: [{key: a, operator: In}]}}}"),
     "spec.listeners[0].allowedRoutes.namespaces.selector.matchExpressions[0].values", "expected values"),
    ("a controller without a path",
     f"---\n{API}kind: GatewayClass\nmetadata: {{name: a}}\nspec: {{controllerName: a}}\n",
     "spec.controllerName", "form"),
    ("a grant from nobody", f"---\n{API}kind: ReferenceGrant\nmetadata: {{name: a}}\nspec: {{from: [], to: []}}\n",
     "spec.from", "at least 1"),
    ("both sources of authorities", policy("hostname: a.com, wellKnownCACertificates: System, caCertificateRefs: "
                                           "[{group: '', kind: ConfigMap, name: a}]"),
     "spec.validation.wellKnownCACertificates", "not both"),
    ("no source of authorities", policy("hostname: a.com"), "spec.validation.caCertificateRefs", "expected caCert"),
    ("a name of the other type", policy("hostname: a.com, wellKnownCACertificates: System, subjectAltNames: "
                                        "[{type: URI, hostname: a.com}]"),
     "spec.validation.subjectAltNames[0].uri", "expected uri with type URI"),
    ("neither service nor method", route(f"- {ONE}\n  matches: [{{method: {{type: Exact}}}}]", kind="GRPCRoute"),
     f"{RULE}.matches[0].method.method", "at least one of service, method"),
    ("a service with a slash", route(f"- {ONE}\n  matches: [{{method: {{service: a/b}}}}]", kind="GRPCRoute"),
     f"{RULE}.matches[0].method.service", "the name of a service"),
    ("a method with a dot", route(f"- {ONE}\n  matches: [{{method: {{method: a.b}}}}]", kind="GRPCRoute"),
     f"{RULE}.matches[0].method.method", "the name of a method"),
    ("a redirect of calls", route(f"- {ONE}\n  filters: [{{type: RequestRedirect}}]", kind="GRPCRoute"),
     f"{RULE}.filters[0].type", "RequestRedirect"),
    ("a connection without a backend", route("- backendRefs: []", kind="TCPRoute"), f"{RULE}.backendRefs",
     "at least 1"),
    ("an unknown version", gateway().replace("/v1", "/v7"), "apiVersion", "no version 'v7'"),
    ("an unknown kind", gateway().replace("kind: Gateway", "kind: Gatway"), "kind", "unknown kind 'Gatway'"),
))
class BadOthers(unittest.TestCase):
    def check(self, text, where, message):
        errors = Loaded(text).errors
        self.assertTrue(any(one.startswith(f"{where}: ") and message in one for one in errors), errors)


class GoodDocuments(unittest.TestCase):
    def test_versions(self):
        text = gateway() + route(f"- {ONE}")
        for kind, version in (("Gateway", "v1beta1"), ("HTTPRoute", "v1beta1")):
            self.assertEqual(Loaded(text.replace(f"v1\nkind: {kind}", f"{version}\nkind: {kind}")).errors, [])

    def test_a_status_from_a_cluster_is_left_alone(self):
        loaded = Loaded(gateway() + "status: {conditions: [{type: Accepted, status: 'False', reason: Pending}]}\n")
        self.assertEqual(loaded.errors, [])
        self.assertEqual(loaded.status_of("web")["conditions"][0]["status"], "True")

    def test_a_list_of_documents(self):
        items = "".join("\n".join(("- " if line.startswith("apiVersion") else "  ") + line for line in one.splitlines())
                        + "\n" for one in (gateway() + route(f"- {ONE}")).split("---\n") if one)
        loaded = Loaded(f"---\napiVersion: v1\nkind: List\nitems:\n{items}")
        self.assertEqual((loaded.errors, loaded.where()), ([], "v1"))

    def test_a_time_beyond_a_year_is_a_year(self):
        found = Loaded(gateway() + rule("timeouts: {request: 99999h}")).ask().exchange.plan.timeouts
        self.assertEqual(found.request_s, 31_536_000.0)

    def test_the_longest_names(self):
        host = ".".join(["a" * 63] * 3 + ["b" * 61])
        loaded = Loaded(gateway() + route(f"- {ONE}\n  name: {'c' * 63}", name="d" * 253, hostnames=f"[{host}]"))
        self.assertEqual((loaded.errors, loaded.where(host=host)), ([], "v1"))
