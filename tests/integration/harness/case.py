"""Route tables in neutral words, drawn by chance from a seed, and what each proxy calls them.

``Case`` is one table. ``native(port)`` is meshd's listener for it, ``envoy(port)`` Envoy's. ``Drawing`` draws tables,
and requests that are likely to meet their rules. Each route names itself in the answer's field ``x-route``.
"""

import random

import attrs

CLUSTERS = ("c0", "c1", "c2", "c3")
PATHS = ("/", "/a", "/a/b", "/a/bc", "/A/b", "/ab", "/users", "/users/7", "/users/x", "/usersx", "/x.y", "/x.y/z")
ODD_PATHS = ("/a//b", "/a/./b", "/users/../a", "/%61/b", "/a%2Fb", "/a\\b", "/a/b/", "//a", "/a/%2e%2e/users")
REGEXES = ("/a.*", "/users/[0-9]+", "/(a|x).*", "(?i)/A/.*", ".*", "/[a-z]+", "/a", "/x.y")
HOSTS = ("a.com", "b.a.com", "c.b.a.com", "x-a.com", "b.net", "shop.org", "shop.net", "a.com.org", "shop-1.org")
DOMAINS = ("a.com", "b.a.com", "*.a.com", "*.com", "*-a.com", "*.b.a.com", "shop.*", "shop-*", "b.*", "B.net",
           "a.com:8080", "b.net:8080", "*")
PORTS = ("", "", ":8080", ":9090")
METHODS = ("GET", "POST", "PUT", "DELETE")
FIELDS = ("x-a", "x-b", "x-c")
VALUES = ("", "1", "2", "12", "-5", "abc", "ABC", "abcd", "xyz")
TEXTS = ("1", "2", "12", "abc", "ABC", "b", "yz", "ab")
PARAMETERS = ("q", "r")
QUERIES = ("", "?", "?q", "?q=", "?q=1", "?q=12", "?q=abc", "?q=ABC&r=1", "?q=1&q=2", "?r", "?qq=1", "?q=%31",
           "?r=2&q=abcd", "?&q=1", "?Q=1", "?q=1=2", "?r=abc;q=1")
EXTENSION = "type.googleapis.com/envoy.extensions.filters"
CODES = {301: "MOVED_PERMANENTLY", 302: "FOUND", 303: "SEE_OTHER", 307: "TEMPORARY_REDIRECT", 308: "PERMANENT_REDIRECT"}


@attrs.frozen(kw_only=True)
class Condition:
    """On a field or a query parameter. ``kind`` is exact, prefix, suffix, contains, regex, range, present or "" (it is
    there).
    """

    name: str
    kind: str = ""
    value: object = None
    ignore_case: bool = False
    invert: bool = False
    missing_as_empty: bool = False

    def native(self) -> dict:
        """Return it in meshd's words."""
        found = {"name": self.name}
        if self.kind == "range":
            found["range"] = {"start": self.value[0], "end": self.value[1]}
        elif self.kind:
            found[self.kind] = self.value
        flags = {"ignore_case": self.ignore_case, "invert": self.invert,
                 "treat_missing_as_empty": self.missing_as_empty}
        return found | {name: True for name, is_on in flags.items() if is_on}

    def envoy(self) -> dict:
        """Return it in Envoy's words."""
        found = {"name": self.name}
        if self.kind == "range":
            found["range_match"] = {"start": self.value[0], "end": self.value[1]}
        elif self.kind in ("", "present"):
            found["present_match"] = True if self.kind == "" else self.value
        else:
            text = {"regex": self.value} if self.kind == "regex" else self.value
            key = "safe_regex" if self.kind == "regex" else self.kind
            found["string_match"] = {key: text, **({"ignore_case": True} if self.ignore_case else {})}
        flags = {"invert_match": self.invert, "treat_missing_header_as_empty": self.missing_as_empty}
        return found | {name: True for name, is_on in flags.items() if is_on}


