"""From a format to one function that writes the line of an exchange; called when the sink is built.

Strategy: the format becomes one ``%`` of bytes (or one dict for JSON) in generated code. Values are not escaped one by
one: what is left of the line when harmless characters are taken out must be what the format itself has (its quotes
and line end). Only where it is not, the line is made anew with every value escaped (CVE-2024-45808: log injection).
Where ``render`` is compiled, it makes the lines of text instead, and calls the generated code for what is odd.
"""

import difflib
import functools
import json
import re
from collections.abc import Callable
from typing import Any

import msgspec

from meshd.api import MeshdError, Plugin, parse_template
from meshd_plugins.access_log.operator import OPERATORS
from meshd_plugins.access_log.render import make
from meshd_plugins.access_log.term import ANY, Term, function

ENVOY_FORMAT = (
    '[%START_TIME%] "%REQ(:METHOD)% %REQ(X-ENVOY-ORIGINAL-PATH?:PATH)% %PROTOCOL%" %RESPONSE_CODE% %RESPONSE_FLAGS% '
    '%BYTES_RECEIVED% %BYTES_SENT% %DURATION% %RESP(X-ENVOY-UPSTREAM-SERVICE-TIME)% "%REQ(X-FORWARDED-FOR)%" '
    '"%REQ(USER-AGENT)%" "%REQ(X-REQUEST-ID)%" "%REQ(:AUTHORITY)%" "%UPSTREAM_HOST%"\n'
)
"""Envoy's default format string."""

PLAIN = bytes(code for code in range(0x20, 0x7F) if code not in b'"\\')
_SPECIAL = re.compile(rb'[^\x20-\x7e]|["\\]')
_ESCAPES = {b"\n": b"\\n", b"\r": b"\\r", b"\t": b"\\t", b'"': b'\\"', b"\\": b"\\\\"}


def check(text: str) -> None:
    """Raise ValueError where a format cannot be; operators of other plugins are left to ``terms``."""
    for part in parse_template(text):
        if not isinstance(part, bytes) and part.name in OPERATORS:
            _built_in(part, None)


def terms(text: str, site: Any) -> list[str | Term]:
    """Split a format into literal text and Terms; raises ValueError, naming the nearest operator for an unknown one."""
    return [part.decode() if isinstance(part, bytes) else _term(part, site) for part in parse_template(text)]


def _built_in(call: Any, site: Any) -> Term:
    try:
        return OPERATORS[call.name].make(call.argument, site).cut(call.length)
    except ValueError as error:
        raise ValueError(f"%{call.name}%: {error}") from None


def _term(call: Any, site: Any) -> Term:
    if call.name in OPERATORS:
        return _built_in(call, site)
    try:
        foreign = site.build(Plugin(kind="access_log_operator", type=call.name, config=None, name=call.name))
    except (MeshdError, KeyError):
        near = difflib.get_close_matches(call.name, OPERATORS, 1, 0.0)
        raise ValueError(f"unknown operator %{call.name}%: the nearest is %{near[0]}%") from None
    name = f"foreign_{repr(call).encode().hex()}"
    return Term(f"{name}(x)", ANY, {name: foreign.compile(call.argument, call.length)})


def escape(value: bytes) -> bytes:
    """Return ``value`` in printable ASCII, without a bare quote or backslash."""
    return _SPECIAL.sub(lambda found: _ESCAPES.get(found[0]) or b"\\x%02x" % found[0][0], value)


def text_record(text: str, site: Any, write: Callable[[bytes], Any], matches: Callable | None = None) -> Callable:
    """Return a callable(exchange) that writes one line of text, where ``matches(exchange)``."""
    parts = terms(text if text.endswith("\n") else f"{text}\n", site)
    return make(parts, write, matches, functools.partial(_generate, parts))


def _generate(parts: list, write: Callable[[bytes], Any], matches: Callable | None) -> Callable:
    """Return the callable of ``text_record`` as a generated function, the only way where nothing is compiled."""
    names = _names(parts)
    literal = b"".join([part.encode() for part in parts if isinstance(part, str)])
    names |= {"template": _template(parts), "plain_set": PLAIN, "expected": literal.translate(None, PLAIN)}
    careful = function(f"return {_percent(parts, 'escape(%s)')}", names | {"escape": escape})
    test = "if line.translate(None, plain_set) != expected:\n    line = careful(x)"
    body = f"line = {_percent(parts, '%s')}\n{test}\nwrite(line)"
    return _record(body, names | {"careful": careful, "write": write}, matches)


def json_record(fields: tuple, site: Any, write: Callable[[bytes], Any], matches: Callable | None = None) -> Callable:
    """Return a callable(exchange) that writes one JSON object: numbers stay numbers, what is unset is null."""
    names: dict = {}
    rows = []
    for key, text in fields:
        parts = terms(text, site)
        names |= _names(parts)
        rows.append(f"{key!r}: {_value(parts, names)}")
    body = f"{{{', '.join(rows)}}}"
    careful = function(f"return dumps({body}).replace('\\x7f', '\\\\u007f').encode()", names | {"dumps": json.dumps})
    test = "if not line.isascii() or b'\\x7f' in line:\n    line = careful(x)"
    lines = f"line = encode({body})\n{test}\nwrite(line + newline)"
    names |= {"encode": msgspec.json.Encoder().encode, "careful": careful, "write": write, "newline": b"\n"}
    return _record(lines, names, matches)


def _record(body: str, names: dict, matches: Callable | None) -> Callable:
    guard = "if not matches(x):\n    return\n" if matches is not None else ""
    return function(guard + body, names | {"matches": matches})


def _names(parts: list) -> dict:
    found: dict = {}
    for part in parts:
        if isinstance(part, Term):
            found |= part.names
    return found


def _template(parts: list) -> bytes:
    """Return the left side of the ``%``; numbers that are always there are written by it."""
    found = [part.encode().replace(b"%", b"%%") if isinstance(part, str) else _slot(part) for part in parts]
    return b"".join(found)


def _slot(term: Term) -> bytes:
    return b"%d" if term.is_always else b"%b"


def _percent(parts: list, wrap: str) -> str:
    found = [part.code if part.is_always else wrap % part.as_bytes for part in parts if isinstance(part, Term)]
    return f"template % ({''.join(f'{code}, ' for code in found)})"


def _value(parts: list, names: dict) -> str:
    """Return the expression of one JSON value: typed where the text is one operator, else a string."""
    if len(parts) == 1 and isinstance(parts[0], Term):
        return parts[0].as_value
    name = f"template_{len(names)}"
    names[name] = _template(parts)
    return f"({_percent(parts, '%s').replace('template', name, 1)}).decode('utf-8', 'replace')"
