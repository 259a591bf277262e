"""Istio documents drawn by chance from a seed: what a gateway or a sidecar's explicit egress listener routes by.

``Table`` is one listener with the documents that only it sees (its namespace is its name). ``SERVICES`` and ``SHOPS`` are
there for all. ``documents(tables, ...)`` is what one node loads. Each rule names its route in the answer's field ``x-route``.
"""

import base64
import json

import attrs

from tests.integration.harness.case import (
    FIELDS, HOSTS, METHODS, PARAMETERS, PATHS, REGEXES, TEXTS, Drawing, Request,
)

ISTIO = "networking.istio.io/v1"
SHARED, SHOPPING = "shared", "shops"
LABELS = {"app": "web", "version": "v1"}
"""Labels of the node."""
SERVICES = {
    "c0.test": ((80,), ()), "c1.test": ((80,), ("v1", "v2")), "c2.test": ((80, 8080), ()), "c3.test": ((8080,), ("v1",)),
}
"""host -> (ports, subsets) of the services that rules send to."""
OWN_PORTS = (80, *range(8001, 8025))
"""Ports of a sidecar's listeners: each may be there once."""
PORTS = (8080, 7000, *OWN_PORTS)
SHOPS = {"a.com": OWN_PORTS, "b.a.com": OWN_PORTS[::2], "c.b.a.com": OWN_PORTS[1::2], "b.net": OWN_PORTS,
         "shop.org": (7000, *OWN_PORTS[::3]), "x-a.com": (7000,)}
"""host -> ports of the services that clients of a sidecar ask for, if its listener imports them."""
RULE_HOSTS = ("a.com", "b.a.com", "*.a.com", "*.com", "*.b.a.com", "B.net", "b.net", "shop.org", "*.org")
SERVER_HOSTS = (("*",), ("*",), ("*",), ("*.com", "b.net"), ("*.a.com", "a.com", "*/shop.org"), ("./*",),
                ("other/*", "a.com"))
CODES = (0, 301, 302, 303, 307, 308)
NEW = "x-new"
ANSWER = "x-up"
"""A field of the upstream's answers."""


@attrs.frozen(kw_only=True)
class Table:
    """One listener; ``port`` is what documents call its port. ``imports`` are those of ``SHOPS`` that it sees."""

    name: str
    role: str
    bind: str
    port: int
    imports: tuple
    documents: tuple

    @property
    def listener(self) -> str:
        """Return meshd's name of the listener."""
        return f"{self.bind}_{self.port}"

    def egress(self) -> dict:
        """Return the listener in a Sidecar document."""
        return {"port": {"number": self.port, "name": "http", "protocol": "HTTP"}, "bind": self.bind,
                "captureMode": "NONE", "hosts": [f"{self.name}/*", *(f"{SHOPPING}/{host}" for host in self.imports)]}


def document(kind: str, name: str, namespace: str, spec: dict, **metadata: str) -> dict:
    """Return one document."""
    return {"apiVersion": ISTIO, "kind": kind, "metadata": {"name": name, "namespace": namespace, **metadata},
            "spec": spec}


def clusters_of() -> dict:
    """Return cluster -> (address, port) of its endpoint as ``PORTS`` counts them: each has its own, so answers tell."""
    rows = [(host, ports, subsets or ("",)) for host, (ports, subsets) in SERVICES.items()]
    rows += [(host, ports, ("",)) for host, ports in SHOPS.items()]
    return {f"outbound|{port}|{subset}|{host}": (f"127.1.{number}.{place + 1}", PORTS.index(port))
            for number, (host, ports, subsets) in enumerate(rows)
            for place, subset in enumerate(subsets) for port in ports}