@attrs.frozen(kw_only=True)
class Rule:
    """One route. ``kind`` is that of the path: path, prefix, path_separated_prefix or regex.

    ``action`` is cluster, weighted, redirect or direct; ``redirect`` has meshd's option names, ``rewrite`` is
    (prefix_rewrite, path_rewrite or regex_rewrite; value or (pattern, substitution)) or None.
    """

    name: str
    kind: str
    path: str
    ignore_case: bool = False
    methods: tuple = ()
    headers: tuple = ()
    query: tuple = ()
    action: str = "cluster"
    cluster: str = "c0"
    others: tuple = ()
    redirect: dict = attrs.field(factory=dict)
    status: int = 200
    rewrite: tuple | None = None
    host_rewrite: str = ""

    def native(self) -> dict:
        """Return meshd's route."""
        match = {self.kind: self.path}
        rows = (("ignore_case", self.ignore_case), ("methods", list(self.methods)),
                ("headers", [one.native() for one in self.headers]), ("query", [one.native() for one in self.query]))
        match |= {key: value for key, value in rows if value}
        found = {"name": self.name, "match": match, "response_headers": {"set": {"x-route": self.name}}}
        if self.action == "redirect":
            return found | {"redirect": self.redirect}
        if self.action == "direct":
            return found | {"direct_response": {"status": self.status, "body": self.name}}
        if self.rewrite is not None:
            kind, value = self.rewrite
            found[kind] = {"pattern": value[0], "substitution": value[1]} if kind == "regex_rewrite" else value
        if self.host_rewrite:
            found["host_rewrite"] = self.host_rewrite
        if self.action == "cluster":
            return found | {"cluster": self.cluster}
        return found | {"weighted_clusters": [
            {"name": self.cluster, "weight": 3}, *({"name": other, "weight": 0} for other in self.others)]}

    def envoy(self) -> dict:
        """Return Envoy's route."""
        headers = [one.envoy() for one in self.headers]
        if self.methods:
            headers.insert(0, {"name": ":method", "string_match": {"safe_regex": {"regex": "|".join(self.methods)}}})
        path = {"safe_regex": {"regex": self.path}} if self.kind == "regex" else {self.kind: self.path}
        match = {**path, "headers": headers, "query_parameters": [one.envoy() for one in self.query],
                 **({"case_sensitive": False} if self.ignore_case else {})}
        own = {"header": {"key": "x-route", "value": self.name}, "append_action": "OVERWRITE_IF_EXISTS_OR_ADD"}
        found = {"name": self.name, "match": match, "response_headers_to_add": [own]}
        if self.action == "redirect":
            return found | {"redirect": self._envoy_redirect()}
        if self.action == "direct":
            return found | {"direct_response": {"status": self.status, "body": {"inline_string": self.name}}}
        return found | {"route": self._envoy_action()}

    def _envoy_redirect(self) -> dict:
        names = {"scheme": "scheme_redirect", "host": "host_redirect", "port": "port_redirect", "path": "path_redirect"}
        found = {names.get(key, key): value for key, value in self.redirect.items()}
        if "response_code" in found:
            found["response_code"] = CODES[found["response_code"]]
        return found

    def _envoy_action(self) -> dict:
        found = {"cluster": self.cluster} if self.action == "cluster" else {"weighted_clusters": {"clusters": [
            {"name": self.cluster, "weight": 3}, *({"name": other, "weight": 0} for other in self.others)]}}
        if self.host_rewrite:
            found["host_rewrite_literal"] = self.host_rewrite
        if self.rewrite is None:
            return found
        kind, value = self.rewrite
        if kind == "prefix_rewrite":
            return found | {kind: value}
        pattern, substitution = value if kind == "regex_rewrite" else ("^.*$", value)  # Envoy has no path_rewrite
        return found | {"regex_rewrite": {"pattern": {"regex": pattern}, "substitution": substitution}}


@attrs.frozen(kw_only=True)
class Host:
    """A virtual host."""

    name: str
    domains: tuple
    rules: tuple

    def native(self) -> dict:
        """Return meshd's virtual host."""
        return {"name": self.name, "domains": list(self.domains), "routes": [rule.native() for rule in self.rules]}


@attrs.frozen(kw_only=True)
class Request:
    """One request; ``fields`` are (name, value), the Host apart."""

    method: str
    target: str
    host: str
    fields: tuple = ()


@attrs.frozen(kw_only=True)
class Case:
    """One route table."""

    name: str
    hosts: tuple

    def native(self, port: int) -> dict:
        """Return meshd's listener."""
        router = {"virtual_hosts": [host.native() for host in self.hosts]}
        return {"name": self.name, "address": f"127.0.0.1:{port}", "filters": [{"router": router}]}

    def envoy(self, port: int) -> dict:
        """Return Envoy's listener, set as meshd's defaults are."""
        taken = {domain.lower() for host in self.hosts for domain in host.domains}
        hosts = [{"name": host.name, "domains": list(_with_ports(host.domains, taken)),
                  "routes": [rule.envoy() for rule in host.rules]} for host in self.hosts]
        router = {"@type": f"{EXTENSION}.http.router.v3.Router"}
        manager = {
            "@type": f"{EXTENSION}.network.http_connection_manager.v3.HttpConnectionManager",
            "stat_prefix": self.name, "use_remote_address": True, "normalize_path": True, "merge_slashes": True,
            "path_with_escaped_slashes_action": "REJECT_REQUEST", "route_config": {"virtual_hosts": hosts},
            "http_filters": [{"name": "router", "typed_config": router}],
        }
        address = {"socket_address": {"address": "127.0.0.1", "port_value": port}}
        return {"name": self.name, "address": address,
                "filter_chains": [{"filters": [{"name": "http", "typed_config": manager}]}]}


