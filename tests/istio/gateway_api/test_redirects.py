"""RequestRedirect and URLRewrite: scheme, host, port and path of where a client is sent, or a request goes."""

import unittest

from meshd.model.snapshot import Node
from tests.istio.gateway_api.case import Loaded, RoutingCase, gateway, route, table

TWO_PORTS = "[{name: a, port: 80, protocol: HTTP}, {name: b, port: 8080, protocol: HTTP}]"


def redirects(**rules):
    """Return rules that redirect: path (without its slash, ``_`` for ``-``) -> configuration of the redirect."""
    return "".join(
        f"- matches: [{{path: {{value: /{path.replace('_', '-')}}}}}]\n"
        f"  filters: [{{type: RequestRedirect, requestRedirect: {{{text}}}}}]\n" for path, text in rules.items())


def moved(prefix, replaced, kind="ReplacePrefixMatch"):
    key = kind[0].lower() + kind[1:]
    return (f"- matches: [{{path: {{value: '{prefix}'}}}}]\n  filters:\n  - type: RequestRedirect\n"
            f"    requestRedirect: {{path: {{type: {kind}, {key}: '{replaced}'}}}}\n")


@table((
    ("hostname", 302, "http://example.org/host", "/host"),
    ("status 301 and hostname", 301, "http://example.org/host-and-status", "/host-and-status"),
    ("status 303", 303, "http://example.com/see-other", "/see-other"),
    ("status 307", 307, "http://example.com/temporary", "/temporary"),
    ("status 308", 308, "http://example.com/permanent", "/permanent"),
    ("scheme", 302, "https://example.com/scheme", "/scheme"),
    ("scheme and hostname", 302, "https://example.org/scheme-and-host", "/scheme-and-host"),
    ("scheme and status", 301, "https://example.com/scheme-and-status", "/scheme-and-status"),
    ("port", 302, "http://example.com:8083/port", "/port"),
    ("port and hostname", 302, "http://example.org:8083/port-and-host", "/port-and-host"),
    ("the path below and the query stay", 302, "http://example.org/host/x?y=z", "/host/x?y=z"),
    ("no scheme, no port", 302, "http://example.org/nil-nil", "/nil-nil"),
    ("no scheme, the port of http", 302, "http://example.org/nil-80", "/nil-80"),
    ("no scheme, another port", 302, "http://example.org:8080/nil-8080", "/nil-8080"),
    ("https, no port", 302, "https://example.org/https-nil", "/https-nil"),
    ("https, its port", 302, "https://example.org/https-443", "/https-443"),
    ("https, another port", 302, "https://example.org:8443/https-8443", "/https-8443"),
    ("at another port: no scheme, no port", 302, "http://example.org:8080/nil-nil", "/nil-nil", 8080),
    ("at another port: no scheme, the port of http", 302, "http://example.org/nil-80", "/nil-80", 8080),
    ("at another port: https, no port", 302, "https://example.org/https-nil", "/https-nil", 8080),
    ("at another port: the host's own stays with its listener's port", 303, "http://example.com:8080/see-other",
     "/see-other", 8080, "example.com:8080"),
    ("the port of Host goes with https", 302, "https://example.com/scheme", "/scheme", 80, "example.com:1234"),
    ("the port of Host goes at the listener's port", 303, "http://example.com/see-other", "/see-other", 80,
     "example.com:1234"),
))
class Redirects(RoutingCase):
    TEXT = gateway(TWO_PORTS) + route(redirects(
        host="hostname: example.org", host_and_status="hostname: example.org, statusCode: 301",
        see_other="statusCode: 303", temporary="statusCode: 307", permanent="statusCode: 308",
        scheme="scheme: https", scheme_and_host="scheme: https, hostname: example.org",
        scheme_and_status="scheme: https, statusCode: 301",
    )) + route(redirects(
        port="port: 8083", port_and_host="port: 8083, hostname: example.org", nil_nil="hostname: example.org",
        nil_80="hostname: example.org, port: 80", nil_8080="hostname: example.org, port: 8080",
        https_nil="scheme: https, hostname: example.org", https_443="scheme: https, hostname: example.org, port: 443",
        https_8443="scheme: https, hostname: example.org, port: 8443"), name="ports")

    def check(self, status, location, target, port=80, host="example.com"):
        answer = self.loaded.ask(target, port=port, host=host)
        self.assertEqual((answer.status, answer.location), (status, location))


PATHS = moved("/foo", "/xyz") + moved("/slash", "/xyz/") + moved("/both/", "/xyz/") + moved("/trailing/", "/xyz") \
    + moved("/bare", "xyz") + moved("/gone", "") + moved("/root", "/") + moved("/full", "/all", "ReplaceFullPath")


