"""``%OPERATOR(ARGUMENT):LENGTH%`` in header values and bodies: Envoy's command operators, the subset that edits need.

A text is parsed when the configuration is checked, and compiled when the router is built: to ``bytes`` where nothing
varies, else to a function of the exchange. An operator without a value gives the empty string (Envoy's formatter for
headers omits empty values).
"""

import re
import socket

from meshd_plugins.router.operator_table import OPERATORS, STATIC

_PERCENT = re.compile(r"%(?:%|([A-Z][A-Z0-9_]*)(?:\(([^)]*)\))?(?::([0-9]{1,5}))?%)?")


def parse(text):
    """Return a tuple of parts: str, or (operator, argument or None, length or None). Raises ValueError."""
    parts, literal, end = [], [], 0
    for found in _PERCENT.finditer(text):
        literal.append(text[end:found.start()])
        end = found.end()
        if found.group() == "%%":
            literal.append("%")
            continue
        parts.append("".join(literal))
        literal.clear()
        parts.append(_operator(found, text))
    parts.append("".join(literal) + text[end:])
    return tuple(part for part in parts if part)


def _operator(found, text):
    name, argument, length = found.groups()
    if name is None:
        raise ValueError(f"a lone % in {text!r}: expected %OPERATOR%, or %% for a percent sign")
    if name not in OPERATORS and name not in STATIC:
        names = ", ".join(sorted([*OPERATORS, *STATIC]))
        raise ValueError(f"unknown operator {name!r}: expected one of {names}")
    if name in OPERATORS:
        OPERATORS[name](argument)
    elif (name == "ENVIRONMENT") != bool(argument):
        raise ValueError(f"%{name}%: expected {'the name of a variable' if name == 'ENVIRONMENT' else 'no argument'}")
    return name, argument, None if length is None else int(length)


class Context:
    """What a text may use at build time: the process's environment, and ``fixed`` values by operator's name."""

    __slots__ = ("environment", "clock", "fixed")

    def __init__(self, environment, clock=None, fixed=()):
        self.environment = environment
        self.clock = clock
        self.fixed = dict(fixed)

    def static(self, name, argument):
        """Return the bytes of an operator that cannot change any more, or None."""
        if name in self.fixed:
            return self.fixed[name]
        if name == "ENVIRONMENT":
            value = self.environment.get(argument, "").encode("utf-8", "surrogateescape")
            return value.translate(None, b"\r\n\0")
        return socket.gethostname().encode() if name == "HOSTNAME" else None


def compile_text(text, context):
    """Return ``bytes``, or a callable(exchange) -> bytes where the text varies."""
    pieces = []
    for part in parse(text):
        piece = part.encode() if isinstance(part, str) else _bind(part, context)
        if isinstance(piece, bytes) and pieces and isinstance(pieces[-1], bytes):
            pieces[-1] += piece
        else:
            pieces.append(piece)
    if not pieces:
        return b""
    return pieces[0] if len(pieces) == 1 else _join(tuple(pieces))


def _bind(part, context):
    name, argument, length = part
    static = context.static(name, argument)
    if static is not None:
        return static[:length]
    read = OPERATORS[name](argument)
    clock = context.clock

    def render(exchange):
        value = read(exchange, clock)
        return b"" if value is None else value[:length]

    return render


def _join(pieces):
    def render(exchange):
        return b"".join([piece if piece.__class__ is bytes else piece(exchange) for piece in pieces])

    return render
