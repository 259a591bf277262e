"""Header edits as configured: remove, then set, then add."""

import re

from meshd.api import ListOf, MapOf, Text, config, option
from meshd_plugins.router.substitution import parse

NAME = Text(minimum=1, maximum=256)
VALUES = MapOf(value=Text(maximum=8192), key=NAME, maximum=1000)
FRAMING = ("connection", "content-length", "keep-alive", "te", "trailer", "transfer-encoding", "upgrade")
HOSTS = ("host", ":authority")
_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")


def is_field_name(name):
    """Say whether ``name`` is an RFC 9110 token."""
    return _NAME.fullmatch(name) is not None


def value_fault(value, is_field=True):
    """Return what is wrong with a value that may have substitutions, or ''."""
    if is_field and _CONTROL.search(value):
        return f"expected a value without control characters, got {value!r}"
    try:
        parse(value)
    except ValueError as error:
        return str(error)
    return ""


def _name_fault(name, hosts):
    low = name.lower()
    if low in hosts:
        return ""
    if low in HOSTS or low.startswith(":"):
        return f"expected no pseudo header or host here, got {name!r}"
    if not is_field_name(name):
        return f"expected a field name, got {name!r}"
    return f"expected a field that is not the connection's own, got {name!r}" if low in FRAMING else ""


def _faults(edits, hosts):
    for attribute, names in (("set", hosts), ("add", ())):
        for name, value in getattr(edits, attribute):
            if fault := _name_fault(name, names):
                yield attribute, fault
            elif fault := value_fault(value):
                yield attribute, f"{name}: {fault}"
    for name in edits.remove:
        if fault := _name_fault(name, ()):
            yield "remove", fault


@config
class RequestEdits:
    """Edits of request fields. ``set`` of host or :authority rewrites the Host that is sent upstream."""

    set: tuple[tuple[str, str], ...] = option(VALUES, default=(), doc="replace the field; values take %OPERATOR%")
    add: tuple[tuple[str, str], ...] = option(VALUES, default=(), doc="append a line; values take %OPERATOR%")
    remove: tuple[str, ...] = option(ListOf(item=NAME, maximum=1000), default=(), doc="drop it, before set and add")

    def check(self):
        """Yield faults of names and values."""
        yield from _faults(self, HOSTS)


@config
class ResponseEdits:
    """Edits of response fields."""

    set: tuple[tuple[str, str], ...] = option(VALUES, default=(), doc="replace the field; values take %OPERATOR%")
    add: tuple[tuple[str, str], ...] = option(VALUES, default=(), doc="append a line; values take %OPERATOR%")
    remove: tuple[str, ...] = option(ListOf(item=NAME, maximum=1000), default=(), doc="drop it, before set and add")

    def check(self):
        """Yield faults of names and values."""
        yield from _faults(self, ())
