"""The conditions of a route as configured."""

import attrs

from meshd.api import Boolean, Integer, ListOf, Nested, Regex, Text, config, option

PATHS = ("path", "prefix", "path_separated_prefix", "regex")
VALUES = ("exact", "prefix", "suffix", "contains", "regex")
ROUTED_PATH = Text(pattern=r"/[^?#\s]*|\*", maximum=8192)


def given(options, names):
    """Return those of ``names`` that are not None."""
    return [name for name in names if getattr(options, name) is not None]


def _one_condition(options, names):
    found = given(options, names)
    if len(found) > 1:
        yield found[1], f"expected at most one of {', '.join(names)}, got {', '.join(found)}"


@config
class Range:
    """Whole numbers from ``start`` (in) to ``end`` (out)."""

    start: int = option(Integer(minimum=-(2**63)), doc="first number that matches")
    end: int = option(Integer(minimum=-(2**63)), doc="first number after them")

    def check(self):
        """Yield a fault for an empty range."""
        if self.end <= self.start:
            yield "end", f"expected more than start ({self.start}), got {self.end}"


@config
class HeaderMatch:
    """A condition on a request field; without one, the field must be there. Several lines are joined by commas."""

    name: str = option(
        Text(pattern=r":(?:authority|method|path|scheme)|[!#$%&'*+.^_`|~0-9A-Za-z-]+", maximum=256),
        doc="field name, or :authority, :method, :path, :scheme",
    )
    exact: str | None = option(Text(), default=None, doc="the whole value")
    prefix: str | None = option(Text(minimum=1), default=None, doc="its beginning")
    suffix: str | None = option(Text(minimum=1), default=None, doc="its end")
    contains: str | None = option(Text(minimum=1), default=None, doc="a part of it")
    regex: str | None = option(Regex(), default=None, doc="RE2, matching the whole value")
    range: Range | None = option(Nested(Range), default=None, doc="a whole number in this range")
    present: bool | None = option(Boolean(), default=None, doc="the field is there (true), is not there (false)")
    ignore_case: bool = option(Boolean(), default=False, doc="compare exact, prefix, suffix and contains without case")
    invert: bool = option(Boolean(), default=False, doc="match where the condition does not hold")
    treat_missing_as_empty: bool = option(
        Boolean(), default=False, doc="a missing field has the value '' (else it matches no value, not even inverted)"
    )

    def check(self):
        """Yield faults between fields."""
        yield from _one_condition(self, (*VALUES, "range", "present"))


@config
class QueryMatch:
    """A condition on a query parameter; without one, the parameter must be there. ``?key`` alone has the value ''."""

    name: str = option(
        Text(pattern=r"[^&=#\s]+", maximum=1024), doc="name, as it stands in the query (not percent-decoded)"
    )
    exact: str | None = option(Text(), default=None, doc="the whole value")
    prefix: str | None = option(Text(minimum=1), default=None, doc="its beginning")
    suffix: str | None = option(Text(minimum=1), default=None, doc="its end")
    contains: str | None = option(Text(minimum=1), default=None, doc="a part of it")
    regex: str | None = option(Regex(), default=None, doc="RE2, matching the whole value")
    present: bool | None = option(Boolean(), default=None, doc="the parameter is there (true), is not there (false)")
    ignore_case: bool = option(Boolean(), default=False, doc="compare exact, prefix, suffix and contains without case")

    def check(self):
        """Yield faults between fields."""
        yield from _one_condition(self, (*VALUES, "present"))


@config
class Match:
    """The conditions of a route: one on the path, any number of others; all must hold."""

    path: str | None = option(ROUTED_PATH, default=None, doc="the whole path, without the query")
    prefix: str | None = option(ROUTED_PATH, default=None, doc="its beginning (/foo also matches /foobar)")
    path_separated_prefix: str | None = option(
        ROUTED_PATH, default=None, doc="its first segments (/foo matches /foo and /foo/bar, not /foobar)"
    )
    regex: str | None = option(Regex(), default=None, doc="RE2, matching the whole path without the query")
    connect: bool = option(Boolean(), default=False, doc="in place of a path: CONNECT, which names host and port")
    ignore_case: bool = option(Boolean(), default=False, doc="compare the path without case (not for regex)")
    methods: tuple[str, ...] = option(
        ListOf(item=Text(pattern=r"[!#$%&'*+.^_`|~0-9A-Za-z-]+", maximum=64), maximum=50), default=(),
        doc="one of these methods (any when empty); case-sensitive",
    )
    headers: tuple[HeaderMatch, ...] = option(
        ListOf(item=Nested(HeaderMatch), maximum=100), default=(), doc="conditions on fields"
    )
    query: tuple[QueryMatch, ...] = option(
        ListOf(item=Nested(QueryMatch), maximum=100), default=(), doc="conditions on query parameters"
    )

    def check(self):
        """Yield faults between fields."""
        found = given(self, PATHS)
        if self.connect:
            if found or self.methods:
                yield "connect", "expected neither a path nor methods beside it"
            return
        if len(found) != 1:
            names = ", ".join(found) or "none"
            yield (found or PATHS)[-1], f"expected exactly one of {', '.join(PATHS)}, got {names}"
        if self.regex is not None and self.ignore_case:
            yield "ignore_case", "expected no ignore_case beside regex: write (?i) in the pattern"
        prefix = self.path_separated_prefix
        if prefix is not None and (prefix.endswith("/") or prefix == "*"):
            yield "path_separated_prefix", f"expected no slash at the end, got {prefix!r}"


def whole(match):
    """Return a match in which a path and a method say ``connect``: CONNECT alone has a target without a slash."""
    return attrs.evolve(match, connect=False, regex="[^/].*", methods=("CONNECT",)) if match.connect else match
