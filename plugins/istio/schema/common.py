"""What several kinds share: string matches, ports, label selectors, percentages, header edits."""

from meshd.api import Duration, Integer, ListOf, MapOf, Nested, Number, Regex, Text, camel_config, option, options

PORT = Integer(minimum=1, maximum=65535)
HOST = Text(minimum=1, maximum=253)
LABELS = MapOf(value=Text(maximum=63), key=Text(minimum=1, maximum=317))
NAMESPACES = ListOf(item=Text(minimum=1, maximum=253))
WORDS = ListOf(item=Text(minimum=1))
TIME = Duration()
COUNT = Integer(maximum=2**31 - 1)
"""proto's int32, where istiod takes no negative number."""

COUNT32 = Integer(maximum=2**32 - 1)
"""proto's uint32."""

NO_TLS = "there is no TLS yet"
NO_TCP = "TCP is not proxied yet"
NO_LOCALITIES = "there are no localities yet"
NO_HTTP2 = "HTTP/2 is not spoken yet"


@camel_config
class StringMatch:
    """A condition on a text: exactly one of the three."""

    exact: str | None = option(Text(), default=None, doc="the whole value")
    prefix: str | None = option(Text(), default=None, doc="its beginning")
    regex: str | None = option(Regex(), default=None, doc="RE2, matching the whole value")

    def check(self):
        """Yield a fault unless at most one is given."""
        yield from at_most_one(self, ("exact", "prefix", "regex"))


@camel_config
class PortSelector:
    """A port of a service."""

    number: int | None = option(PORT, default=None, doc="its number")


@camel_config
class Port:
    """A port that is served."""

    number: int = option(PORT, doc="its number")
    protocol: str = option(Text(maximum=16), default="", doc="HTTP, HTTPS, GRPC, GRPC-WEB, HTTP2, MONGO, TCP, TLS")
    name: str = option(Text(maximum=253), default="", doc="its name")
    target_port: int | None = option(PORT, default=None, doc="the endpoints' port (deprecated for gateways)")


@camel_config
class Percent:
    """A share."""

    value: float = option(Number(maximum=100.0), default=0.0, doc="percent, from 0 to 100")


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


@camel_config
class WorkloadSelector:
    """Which workloads: all that have these labels."""

    match_labels: tuple[tuple[str, str], ...] = option(LABELS, default=(), doc="labels that all must be there")


@camel_config
class LabelSelector:
    """Which workloads, in the older spelling of Sidecar and ServiceEntry."""

    labels: tuple[tuple[str, str], ...] = option(LABELS, default=(), doc="labels that all must be there")


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
