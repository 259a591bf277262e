"""``%OPERATOR(ARGUMENT):LENGTH%`` in header values and bodies: Envoy's command operators, the subset that edits need.

The text is split by ``parse_template``, which header mutation uses too; the operators are the router's own
(``operator_table``), not access-log plugins: the set is closed, so that it is judged with the line of the file when the
configuration is decoded, where there is no site to build a plugin with; values are bytes from end to end; and what
cannot vary (``fixed``, the environment) is ``bytes`` once the router is built. An operator without a value gives the
empty string (Envoy's formatter for headers omits empty values).
"""

import socket

from meshd.api import parse_template
from meshd_plugins.router.operator_table import OPERATORS, STATIC


def parse(text):
    """Return a tuple of parts: bytes, or a Call whose operator and argument are known. Raises ValueError."""
    parts = parse_template(text)
    for part in parts:
        if not isinstance(part, bytes):
            _judge(part)
    return parts


def _judge(call):
    if call.name in OPERATORS:
        OPERATORS[call.name](call.argument)
    elif call.name not in STATIC:
        names = ", ".join(sorted([*OPERATORS, *STATIC]))
        raise ValueError(f"unknown operator {call.name!r}: expected one of {names}")
    elif (call.name == "ENVIRONMENT") != bool(call.argument):
        what = "the name of a variable" if call.name == "ENVIRONMENT" else "no argument"
        raise ValueError(f"%{call.name}%: expected {what}")


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
        piece = part if isinstance(part, bytes) else _bind(part, context)
        if isinstance(piece, bytes) and pieces and isinstance(pieces[-1], bytes):
            pieces[-1] += piece
        else:
            pieces.append(piece)
    if not pieces:
        return b""
    return pieces[0] if len(pieces) == 1 else _join(tuple(pieces))


def _bind(part, context):
    static = context.static(part.name, part.argument)
    if static is not None:
        return static[:part.length]
    read = OPERATORS[part.name](part.argument)
    clock, length = context.clock, part.length

    def render(exchange):
        value = read(exchange, clock)
        return b"" if value is None else value[:length]

    return render


def _join(pieces):
    def render(exchange):
        return b"".join([piece if piece.__class__ is bytes else piece(exchange) for piece in pieces])

    return render