def documents(tables: list, echoes: tuple) -> list:
    """Return all that one node loads. ``echoes`` are the ports that answer for those of ``PORTS``."""
    found = [_entry(host, SHARED, ports, subsets, echoes) for host, (ports, subsets) in SERVICES.items()]
    found += [_entry(host, SHOPPING, ports, (), echoes) for host, ports in SHOPS.items()]
    for host, (_, subsets) in SERVICES.items():
        rows = [{"name": one, "labels": {"version": one}} for one in subsets]
        found.append(document("DestinationRule", host, SHARED, {"host": host, "subsets": rows}))
    found += [one for table in tables for one in table.documents]
    egress = [table.egress() for table in tables if table.role == "sidecar"]
    return found + ([document("Sidecar", "default", "default", {"egress": egress})] if egress else [])


def text(found: list) -> str:
    """Return documents as one file."""
    return "\n---\n".join(json.dumps(one, indent=1) for one in found)


def _entry(host: str, namespace: str, ports: tuple, subsets: tuple, echoes: tuple) -> dict:
    places, names = clusters_of(), {port: f"http-{port}" for port in ports}
    points = [(places[f"outbound|{ports[0]}|{subset}|{host}"][0], subset) for subset in subsets or ("",)]
    return document("ServiceEntry", host, namespace, {
        "hosts": [host], "location": "MESH_INTERNAL", "resolution": "STATIC",
        "ports": [{"number": port, "name": name, "protocol": "HTTP"} for port, name in names.items()],
        "endpoints": [{"address": address, "ports": {name: echoes[PORTS.index(port)] for port, name in names.items()},
                       **({"labels": {"version": subset}} if subset else {})} for address, subset in points]})


def _overlap(one: str, two: str) -> bool:
    """Say whether one VirtualService may not have both."""
    return one == two or any(wide[0] == "*" and close.lstrip("*").endswith(wide[1:])
                             for wide, close in ((one, two), (two, one)))