@table((
    ("a path below the prefix", "/xyz/bar", "/foo/bar"),
    ("the replacement's last slash means nothing", "/xyz/bar", "/slash/bar"),
    ("the prefix's last slash means nothing", "/xyz/bar", "/trailing/bar"),
    ("nor do both", "/xyz/bar", "/both/bar"),
    ("the prefix itself", "/xyz", "/foo"),
    ("the prefix with a slash", "/xyz/", "/foo/"),
    ("nothing in its place, a path below", "/bar", "/gone/bar"),
    ("nothing in its place, with a slash", "/", "/gone/"),
    ("nothing in its place, the prefix itself", "/", "/gone"),
    ("the root in its place, with a slash", "/", "/root/"),
    ("the root in its place, the prefix itself", "/", "/root"),
    ("the root in its place, a path below", "/a/b", "/root/a/b"),
    ("a replacement without a slash", "/xyz/a", "/bare/a"),
    ("the whole path", "/all", "/full/original"),
))
class RedirectedPaths(RoutingCase):
    TEXT = gateway() + route(PATHS)

    def check(self, path, target):
        self.assertEqual(self.loaded.ask(target).location, "http://example.com" + path)
        self.assertEqual(self.loaded.ask(target + "?q=1").location, "http://example.com" + path + "?q=1")


REWRITES = PATHS.replace("RequestRedirect", "URLRewrite").replace("requestRedirect", "urlRewrite").replace(
    "- matches", "- backendRefs: [{name: v1, port: 80}]\n  matches") + """
- matches: [{path: {value: /host}}]
  filters: [{type: URLRewrite, urlRewrite: {hostname: one.example.org}}]
  backendRefs: [{name: v1, port: 80}]
- matches: [{path: {value: /all-of-it}}]
  filters:
  - type: URLRewrite
    urlRewrite: {hostname: two.example.org, path: {type: ReplacePrefixMatch, replacePrefixMatch: /two}}
  - type: RequestHeaderModifier
    requestHeaderModifier: {set: [{name: x-set, value: set}], add: [{name: x-add, value: add}], remove: [x-remove]}
  backendRefs: [{name: v2, port: 80}]
"""


@table((
    ("a path below the prefix", "/xyz/bar", "/foo/bar"),
    ("the prefix itself", "/xyz", "/foo"),
    ("nothing in its place, a path below", "/bar", "/gone/bar"),
    ("nothing in its place, the prefix itself", "/", "/gone"),
    ("nothing in its place, with a slash", "/", "/gone/"),
    ("the whole path", "/all", "/full/original"),
    ("the query stays", "/xyz/bar?q=1", "/foo/bar?q=1"),
    ("no path is named", "/host/a", "/host/a"),
))
class Rewrites(RoutingCase):
    TEXT = gateway() + route(REWRITES)

    def check(self, expected, target):
        self.assertEqual(self.loaded.ask(target).sent().target.decode(), expected)

    def test_host(self):
        self.assertEqual(self.loaded.ask("/host").sent().host, b"one.example.org")
        self.assertEqual(self.loaded.ask("/foo").sent().host, b"example.com")

    def test_host_path_and_fields_together(self):
        answer = self.loaded.ask("/all-of-it/x", headers={"x-remove": "1", "x-add": "before", "x-set": "before"})
        sent = answer.sent()
        self.assertEqual((answer.backend, sent.target, sent.host), ("v2", b"/two/x", b"two.example.org"))
        self.assertEqual((sent.headers.get(b"x-set"), sent.headers.get_all(b"x-add"), sent.headers.get(b"x-remove")),
                         (b"set", [b"before", b"add"], None))


class EveryPath(unittest.TestCase):
    def test_a_prefix_is_put_before_every_path(self):
        text = "- filters:\n  - type: URLRewrite\n    urlRewrite: {path: {type: ReplacePrefixMatch, " \
               "replacePrefixMatch: /new}}\n  backendRefs: [{name: v1, port: 80}]"
        loaded = Loaded(gateway() + route(text))
        self.assertEqual([loaded.ask(target).sent().target for target in ("/", "/a/b")], [b"/new/", b"/new/a/b"])


class MappedPorts(unittest.TestCase):
    def test_the_port_that_the_client_asked_for_stays_where_the_node_has_another_one(self):
        text = gateway() + route(redirects(a="statusCode: 301", b="scheme: https"))
        loaded = Loaded(text, Node(ports=(("80", 8080),)))
        asked = [loaded.ask(path, host="localhost:8080", port=8080).location for path in ("/a", "/b")]
        self.assertEqual(asked, ["http://localhost:8080/a", "https://localhost/b"])
