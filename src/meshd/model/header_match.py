"""A condition on one header field: how it is written, and the function that tests it. Plugins have it from the API."""

from collections.abc import Callable
from typing import Any

from meshd.document.option import Boolean, HeaderName, Regex, Text, config, option
from meshd.document.regex import compile_regex

VALUES = ("exact", "prefix", "suffix", "contains", "regex")


@config
class HeaderMatch:
    """A condition on a field; without a value, the field must be there. Several lines are joined by commas."""

    name: str = option(HeaderName(), doc="field name")
    exact: str | None = option(Text(), default=None, doc="the whole value")
    prefix: str | None = option(Text(minimum=1), default=None, doc="its beginning")
    suffix: str | None = option(Text(minimum=1), default=None, doc="its end")
    contains: str | None = option(Text(minimum=1), default=None, doc="a part of it")
    regex: str | None = option(Regex(), default=None, doc="RE2, matching the whole value")
    invert: bool = option(Boolean(), default=False, doc="match where the condition does not hold")

    def check(self):
        """Yield faults between fields."""
        given = [name for name in VALUES if getattr(self, name) is not None]
        if len(given) > 1:
            yield given[1], f"expected at most one of {', '.join(VALUES)}, got {', '.join(given)}"


def header_test(match: HeaderMatch) -> Callable[[Any], bool]:
    """Return a callable(Headers) -> bool of a condition; raises BadRegex on a regular expression that cannot be."""
    name, test, wanted = match.name.lower().encode(), _value_test(match), not match.invert

    def holds(headers: Any) -> bool:
        value = headers.joined(name)
        return (value is not None and test(value)) is wanted
    return holds


def _value_test(match: HeaderMatch) -> Callable[[bytes], bool]:
    if match.exact is not None:
        return match.exact.encode().__eq__
    if match.regex is not None:
        whole = compile_regex(match.regex).fullmatch
        return lambda value: whole(value) is not None
    for name, verb in (("prefix", bytes.startswith), ("suffix", bytes.endswith), ("contains", bytes.__contains__)):
        text = getattr(match, name)
        if text is not None:
            part = text.encode()
            return lambda value: verb(value, part)
    return lambda value: True
