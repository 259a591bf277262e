"""The operators of substitutions: name -> maker(argument) -> callable(exchange, clock) -> bytes or None.

Read by ``substitution``. A maker raises ValueError where its argument is wrong. The meanings are Envoy's.
"""

import re
from datetime import datetime, timezone

from meshd.api import flag

ISO = "%Y-%m-%dT%H:%M:%S.%3fZ"
PROTOCOLS = {10: b"HTTP/1.0", 11: b"HTTP/1.1", 20: b"HTTP/2"}
STATIC = ("ENVIRONMENT", "HOSTNAME")
_FRACTION = re.compile(r"%([1-9])f")
_FIELD = re.compile(r":?[!#$%&'*+.^_`|~0-9A-Za-z-]+")


def pseudo_or_field(head, name):
    """Return a request's field or pseudo header, or None."""
    if name == b":authority" or name == b"host":
        return head.host
    if name == b":path":
        return head.target
    if name == b":method":
        return head.method
    return head.scheme if name == b":scheme" else head.headers.get(name)


def _names(argument):
    names = [name.strip() for name in (argument or "").split("?")]
    if not 1 <= len(names) <= 2 or not all(_FIELD.fullmatch(name) for name in names):
        raise ValueError(f"expected a field name, or FIRST?SECOND, got {argument!r}")
    return [name.lower().encode() for name in names]


def _request_field(argument):
    names = _names(argument)

    def read(exchange, clock):
        for name in names:
            value = pseudo_or_field(exchange.request, name)
            if value:
                return value
        return None

    return read


def _response_field(argument):
    names = _names(argument)

    def read(exchange, clock):
        response = exchange.response
        if response is None:
            return None
        for name in names:
            value = b"%d" % response.status if name == b":status" else response.headers.get(name)
            if value:
                return value
        return None

    return read


def _start_time(argument):
    layout = argument or ISO
    datetime(2000, 1, 1).strftime(layout)

    def read(exchange, clock):
        moment = datetime.fromtimestamp(clock.wall() - (clock.now() - exchange.started), timezone.utc)
        digits = f"{moment.microsecond:06d}000"
        text = _FRACTION.sub(lambda found: digits[:int(found.group(1))], layout)
        return moment.strftime(text).encode()

    return read


def _plain(read):
    """Make the maker of an operator without an argument."""

    def make(argument):
        if argument:
            raise ValueError(f"expected no argument, got {argument!r}")
        return lambda exchange, clock: read(exchange)

    return make


def _host(address):
    return address.rpartition(":")[0].strip("[]").encode() if not address.startswith("unix:") else address.encode()


def _port(address):
    return address.rpartition(":")[2].encode() if not address.startswith("unix:") else None


def _code(exchange):
    return None if exchange.response is None else b"%d" % exchange.response.status


def _name(thing):
    return None if thing is None else thing.name.encode()


OPERATORS = {
    "REQ": _request_field,
    "RESP": _response_field,
    "START_TIME": _start_time,
    "PROTOCOL": _plain(lambda exchange: PROTOCOLS.get(exchange.request.version)),
    "DOWNSTREAM_REMOTE_ADDRESS": _plain(lambda exchange: exchange.peer.encode()),
    "DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT": _plain(lambda exchange: exchange.client.encode()),
    "DOWNSTREAM_REMOTE_PORT": _plain(lambda exchange: _port(exchange.peer)),
    "DOWNSTREAM_DIRECT_REMOTE_ADDRESS_WITHOUT_PORT": _plain(lambda exchange: _host(exchange.peer)),
    "DOWNSTREAM_LOCAL_ADDRESS": _plain(lambda exchange: exchange.local.encode()),
    "DOWNSTREAM_LOCAL_ADDRESS_WITHOUT_PORT": _plain(lambda exchange: _host(exchange.local)),
    "DOWNSTREAM_LOCAL_PORT": _plain(lambda exchange: _port(exchange.local)),
    "UPSTREAM_HOST": _plain(lambda exchange: exchange.endpoint and exchange.endpoint.address.encode()),
    "UPSTREAM_CLUSTER": _plain(lambda exchange: _name(exchange.cluster)),
    "UPSTREAM_LOCAL_ADDRESS": _plain(lambda exchange: exchange.upstream_local.encode()),
    "UPSTREAM_REQUEST_ATTEMPT_COUNT": _plain(lambda exchange: b"%d" % exchange.attempts),
    "RESPONSE_CODE": _plain(_code),
    "RESPONSE_CODE_DETAILS": _plain(lambda exchange: exchange.detail.encode()),
    "RESPONSE_FLAGS": _plain(lambda exchange: flag.text(exchange.flags).encode()),
    "ROUTE_NAME": _plain(lambda exchange: _name(exchange.route)),
    "CONNECTION_ID": _plain(lambda exchange: b"%d" % exchange.connection_id),
    "STREAM_ID": _plain(lambda exchange: b"%d" % exchange.stream_id),
}
