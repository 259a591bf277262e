"""The built-in operators, Envoy's command operators, by name; read by ``line`` and by the plugin's hook.

A maker takes (argument or None, site) and returns a Term; it raises ValueError where the argument is wrong.
"""

import json
import re
import socket
from collections.abc import Callable
from types import FunctionType
from typing import Any

import attrs
from zope.interface import implementer

from meshd.api import IAccessLogOperator, flag, grpc, value_of
from meshd_plugins.access_log import secure
from meshd_plugins.access_log.stamp import Layout, make_stamp
from meshd_plugins.access_log.term import BYTES, NUMBER, TEXT, Term, sound

PROTOCOLS = {10: b"HTTP/1.0", 11: b"HTTP/1.1", 20: b"HTTP/2"}
_OF_REQUEST = {":method": "method", ":path": "target", ":authority": "host", "host": "host", ":scheme": "scheme"}
_FIELD = re.compile(r"[!#$%&'*+.^_`|~0-9a-z-]+")
_SERVICE_TIME = "(b'%d' % int((x.response_began - x.upstream_began) * 1000) if x.response_began else None)"


@attrs.frozen
class Operator:
    """One row: ``make(argument, site)`` returns a Term; ``doc`` is its line in the reference."""

    make: Callable[[str | None, Any], Term]
    doc: str


OPERATORS: dict[str, Operator] = {}


@implementer(IAccessLogOperator)
class BuiltIn:
    """A built-in operator as other plugins get it: ``site.build`` of kind access_log_operator."""

    def __init__(self, name: str, site: Any) -> None:
        self._name = name
        self._site = site

    def compile(self, argument: str | None, length: int | None) -> Callable[[Any], Any]:
        """Return a callable(exchange) -> str, int, float or None."""
        return OPERATORS[self._name].make(argument, self._site).cut(length).getter()


def _operator(name: str, doc: str) -> Callable:
    def add(make: Callable) -> Callable:
        OPERATORS[name] = Operator(make, doc)
        return make

    return add


def _plain(
    name: str, code: str, kind: str, doc: str, *, is_always: bool = False, step: tuple = (), **names: Any
) -> None:
    term = Term(code, kind, names, is_always, (step,) if step else ())

    def make(argument: str | None, site: Any) -> Term:
        if argument:
            raise ValueError(f"expected no argument, got {argument!r}")
        return term

    OPERATORS[name] = Operator(make, doc)


def _unset(names: str, doc: str) -> None:
    for name in names.split():
        OPERATORS[name] = Operator(lambda argument, site: Term("None", TEXT), doc)


def _fields(argument: str | None) -> list[str]:
    names = [name.strip().lower() for name in (argument or "").split("?")]
    known = (*_OF_REQUEST, ":status")
    if not 1 <= len(names) <= 2 or not all(name in known or _FIELD.fullmatch(name) for name in names):
        raise ValueError(f"expected NAME or NAME?OTHER, got {argument!r}")
    return names


def _request_fields(argument: str | None) -> list[str]:
    names = _fields(argument)
    if ":status" in names:
        raise ValueError("expected a request's field, got ':status'")
    return names


def _request_codes(argument: str | None) -> list[str]:
    names = _request_fields(argument)
    return [f"q.{_OF_REQUEST[name]}" if name in _OF_REQUEST else _request_field(name) for name in names]


def _request_field(name: str) -> str:
    """Return ``Headers.get`` without its method, and in place where even that call is Python's."""
    needle = _needle(name)
    if not isinstance(value_of, FunctionType):
        return f"value_of(raw, low, {needle!r})"
    find = f"(i := low.find({needle!r})) >= 0"
    return f"(raw[(i := i + {len(needle)}):raw.find(crlf, i)].strip(b' \\t') if {find} else None)"


def _needle(name: str) -> bytes:
    return b"\r\n%b:" % name.encode()


def _request_step(name: str) -> tuple:
    return ("request", (_OF_REQUEST[name],)) if name in _OF_REQUEST else ("request_field", _needle(name))


