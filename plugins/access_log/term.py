"""What an operator compiles to: a Python expression over one exchange, so that a whole line becomes one function.

In the expression ``x`` is the exchange, ``q`` its request (never None), ``r`` the response or None; ``raw`` and ``low``
are the request's field lines, each ended by CRLF, and the same in lower case; ``i`` is a scratch number. The usual
operators say in ``steps`` too what they are, for ``render.pyx``, which makes the line without calling Python.
"""

from collections.abc import Callable
from typing import Any

import attrs

from meshd.api import Headers, RequestHead, value_of

BYTES = "bytes"
TEXT = "text"
NUMBER = "number"
ANY = "any"
NOBODY = RequestHead(b"", b"", b"", 0, Headers())
"""Stands for the request of an exchange that broke HTTP before there was one."""


@attrs.frozen
class Term:
    """``code`` gives None or an empty value where the thing is unset; ``names`` are what it refers to.

    ``is_always``: a number that is always there. Text must be encodable: see ``sound``. ``steps``: pairs of a name in
    ``render.pyx`` and its argument that do what ``code`` does, each tried in turn; none where only ``code`` can.
    """

    code: str
    kind: str
    names: dict = attrs.field(factory=dict)
    is_always: bool = False
    steps: tuple = ()

    def cut(self, length: int | None) -> "Term":
        """Return the term limited to ``length`` bytes or characters."""
        if length is None or self.kind == NUMBER:
            return self
        if self.kind == ANY:
            return self  # an operator of another plugin was told the length
        empty = "b''" if self.kind == BYTES else "''"
        return attrs.evolve(self, code=f"(({self.code}) or {empty})[:{length}]", steps=())

    @property
    def as_bytes(self) -> str:
        """The expression of the value in a line of text, ``-`` where unset."""
        if self.kind == BYTES:
            return f"({self.code} or b'-')"
        if self.kind == TEXT:
            return f"({self.code} or '-').encode()"
        return f"b'%d' % ({self.code})" if self.is_always else f"plain({self.code})"

    @property
    def as_value(self) -> str:
        """The expression of the value in JSON: a string, a number or None."""
        if self.kind == BYTES:
            return f"decoded({self.code})"
        return f"({self.code}) or None" if self.kind == TEXT else self.code

    def getter(self) -> Callable[[Any], Any]:
        """Return a callable(exchange) -> str, int, float or None: what IAccessLogOperator promises."""
        return function(f"return {self.as_value}", self.names)

    def text_getter(self) -> Callable[[Any], bytes]:
        """Return a callable(exchange) -> what stands in a line of text, not yet escaped."""
        return function(f"return {self.as_bytes}", self.names)


def plain(value: Any) -> bytes:
    """Return the text of a number, or of what an operator of another plugin gave."""
    return b"-" if value is None or value == "" else str(value).encode("utf-8", "replace")


def decoded(value: bytes | None) -> str | None:
    """Return a header's value as text, None where unset."""
    return value.decode("utf-8", "replace") if value else None


def sound(text: str | None) -> str | None:
    """Return ``text`` without lone surrogates, as they come from bytes that were no UTF-8."""
    return text and text.encode("utf-8", "replace").decode()


def function(body: str, names: dict) -> Callable[[Any], Any]:
    """Compile ``body`` as a function of one exchange."""
    space = {"nobody": NOBODY, "plain": plain, "decoded": decoded, "value_of": value_of, "crlf": b"\r\n", **names}
    opening = "    q = x.request or nobody\n    r = x.response\n"
    if "raw[" in body or "(raw, low" in body:
        opening += "    raw = q.headers.raw + crlf\n    low = q.headers.low\n"
    lines = "".join(f"    {line}\n" for line in body.split("\n"))
    # every expression is ours; what a configuration or a peer says comes in as a literal (repr) or a value
    exec(compile(f"def made(x):\n{opening}{lines}", "<access log>", "exec"), space)
    return space.pop("made")  # no circle: what a reload froze is freed by reference counts alone
