"""What ``tcp_proxy`` says of a connection's key for ``ring_hash`` and ``maglev``: Envoy's ``hash_policy``."""

from xxhash import xxh64_intdigest as xxh64

from meshd.api import Nested, Text, config, option


@config
class SourceIp:
    """The client's address, without its port."""


@config
class FilterState:
    """A note that a filter before has made of the connection."""

    key: str = option(Text(minimum=1, maximum=200), doc="its key in the connection's metadata")


@config
class HashPolicy:
    """What the key is made of."""

    source_ip: SourceIp | None = option(Nested(SourceIp), default=None, doc="the client's address ({})")
    filter_state: FilterState | None = option(
        Nested(FilterState, word="key"), default=None, doc="a note of a filter before; without it there is no key"
    )

    def check(self):
        """Yield a fault unless exactly one thing is named."""
        if (self.source_ip is None) == (self.filter_state is None):
            yield None, "expected one of source_ip, filter_state"


def key_of(policies):
    """Return the callable(session) -> 64 bits or None of a configuration, None where there is none."""
    if not policies:
        return None
    return of_source if policies[0].source_ip is not None else of_note(policies[0].filter_state.key)


def of_source(session):
    """Return the key of the client's address; None for a client on a unix socket."""
    return xxh64(session.client.encode()) if session.client and not session.peer.startswith("unix:") else None


def of_note(name):
    """Return the key of a note, which counts as text."""
    def key(session):
        value = session.metadata.get(name)
        return None if value is None else xxh64(value if isinstance(value, bytes) else str(value).encode())
    return key