@_operator("REQ", "a request field, or another one: `REQ(X-A?:PATH)`; also `:METHOD :PATH :AUTHORITY :SCHEME`")
def _request(argument: str | None, site: Any) -> Term:
    steps = tuple(_request_step(name) for name in _request_fields(argument))
    return Term("(" + " or ".join(_request_codes(argument)) + ")", BYTES, steps=steps)


@_operator("REQ_WITHOUT_QUERY", "as REQ, less what follows `?` in the value")
def _request_without_query(argument: str | None, site: Any) -> Term:
    return Term(f"(({' or '.join(_request_codes(argument))}) or b'').partition(b'?')[0]", BYTES)


@_operator("RESP", "a response field, or another one; `X-ENVOY-UPSTREAM-SERVICE-TIME` is measured, as in Envoy")
def _response(argument: str | None, site: Any) -> Term:
    codes = []
    steps = []
    for name in _fields(argument):
        if name in _OF_REQUEST and name != "host":
            raise ValueError(f"expected a response's field, got {name!r}")
        get = "b'%d' % r.status" if name == ":status" else f"r.headers.get({name.encode()!r})"
        is_measured = name == "x-envoy-upstream-service-time"
        codes.append(_SERVICE_TIME if is_measured else f"(r and {get})")
        steps.append(("service_time", None) if is_measured else ("response_field", _needle(name)))
    usable = () if ("response_field", _needle(":status")) in steps else tuple(steps)
    return Term("(" + " or ".join(codes) + ")", BYTES, steps=usable)


@_operator("TRAILER", "a field of the response's trailers, or another one: `TRAILER(GRPC-STATUS?X-STATUS)`")
def _trailer(argument: str | None, site: Any) -> Term:
    codes = [f"x.trailers.get({name.encode()!r})" for name in _fields(argument)]
    return Term(f"(({' or '.join(codes)}) if x.trailers is not None else None)", BYTES)


@_operator("START_TIME", "when the request began, UTC: strftime's layout with `%s`, `%f` and `%1f` to `%9f`")
def _start_time(argument: str | None, site: Any) -> Term:
    return _stamp("stamp", argument, site, False)


@_operator("START_TIME_LOCAL", "the same in the machine's time zone")
def _start_time_local(argument: str | None, site: Any) -> Term:
    return _stamp("stamp_local", argument, site, True)


def _stamp(prefix: str, argument: str | None, site: Any, is_local: bool) -> Term:
    layout = Layout(argument or "", None if site is None else site.clock, is_local)
    name = f"{prefix}_{(argument or '').encode().hex()}"
    steps = (("stamp", layout),) if len(layout.digits) == 1 else ()
    return Term(f"{name}(x.started)", BYTES, {name: make_stamp(layout)}, steps=steps)


@_operator("ENVIRONMENT", "a variable of the process's environment: `ENVIRONMENT(NAME)`")
def _environment(argument: str | None, site: Any) -> Term:
    if not argument:
        raise ValueError("expected the name of a variable")
    value = "" if site is None else site.environment.get(argument, "")
    return Term(repr(sound(value)), TEXT)


def _path(argument: str | None) -> tuple:
    path = tuple((argument or "").split(":"))
    if not all(path):
        raise ValueError(f"expected NAMESPACE or NAMESPACE:KEY, got {argument!r}")
    return path


@_operator("DYNAMIC_METADATA", "what a plugin noted: `DYNAMIC_METADATA(plugin:key)`; JSON where it is not text")
def _metadata(argument: str | None, site: Any) -> Term:
    return Term(f"noted(x.metadata, {_path(argument)!r})", TEXT, {"noted": noted})


@_operator("FILTER_STATE", "what a plugin noted under this key: `FILTER_STATE(plugin)`")
def _filter_state(argument: str | None, site: Any) -> Term:
    path = _path(argument)
    if path[-1] in ("PLAIN", "TYPED"):
        path = path[:-1]
    return Term(f"noted(x.metadata, {path!r})", TEXT, {"noted": noted})


@_operator("GRPC_STATUS", "how a gRPC call ended, by its trailers, head or HTTP status: CamelCase, or `SNAKE_STRING`, "
           "or `NUMBER`")
