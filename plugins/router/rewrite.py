"""Path and Host rewrites compiled to closures; what the path was is kept in ``x-envoy-original-path``."""

import re

from meshd.api import BadRegex, compile_regex
from meshd_plugins.router.edit import set_host

ORIGINAL_PATH = b"x-envoy-original-path"
_REFERENCE = re.compile(r"\\([0-9\\])")


def regex_rewrite_fault(pattern, substitution):
    """Return what is wrong with a substitution for ``pattern``, or ''. A bad pattern is somebody else's fault."""
    try:
        groups = compile_regex(pattern).groups
    except BadRegex:
        return ""
    position = substitution.find("\\")
    while position >= 0:
        mark = substitution[position + 1:position + 2]
        if mark != "\\" and not mark.isdecimal():
            return f"expected a digit or a backslash after \\, got {mark!r}"
        if mark.isdecimal() and int(mark) > groups:
            return f"expected at most \\{groups}, as the pattern has {groups} groups, got \\{mark}"
        position = substitution.find("\\", position + 2)
    return ""


def compile_rewrite(route):
    """Return a callable(exchange) that rewrites Host and path as ``route`` (config) says, or None."""
    steps = [step for step in (_host_rewrite(route), _path_rewrite(route)) if step is not None]
    if len(steps) < 2:
        return steps[0] if steps else None
    first, second = steps

    def rewrite(exchange):
        first(exchange)
        second(exchange)

    return rewrite


def _host_rewrite(route):
    if route.host_rewrite is not None:
        host = route.host_rewrite.encode()
        return lambda exchange: set_host(exchange.request, host)
    if route.host_rewrite_header is None:
        return None
    name = route.host_rewrite_header.lower().encode()

    def rewrite(exchange):
        value = exchange.request.headers.get(name)
        if value:
            set_host(exchange.request, value)

    return rewrite


def _path_rewrite(route):
    change = path_change(route)
    if change is None:
        return None

    def rewrite(exchange):
        request = exchange.request
        old, path = request.target, request.path
        request.headers.set(ORIGINAL_PATH, old)
        new = change(path)
        request.set_target((new if new[:1] == b"/" else b"/" + new) + old[len(path):])

    return rewrite


def path_change(route):
    """Return a callable(path) -> path, or None."""
    if route.prefix_rewrite is not None:
        return prefix_change(route.match, route.prefix_rewrite.encode())
    if route.path_rewrite is not None:
        path = route.path_rewrite.encode()
        return lambda old: path
    if route.regex_rewrite is None:
        return None
    pattern = compile_regex(route.regex_rewrite.pattern)
    pieces = _pieces(route.regex_rewrite.substitution)
    return lambda old: _substitute(pattern, pieces, old)


def prefix_change(match, new):
    """Return a callable(path) that puts ``new`` where the prefix of ``match`` stands; or all of another match."""
    prefix = match.prefix if match.prefix is not None else match.path_separated_prefix
    if prefix is None:
        return lambda old: new
    length = len(prefix.encode())
    return lambda old: new + old[length:]


def _substitute(pattern, pieces, text):
    """Replace every occurrence; groups that took no part are empty (RE2's GlobalReplace)."""
    out, end = [], 0
    for found in pattern.finditer(text):
        out.append(text[end:found.start()])
        out += [piece if piece.__class__ is bytes else found.group(piece) or b"" for piece in pieces]
        end = found.end()
    out.append(text[end:])
    return b"".join(out)


def _pieces(substitution):
    """Split a substitution into bytes and group numbers."""
    parts = _REFERENCE.split(substitution)
    pieces = [part.encode() for part in parts]
    pieces[1::2] = [b"\\" if mark == "\\" else int(mark) for mark in parts[1::2]]
    return tuple(piece for piece in pieces if piece != b"")