class IstioDrawing(Drawing):
    """Draws tables that Istio can express; ``request`` is that of any table."""

    def table(self, number: int, role: str) -> Table:
        """Return a table: one to four VirtualServices."""
        draw = self._random
        name = f"case-{number}"
        port = draw.choice((80, 8080)) if role == "ingress" else OWN_PORTS[number % len(OWN_PORTS)]
        bind = f"127.0.2.{number + 1}"
        imports = tuple(draw.sample(tuple(SHOPS), draw.randint(2, 6))) if role == "sidecar" else ()
        self._port, self._gateway = port, f"{name}/edge" if role == "ingress" else "mesh"
        self._own = tuple(host for host in imports if port in SHOPS[host])
        found = [self._virtual_service(name, place, hosts, role) for place, hosts in enumerate(self._hosts(role))]
        if role == "ingress":
            server = {"port": {"number": port, "name": "http", "protocol": "HTTP"}, "bind": bind,
                      "hosts": list(draw.choice(SERVER_HOSTS))}
            found.append(document("Gateway", "edge", name, {
                "selector": {"istio": "ingressgateway"}, "servers": [server]}))
        return Table(name=name, role=role, bind=bind, port=port, imports=imports, documents=tuple(found))

    def request_to(self, table: Table) -> Request:
        """Return a request to a table; some name its port."""
        found = self.request()
        is_named = ":" in found.host and self._is(0.5)
        return attrs.evolve(found, host=f"{found.host.partition(':')[0]}:{table.port}") if is_named else found

    def _hosts(self, role: str) -> list:
        """Return the hosts of each VirtualService; those of one do not overlap. Only at a gateway several have one."""
        draw = self._random
        pool = [*RULE_HOSTS, "*", "*"] if role == "ingress" else [*RULE_HOSTS, *HOSTS]
        found, taken = [], set()
        for _ in range(draw.randint(1, 4)):
            own = []
            for host in draw.sample(pool, draw.randint(1, 4)):
                if host.lower() not in taken and not any(_overlap(host.lower(), one.lower()) for one in own):
                    own.append(host)
            if role != "ingress":
                taken.update(host.lower() for host in own)
            found += [own] if own else []
        return found

    def _virtual_service(self, namespace: str, place: int, hosts: list, role: str) -> dict:
        draw = self._random
        count = draw.choice((1, 2, 4, 8, 12))
        http = [self._http(f"{namespace}-{place}-{one}", one == count - 1) for one in range(count)]
        gateways = draw.choice((["edge"], [f"{namespace}/edge"])) if role == "ingress" \
            else draw.choice(([], ["mesh"]))
        created = f"2026-01-01T00:00:{draw.randrange(50):02}Z"
        return document("VirtualService", f"rules-{place}", namespace, {
            "hosts": hosts, **({"gateways": gateways} if gateways else {}), "http": http}, creationTimestamp=created)

    def _http(self, name: str, is_last: bool) -> dict:
        """Return a rule; a few take every request before the end."""
        draw = self._random
        count = 0 if self._is(0.5 if is_last else 0.04) else draw.choice((1, 1, 1, 2, 3))
        blocks = [self._block() for _ in range(count)]
        found = {"name": name, "match": blocks} if blocks else {"name": name}
        found |= self._action_of(blocks)
        headers = self._headers(0.3, "authority" not in found.get("rewrite", {}))
        headers.setdefault("response", {}).setdefault("set", {})["x-route"] = "%ROUTE_NAME%"
        return found | {"headers": headers}

    def _block(self) -> dict:
        draw = self._random
        kind = draw.choice(("", "exact", "prefix", "prefix", "regex"))
        found = {"uri": {kind: draw.choice(REGEXES if kind == "regex" else (*PATHS, "/a/"))}} if kind else {}
        conditions = (
            ("headers", {draw.choice(FIELDS): self._string() for _ in range(draw.choice((0, 0, 1, 1, 2)))}),
            ("withoutHeaders", {draw.choice(FIELDS): self._string() for _ in range(draw.choice((0, 0, 0, 1)))}),
            ("queryParams", {draw.choice(PARAMETERS): self._query() for _ in range(draw.choice((0, 0, 0, 1)))}),
            ("ignoreUriCase", self._is(0.2)),
            ("method", self._is(0.15) and draw.choice((
                {"exact": draw.choice(METHODS)}, {"regex": "GET|PUT"}, {"prefix": "P"}))),
            ("authority", self._is(0.1) and draw.choice((
                {"exact": "a.com"}, {"prefix": "b."}, {"regex": r".*\.com(:[0-9]+)?"}, {"exact": "b.net:8080"}))),
            ("scheme", self._is(0.1) and {"exact": draw.choice(("http", "http", "https"))}),
            ("name", self._is(0.3) and draw.choice(("one", "two"))),
            ("port", self._is(0.1) and draw.choice((self._port, self._port, 9999))),
            ("gateways", self._is(0.1) and [draw.choice((self._gateway, self._gateway, "other/edge"))]),
            ("sourceLabels", self._is(0.1) and draw.choice(({"app": "web"}, {"app": "other"}))),
            ("sourceNamespace", self._is(0.06) and draw.choice(("default", "default", "other"))),
        )
        return found | {key: value for key, value in conditions if value}

    def _string(self) -> dict:
        draw = self._random
        kind = draw.choice(("exact", "exact", "prefix", "regex", "regex", ""))
        if kind == "regex":
            return {kind: draw.choice(("[0-9]+", "a.*", "1?", ".*", "(?i)abc"))}
        return {kind: draw.choice(TEXTS)} if kind else {}

    def _query(self) -> dict:
        return {"exact": ""} if self._is(0.15) else self._string()

    def _action_of(self, blocks: list) -> dict:
        draw = self._random
        action = draw.choice(("route", "route", "route", "route", "redirect", "directResponse"))
        if action == "redirect":
            return {action: self._redirect_of(blocks)}
        if action == "directResponse":
            body = draw.choice((None, {"string": "no % here"}, {"bytes": base64.b64encode(b"bytes").decode()}))
            status = draw.choice((200, 403, 404, 503))
            return {action: {"status": status, **({"body": body} if body else {})}}
        found = {action: self._route()}
        if self._is(0.5):
            found["rewrite"] = self._rewrite()
        return found

    def _route(self) -> list:
        draw = self._random
        count = draw.choice((1, 1, 1, 2, 3))
        found = [{"destination": self._destination(), **self._with_headers(0.15)} for _ in range(count)]
        chosen = draw.randrange(count)
        if count > 1:
            for place, one in enumerate(found):
                one["weight"] = draw.choice((1, 100)) if place == chosen else 0
        elif self._is(0.3):
            found[0]["weight"] = 100
        return found

    def _destination(self) -> dict:
        """A port may be left out where the service has one; a sidecar of Istio's looks no further than its listener."""
        draw = self._random
        if self._own and self._is(0.2):
            host = draw.choice(self._own)
            return {"host": host, **draw.choice(({}, {"port": {"number": self._port}}))}
        host = draw.choice(tuple(SERVICES))
        ports, subsets = SERVICES[host]
        port = {} if self._gateway != "mesh" and len(ports) == 1 and self._is(0.5) \
            else {"port": {"number": draw.choice(ports)}}
        subset = draw.choice(subsets) if subsets else ""
        if self._is(0.04):
            subset = "unknown"
        return {"host": host, **port, **({"subset": subset} if subset else {})}

    def _rewrite(self) -> dict:
        draw = self._random
        pair = draw.choice((("a", "b"), ("/([a-z]+)", r"/\1x"), ("[0-9]+$", "n")))
        uri = draw.choice(({}, {"uri": draw.choice(("/", "/new", "/new/"))},
                           {"uriRegexRewrite": {"match": pair[0], "rewrite": pair[1]}}))
        host = {"authority": "inner.local"} if not uri or self._is(0.3) else {}
        return uri | host

    def _redirect_of(self, blocks: list) -> dict:
        draw = self._random
        kinds = [one["uri"] for one in blocks if "uri" in one]
        choices = {"authority": "new.example", "scheme": draw.choice(("http", "https")),
                   "redirectCode": draw.choice(CODES)}
        found = {key: value for key, value in choices.items() if self._is(0.4)}
        found |= draw.choice(({}, {}, {"port": draw.choice((80, 443, 8443))}, {"derivePort": "FROM_REQUEST_PORT"},
                              {"derivePort": "FROM_PROTOCOL_DEFAULT"}))
        change = draw.choice(({}, {"uri": "/moved"}, {"uri": "/moved?x=1"}, {"prefixRewrite": "/new"}))
        if "prefixRewrite" in change and not all("prefix" in one for one in kinds):
            change = {"uri": "/moved"}
        found |= change
        return found if set(found) - {"redirectCode"} else found | {"uri": "/moved"}

    def _with_headers(self, share: float) -> dict:
        found = self._headers(share)
        return {"headers": found} if found else {}

    def _headers(self, share: float, may_set_host: bool = True) -> dict:
        found = {}
        for direction, names in (("request", (*FIELDS, NEW)), ("response", (ANSWER, NEW))):
            if self._is(share):
                found[direction] = self._edits(names)
        if may_set_host and self._is(share / 4):
            verb, name = self._random.choice((("set", "Host"), ("set", ":authority"), ("add", "host")))
            found.setdefault("request", {}).setdefault(verb, {})[name] = "edited.local"
        return found

    def _edits(self, names: tuple) -> dict:
        draw = self._random
        choices = {"set": {draw.choice(names): "s"}, "add": {draw.choice(names): "a"}, "remove": [draw.choice(names)]}
        found = {key: value for key, value in choices.items() if self._is(0.5)}
        return found or {"set": choices["set"]}