def _grpc_status(argument: str | None, site: Any) -> Term:
    style = argument or "CAMEL_STRING"
    if style == "NUMBER":
        return _grpc_number(None, site)
    if style not in ("CAMEL_STRING", "SNAKE_STRING"):
        raise ValueError(f"expected CAMEL_STRING, SNAKE_STRING or NUMBER, got {argument!r}")
    return Term(f"grpc_name(x, {style == 'CAMEL_STRING'})", TEXT, {"grpc_name": grpc_name})


@_operator("GRPC_STATUS_NUMBER", "the same as a number")
def _grpc_number(argument: str | None, site: Any) -> Term:
    return Term("grpc_number(x)", NUMBER, {"grpc_number": grpc_number})


@_operator("PLUGIN_DURATION", "milliseconds that a plugin took, on requests that are timed: `PLUGIN_DURATION(cors)`")
def _plugin_duration(argument: str | None, site: Any) -> Term:
    if not argument:
        raise ValueError("expected the name of a plugin")
    return Term(f"spent(x, {argument!r})", NUMBER, {"spent": spent})


def noted(metadata: dict, path: tuple) -> str | None:
    """Return what stands under ``path`` of nested dicts as text, or None."""
    found: Any = metadata
    for key in path:
        found = found.get(key) if isinstance(found, dict) else None
    return sound(found) if found is None or isinstance(found, str) else json.dumps(found, default=str)


def grpc_number(exchange: Any) -> int | None:
    """Return the status of a gRPC call, None where this is none or has had no answer."""
    if exchange.request is None or not grpc.is_grpc(exchange.request.headers):
        return None
    return grpc.status_of(exchange.response, exchange.trailers, grpc.ANY)


def grpc_name(exchange: Any, is_camel: bool) -> str | None:
    """Return its name, its number where it has none."""
    number = grpc_number(exchange)
    if number is None or not 0 <= number <= grpc.LAST:
        return None if number is None else str(number)
    name = grpc.NAMES[number]
    if not is_camel or number == 0:
        return name
    return "Canceled" if number == 1 else name.title().replace("_", "")


def spent(exchange: Any, name: str) -> float | None:
    """Return the milliseconds of a plugin on a timed exchange, None on the others."""
    durations = getattr(exchange, "durations", None)
    return round(durations[name] * 1000, 3) if durations and name in durations else None


def host_of(address: str) -> str:
    """Return an address less its port."""
    return address if address.startswith("unix:") else address.rpartition(":")[0].strip("[]")


def port_of(address: str) -> int | None:
    """Return the port of an address, None where it has none."""
    port = address.rpartition(":")[2]
    return int(port) if port.isdigit() and not address.startswith("unix:") else None


def remote(exchange: Any) -> str:
    """Return the client's address; with port 0, as Envoy has it, where x-forwarded-for named another than the peer."""
    client = exchange.client
    if client == host_of(exchange.peer):
        return exchange.peer
    return f"[{client}]:0" if ":" in client else f"{client}:0"


def _addresses() -> None:
    """Add the operators of the connections' addresses: each whole, without port, and its port."""
    where = {
        "DOWNSTREAM_REMOTE": ("remote(x)", "the client, by x-forwarded-for and trusted hops"),
        "DOWNSTREAM_DIRECT_REMOTE": ("x.peer", "the peer of the downstream socket"),
        "DOWNSTREAM_LOCAL": ("x.local", "our address on the downstream connection"),
        "UPSTREAM_REMOTE": ("(x.endpoint.address if x.endpoint else '')", "the endpoint"),
        "UPSTREAM_LOCAL": ("x.upstream_local", "our address on the upstream connection"),
    }
    names = {"remote": remote, "host_of": host_of, "port_of": port_of}
    for name, (code, doc) in where.items():
        _plain(f"{name}_ADDRESS", code, TEXT, doc, **names)
        short = "x.client" if name == "DOWNSTREAM_REMOTE" else f"host_of({code})"
        _plain(f"{name}_ADDRESS_WITHOUT_PORT", short, TEXT, f"{doc}, without port", **names)
        _plain(f"{name}_PORT", f"port_of({code})", NUMBER, f"{doc}: its port", **names)


