"""What several kinds share: string matches, ports, label selectors, percentages, header edits."""

from meshd.api import (
    BadRegex, Duration, Integer, ListOf, MapOf, Nested, Number, Regex, Text, camel_config, compile_regex, option,
    options,
)
from meshd_plugins.istio.schema.form import protocol_fault
from meshd_plugins.istio.schema.header import edit_name_fault, value_fault

PORT = Integer(minimum=1, maximum=65535)
HOST = Text(minimum=1, maximum=255)
LABELS = MapOf(value=Text(), key=Text(minimum=1))
NAMESPACES = ListOf(item=Text(minimum=1, maximum=253))
WORDS = ListOf(item=Text())
LONGEST_S = 9_223_372_036.0
"""Go's longest duration."""

TIME = Duration(minimum=0.001, maximum=LONGEST_S, step=0.001, is_go=True)
"""As istiod's ValidateDuration: whole milliseconds, at least one."""

ANY_TIME = Duration(maximum=LONGEST_S, is_go=True)
TIME_OR_0 = Duration(maximum=LONGEST_S, step=0.001, is_go=True)
SECONDS = Duration(minimum=1.0, maximum=LONGEST_S, step=1.0, is_go=True)
ROUGH_TIME = Duration(minimum=0.001, maximum=LONGEST_S, is_go=True)
"""As the schema of the documents has it, where istiod itself looks no further."""

LONGEST_REGEX = 1024
"""Istiod's bound, in characters."""

COUNT = Integer(maximum=2**31 - 1)
"""proto's int32, where istiod takes no negative number."""

COUNT32 = Integer(maximum=2**32 - 1)
"""proto's uint32."""

NO_TLS = "the mesh issues no certificates yet; native: node.identity, secrets, tls"
NO_ZONES = "which service this proxy belongs to is not known here; native: balancing.locality.zone_aware"


@camel_config
class StringMatch:
    """A condition on a text: exactly one of the three."""

    exact: str | None = option(Text(), default=None, doc="the whole value")
    prefix: str | None = option(Text(), default=None, doc="its beginning")
    regex: str | None = option(Regex(), default=None, doc="RE2, matching the whole value")

    def check(self):
        """Yield a fault unless at most one is given."""
        yield from at_most_one(self, ("exact", "prefix", "regex"))
        yield from regex_faults("regex", self.regex)


@camel_config
class AbsentMatch:
    """The same for a field that must not be so; the regex ``*`` means that it must not be there."""

    exact: str | None = option(Text(), default=None, doc="the whole value")
    prefix: str | None = option(Text(), default=None, doc="its beginning")
    regex: str | None = option(Text(), default=None, doc="RE2, matching the whole value; * is any")

    def check(self):
        """Yield a fault unless at most one is given."""
        yield from at_most_one(self, ("exact", "prefix", "regex"))
        yield from regex_faults("regex", self.regex)
        if self.regex not in (None, "", "*"):
            try:
                compile_regex(self.regex)
            except BadRegex as error:
                yield "regex", str(error)


def regex_faults(name, regex):
    """Yield the faults of an expression's length; None has none."""
    if regex == "":
        yield name, "expected an expression, got nothing"
    elif regex is not None and len(regex) > LONGEST_REGEX:
        yield name, f"expression of {len(regex)} characters, expected at most {LONGEST_REGEX}"


@camel_config
class PortSelector:
    """A port of a service."""

    number: int | None = option(PORT, default=None, doc="its number")


@camel_config
class Port:
    """A port that a gateway serves."""

    number: int = option(Integer(maximum=65535), doc="its number; 0 with a unix socket")
    protocol: str = option(Text(), default="", doc="HTTP, HTTPS, GRPC, GRPC-WEB, HTTP2, MONGO, TCP, TLS")
    name: str = option(Text(), default="", doc="its name, unique in the gateway")
    target_port: int | None = option(PORT, default=None, doc="not for gateways (deprecated)")

    def check(self):
        """Yield faults of istiod's."""
        fault = protocol_fault(self.protocol)
        if fault:
            yield "protocol", fault
        if not self.name:
            yield "name", "expected a name, got nothing"
        if self.target_port is not None:
            yield "target_port", "expected none: it says nothing on a gateway"


@camel_config
class Percent:
    """A share."""

    value: float = option(Number(maximum=100.0), default=0.0, doc="percent, from 0 to 100")


def percent_faults(name, percent):
    """Yield a fault of a share of requests that is too small to be drawn."""
    if percent is not None and 0.0 < percent.value < 0.0001:
        yield (name, "value"), "expected 0 or at least 0.0001"


@camel_config
class HeaderOperations:
    """Edits of one direction."""

    set: tuple[tuple[str, str], ...] = option(MapOf(value=Text()), default=(), doc="overwrite these")
    add: tuple[tuple[str, str], ...] = option(MapOf(value=Text()), default=(), doc="append these")
    remove: tuple[str, ...] = option(ListOf(item=Text(minimum=1)), default=(), doc="remove these")


@camel_config
class Headers:
    """Edits of header fields."""

    request: HeaderOperations | None = option(Nested(HeaderOperations), default=None, doc="of the request")
    response: HeaderOperations | None = option(Nested(HeaderOperations), default=None, doc="of the response")

    def check(self):
        """Yield faults of names and values; only a request's host may be set."""
        for name, edits in (("request", self.request), ("response", self.response)):
            if edits is not None:
                yield from _edit_faults(name, edits, name == "request")


def _edit_faults(name, edits, is_request):
    for key, pairs in (("set", edits.set), ("add", edits.add)):
        for field, value in pairs:
            fault = edit_name_fault(field, is_request) or value_fault(value)
            if fault:
                yield (name, key, field), fault
    for place, field in enumerate(edits.remove):
        fault = edit_name_fault(field, False)
        if fault:
            yield (name, "remove", place), fault


@camel_config
class WorkloadSelector:
    """Which workloads: all that have these labels."""

    match_labels: tuple[tuple[str, str], ...] = option(
        MapOf(value=Text(maximum=63), key=Text(minimum=1), maximum=4096), default=(), doc="labels that all must be so"
    )

    def check(self):
        """Yield faults of wildcards."""
        yield from wildcard_faults("match_labels", self.match_labels)


@camel_config
class LabelSelector:
    """Which workloads, in the older spelling of Sidecar and ServiceEntry."""

    labels: tuple[tuple[str, str], ...] = option(
        MapOf(value=Text(maximum=63), key=Text(minimum=1), maximum=256), default=(), doc="labels that all must be so"
    )

    def check(self):
        """Yield faults of wildcards."""
        yield from wildcard_faults("labels", self.labels)


def wildcard_faults(name, pairs):
    """Yield faults where a selector holds a ``*``."""
    for key, value in pairs:
        if "*" in key or "*" in value:
            yield (name, key), "expected no wildcard in a selector"


def given(one, names, absent=None):
    """Return those of ``names`` that are given."""
    return [name for name in names if getattr(one, name) != absent]


def at_most_one(one, names, absent=None):
    """Yield a fault where several of ``names`` are given; ``absent`` is the value of one that is not."""
    found = given(one, names, absent)
    if len(found) > 1:
        yield found[1], f"expected at most one of {keys_of(one, names)}, got {keys_of(one, found)}"


def keys_of(one, names):
    """Return the keys of these attributes, for a message."""
    keys = {field.name: field.key for field in options(type(one))}
    return ", ".join(keys[name] for name in names)
