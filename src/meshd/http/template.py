"""Text with ``%OPERATOR(argument):length%`` in it, compiled to a callable(exchange) -> bytes.

Header mutation compiles with it at build time; the router and access logs take ``parse`` alone:

    render = compile_template("user %REQ(x-user):16% over %PROTOCOL%", operator)
    value = render(exchange)

``operator(name)`` returns an ``IAccessLogOperator`` (``site.build`` of kind ``access_log_operator``) or raises
ValueError. ``%REQ(NAME?OTHER)%`` is read here, as bytes, so that values that are not UTF-8 pass as they came. ``%%`` is
a percent sign.
An operator without a value gives ``unset``. CR, LF and NUL never come out of an operator (header injection).
"""

import re
from collections.abc import Callable
from operator import attrgetter
from typing import Any

import attrs

_PART = re.compile(r"%(?:%|([A-Z][A-Z0-9_]*)(?:\(((?:[^()]|\([^()]*\))*)\))?(?::([0-9]{1,6}))?%)")
_UNSAFE = b"\r\n\0"
_PSEUDO = {":method": "method", ":path": "target", ":authority": "host", ":scheme": "scheme"}
Render = Callable[[Any], bytes]


@attrs.frozen
class Call:
    """One operator of a template; ``length`` is in characters (bytes for REQ), None where it is not cut."""

    name: str
    argument: str | None
    length: int | None


def parse(text: str) -> tuple[bytes | Call, ...]:
    """Split ``text`` into literal bytes and Calls; raises ValueError at a ``%`` that opens nothing."""
    parts: list[bytes | Call] = []
    position = 0
    literal = ""
    while (mark := text.find("%", position)) >= 0:
        found = _PART.match(text, mark)
        if found is None:
            where = f"character {mark + 1}: {text[mark:mark + 20]!r}"
            raise ValueError(f"{where}: expected %OPERATOR%, %OPERATOR(argument):length% or %%")
        literal += text[position:mark]
        position = found.end()
        if found[1] is None:
            literal += "%"
            continue
        if literal:
            parts.append(literal.encode())
        literal = ""
        parts.append(Call(found[1], found[2], int(found[3]) if found[3] else None))
    literal += text[position:]
    return (*parts, literal.encode()) if literal else tuple(parts)


def is_constant(parts: tuple[bytes | Call, ...]) -> bool:
    """Say whether ``parse`` found no operator."""
    return not any(isinstance(part, Call) for part in parts)


def compile_template(text: str, operator: Callable[[str], Any], unset: bytes = b"") -> Render:
    """Return a callable(exchange) -> bytes; raises ValueError where ``text`` or an operator's argument is wrong."""
    renders = [_render(part, operator, unset) for part in parse(text)]
    if len(renders) == 1:
        return renders[0]
    return lambda exchange: b"".join([render(exchange) for render in renders])


def _render(part: bytes | Call, operator: Callable[[str], Any], unset: bytes) -> Render:
    if isinstance(part, bytes):
        return lambda exchange: part
    if part.name == "REQ":
        return _request_field(part, unset)
    value = operator(part.name).compile(part.argument, part.length)
    return lambda exchange: _to_bytes(value(exchange), unset)


def _to_bytes(value: str | int | float | None, unset: bytes) -> bytes:
    if value is None:
        return unset
    text = value if isinstance(value, str) else str(value)
    return text.encode("utf-8", "surrogateescape").translate(None, _UNSAFE)


def _request_field(call: Call, unset: bytes) -> Render:
    names = [name.strip().lower() for name in (call.argument or "").split("?")]
    if not 1 <= len(names) <= 2 or not all(names):
        raise ValueError(f"%REQ({call.argument or ''})%: expected REQ(NAME) or REQ(NAME?OTHER)")
    readers = [_field_reader(name) for name in names]
    length = call.length

    def read(exchange: Any) -> bytes:
        for reader in readers:
            value = reader(exchange.request)
            if value:
                return value[:length]
        return unset

    return read


def _field_reader(name: str) -> Callable[[Any], bytes | None]:
    if name in _PSEUDO:
        return attrgetter(_PSEUDO[name])
    if name.startswith(":"):
        raise ValueError(f"%REQ({name})%: unknown pseudo-header: expected one of {', '.join(sorted(_PSEUDO))}")
    encoded = name.encode()
    return lambda request: request.headers.get(encoded)