def _with_ports(domains: tuple, taken: set) -> list:
    """Yield the domains, and each with the ports that requests name: meshd looks without the port too."""
    for domain in domains:
        yield domain
        if ":" in domain or domain.endswith("*"):
            continue
        yield from (f"{domain}{port}" for port in sorted(set(PORTS)) if port and f"{domain}{port}".lower() not in taken)


class Drawing:
    """Draws cases and requests; the same seed draws the same."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)

    def case(self, name: str) -> Case:
        """Return a route table of one to three virtual hosts."""
        draw = self._random
        domains = draw.sample(DOMAINS, draw.randint(2, len(DOMAINS)))
        hosts = []
        for number in range(draw.randint(1, 3)):
            own = tuple(domains.pop() for _ in range(min(len(domains), draw.randint(1, 4))))
            if own:
                rules = tuple(self.rule(f"{name}-{number}-{place}") for place in range(draw.choice((1, 3, 6, 12, 20))))
                hosts.append(Host(name=f"h{number}", domains=own, rules=rules))
        return Case(name=name, hosts=tuple(hosts))

    def rule(self, name: str) -> Rule:
        """Return a route."""
        draw = self._random
        kind = draw.choice(("path", "prefix", "prefix", "path_separated_prefix", "regex"))
        path = draw.choice(REGEXES if kind == "regex" else PATHS)
        if kind == "path_separated_prefix" and path == "/":
            path = "/a"
        found = {
            "ignore_case": kind != "regex" and self._is(0.2), "methods": tuple(draw.sample(METHODS, 2 * self._is(0.2))),
            "headers": tuple(self.header() for _ in range(draw.choice((0, 0, 1, 1, 2)))),
            "query": tuple(self.parameter() for _ in range(draw.choice((0, 0, 0, 1)))),
        }
        return Rule(name=name, kind=kind, path=path, **found, **self._action(kind))

    def _is(self, share: float) -> bool:
        return self._random.random() < share

    def _action(self, kind: str) -> dict:
        draw = self._random
        action = draw.choice(("cluster", "cluster", "cluster", "weighted", "redirect", "direct"))
        if action == "redirect":
            return {"action": action, "redirect": self._redirect()}
        if action == "direct":
            return {"action": action, "status": draw.choice((200, 403, 404, 503))}
        first, *others = draw.sample(CLUSTERS, draw.randint(1, 3))
        prefix = draw.choice(("/", "/new", "/new/"))
        pair = draw.choice((("a", "b"), ("/([a-z]+)", r"/\1x"), ("[0-9]+$", "n")))
        rewrites = (None, None, ("prefix_rewrite", prefix), ("path_rewrite", "/all"), ("regex_rewrite", pair))
        return {"action": action, "cluster": first, "others": tuple(others), "rewrite": draw.choice(rewrites),
                "host_rewrite": draw.choice(("", "", "inner.local"))}

    def _redirect(self) -> dict:
        draw = self._random
        choices = {
            "https_redirect": True, "host": "new.example", "port": draw.choice((80, 443, 8443)), "strip_query": True,
            "response_code": draw.choice(tuple(CODES)),
        }
        found = {key: value for key, value in choices.items() if self._is(0.4)}
        change = draw.choice((None, ("path", "/moved"), ("path", "/moved?x=1"), ("prefix_rewrite", "/new")))
        return found | ({change[0]: change[1]} if change else {}) or {"path": "/moved"}

    def header(self) -> Condition:
        """Return a condition on a field."""
        draw = self._random
        kind = draw.choice(("exact", "exact", "prefix", "suffix", "contains", "regex", "range", "present", ""))
        return self._condition(draw.choice(FIELDS), kind, invert=self._is(0.25), missing_as_empty=self._is(0.15))

    def parameter(self) -> Condition:
        """Return a condition on a query parameter."""
        kind = self._random.choice(("exact", "prefix", "suffix", "contains", "regex", "present", ""))
        return self._condition(self._random.choice(PARAMETERS), kind)

    def _condition(self, name: str, kind: str, **more: bool) -> Condition:
        draw = self._random
        value = {"range": draw.choice(((0, 10), (-10, 0), (2, 13))), "present": self._is(0.7),
                 "regex": draw.choice(("[0-9]+", "a.*", "1?", ".*", "(?i)abc"))}.get(kind, draw.choice(TEXTS))
        has_case = kind in ("exact", "prefix", "suffix", "contains")
        return Condition(name=name, kind=kind, value=value, ignore_case=has_case and self._is(0.3), **more)

    def request(self) -> Request:
        """Return a request."""
        draw = self._random
        path = draw.choice(ODD_PATHS if self._is(0.1) else PATHS)
        host = draw.choice(HOSTS) + draw.choice(PORTS)
        fields = [(name, draw.choice(VALUES)) for name in FIELDS if self._is(0.5)]
        if fields and self._is(0.1):
            fields.append((fields[0][0], draw.choice(VALUES)))
        return Request(method=draw.choice(METHODS), target=path + draw.choice(QUERIES),
                       host=host.upper() if self._is(0.1) else host, fields=tuple(fields))