def _ms(end: str, begin: str) -> str:
    return f"(int(({end} - {begin}) * 1000) if {end} else None)"


_addresses()
_plain("PROTOCOL", "protocols.get(q.version)", BYTES, "the downstream's protocol", protocols=PROTOCOLS,
       step=("protocol", PROTOCOLS))
_plain("METHOD", "q.method", BYTES, "the method: `REQ(:METHOD)`", step=("request", ("method",)))
_plain("RESPONSE_CODE", "(r.status if r is not None else 0)", NUMBER, "the status, 0 where there was none",
       is_always=True, step=("status", None))
_plain("RESPONSE_CODE_DETAILS", "sound(x.detail).replace(' ', '_')", TEXT, "why there was this status (Envoy's words)",
       sound=sound)
_plain("RESPONSE_FLAGS", "flags(x.flags)", TEXT, "response flags, short: `UF,URX`", flags=flag.text,
       step=("flags", flag.text))
_plain("RESPONSE_FLAGS_LONG", "long_flags(x.flags)", TEXT, "response flags, long", long_flags=flag.long_text)
_plain("BYTES_RECEIVED", "x.request_bytes", NUMBER, "body bytes from downstream", is_always=True,
       step=("number", ("request_bytes",)))
_plain("BYTES_SENT", "x.response_bytes", NUMBER, "body bytes to downstream", is_always=True,
       step=("number", ("response_bytes",)))
_plain("DURATION", "int(((x.ended or x.started) - x.started) * 1000)", NUMBER,
       "milliseconds from the first byte to the end", is_always=True, step=("duration", None))
_plain("REQUEST_DURATION", _ms("x.request_ended", "x.started"), NUMBER, "milliseconds to the request's last byte")
_plain("RESPONSE_DURATION", _ms("x.response_began", "x.started"), NUMBER, "milliseconds to the upstream's first byte")
_plain("RESPONSE_TX_DURATION", "(int((x.ended - x.response_began) * 1000) if x.response_began else None)", NUMBER,
       "milliseconds from the upstream's first byte to the end")
_plain("UPSTREAM_HOST", "(x.endpoint.address if x.endpoint else None)", TEXT, "the endpoint of the last attempt",
       step=("text_of", ("endpoint", "address")))
_plain("UPSTREAM_CLUSTER", "(x.cluster.name if x.cluster else None)", TEXT, "the cluster",
       step=("text_of", ("cluster", "name")))
_plain("UPSTREAM_CLUSTER_RAW", "(x.cluster.name if x.cluster else None)", TEXT, "the cluster's own name")
_plain("UPSTREAM_TRANSPORT_FAILURE_REASON", "sound(x.failure)", TEXT, "why the connection to the upstream failed",
       sound=sound)
_plain("UPSTREAM_REQUEST_ATTEMPT_COUNT", "x.attempts", NUMBER, "attempts made", is_always=True,
       step=("number", ("attempts",)))
_plain("ROUTE_NAME", "(x.route.name if x.route else None)", TEXT, "the route",
       step=("text_of", ("route", "name")))
_plain("CONNECTION_ID", "x.connection_id", NUMBER, "the downstream connection's number", is_always=True,
       step=("number", ("connection_id",)))
_plain("STREAM_ID", "x.stream_id", NUMBER, "the request's number", is_always=True, step=("number", ("stream_id",)))
_plain("HOSTNAME", repr(socket.gethostname()), TEXT, "this machine's name")
_plain("IDENTITY", "sound(x.identity.name if x.identity else None)", TEXT, "the authenticated caller (meshd's own)",
       sound=sound)
_unset("VIRTUAL_CLUSTER_NAME CONNECTION_TERMINATION_DETAILS", "unset")
for _name, _code, _doc in secure.rows():
    _plain(_name, f"sound({_code})", TEXT, _doc, sound=sound, **secure.FUNCTIONS)
