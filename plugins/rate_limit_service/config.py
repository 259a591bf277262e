"""The configuration of the filter ``rate_limit_service``: the words of Envoy's filter and of its rate-limit actions."""

from meshd.api import (
    Boolean, Choice, Duration, HeaderMatch, HeaderName, Integer, ListOf, MapOf, Nested, REQUIRED, Reference, Text,
    config, option,
)

WORDS = Text(minimum=1, maximum=1024)


@config
class SourceCluster:
    """Entry ``source_cluster``: who this proxy stands beside."""


@config
class DestinationCluster:
    """Entry ``destination_cluster``: where the route leads; none where it has several clusters."""


@config
class RequestHeaders:
    """An entry with a field's value."""

    header_name: str = option(HeaderName(), doc="request field")
    descriptor_key: str = option(WORDS, doc="key of the entry")
    skip_if_absent: bool = option(
        Boolean(), default=False, doc="without the field: leave this entry out, and not the whole descriptor")


@config
class RemoteAddress:
    """Entry ``remote_address``: the client's address, by trusted hops."""


@config
class MaskedRemoteAddress:
    """Entry ``masked_remote_address``: the network of the client's address, ``10.0.0.0/24``."""

    v4_prefix_mask_len: int = option(Integer(maximum=32), default=32, doc="bits of an IPv4 address")
    v6_prefix_mask_len: int = option(Integer(maximum=128), default=128, doc="bits of an IPv6 address")


@config
class GenericKey:
    """An entry that is always the same."""

    descriptor_value: str = option(WORDS, doc="value of the entry")
    descriptor_key: str = option(WORDS, default="generic_key", doc="key of the entry")


@config
class HeaderValueMatch:
    """An entry where the request's fields are as wanted."""

    descriptor_value: str = option(WORDS, doc="value of the entry")
    descriptor_key: str = option(WORDS, default="header_match", doc="key of the entry")
    expect_match: bool = option(Boolean(), default=True, doc="false: where they do not all match")
    headers: tuple[HeaderMatch, ...] = option(
        ListOf(item=Nested(HeaderMatch), minimum=1, maximum=100), default=REQUIRED, doc="all must match")


@config
class QueryParameter:
    """A query parameter that must be there, with this value where one is given; of several the first, not decoded."""

    name: str = option(Text(minimum=1, maximum=256), doc="its name")
    exact: str | None = option(Text(maximum=1024), default=None, doc="the whole value")
    prefix: str | None = option(Text(minimum=1, maximum=1024), default=None, doc="what the value begins with")
    suffix: str | None = option(Text(minimum=1, maximum=1024), default=None, doc="what it ends with")
    contains: str | None = option(Text(minimum=1, maximum=1024), default=None, doc="what is in it")

    def check(self):
        """Yield a fault where several values are wanted."""
        if sum(one is not None for one in (self.exact, self.prefix, self.suffix, self.contains)) > 1:
            yield "name", "expected at most one of exact, prefix, suffix, contains"


@config
class QueryParameterValueMatch:
    """An entry where the request's query parameters are as wanted."""

    descriptor_value: str = option(WORDS, doc="value of the entry")
    descriptor_key: str = option(WORDS, default="query_match", doc="key of the entry")
    expect_match: bool = option(Boolean(), default=True, doc="false: where they do not all match")
    query_parameters: tuple[QueryParameter, ...] = option(
        ListOf(item=Nested(QueryParameter), minimum=1, maximum=100), default=REQUIRED, doc="all must match")


@config
class MetadataKey:
    """Where a note of another plugin stands."""

    key: str = option(WORDS, doc="whose note: the instance's name")
    path: tuple[str, ...] = option(
        ListOf(item=Text(minimum=1), minimum=1, maximum=16), default=REQUIRED, doc="keys within it, from outside in")


@config
class Metadata:
    """An entry with a text that a plugin before this one has noted of the request."""

    descriptor_key: str = option(WORDS, doc="key of the entry")
    metadata_key: MetadataKey = option(Nested(MetadataKey), doc="where it stands")
    default_value: str = option(Text(maximum=1024), default="", doc="value where it is not there")
    skip_if_absent: bool = option(
        Boolean(), default=False, doc="without one: leave this entry out, and not the whole descriptor")


@config
class Action:
    """What makes one entry: exactly one of these."""

    source_cluster: SourceCluster | None = option(
        Nested(SourceCluster), default=None, doc="who this proxy stands beside")
    destination_cluster: DestinationCluster | None = option(
        Nested(DestinationCluster), default=None, doc="the route's cluster")
    request_headers: RequestHeaders | None = option(Nested(RequestHeaders), default=None, doc="a field's value")
    remote_address: RemoteAddress | None = option(Nested(RemoteAddress), default=None, doc="the client's address")
    masked_remote_address: MaskedRemoteAddress | None = option(
        Nested(MaskedRemoteAddress), default=None, doc="its network")
    generic_key: GenericKey | None = option(Nested(GenericKey), default=None, doc="always the same")
    header_value_match: HeaderValueMatch | None = option(
        Nested(HeaderValueMatch), default=None, doc="where fields are as wanted")
    query_parameter_value_match: QueryParameterValueMatch | None = option(
        Nested(QueryParameterValueMatch), default=None, doc="where query parameters are as wanted")
    metadata: Metadata | None = option(Nested(Metadata), default=None, doc="a note of another plugin")

    def check(self):
        """Yield a fault unless it is exactly one."""
        given = [name for name in ACTIONS if getattr(self, name) is not None]
        if len(given) != 1:
            got = ", ".join(given) or "none"
            yield (given or [None])[-1], f"expected exactly one of {', '.join(ACTIONS)}, got {got}"


ACTIONS = (
    "source_cluster", "destination_cluster", "request_headers", "remote_address", "masked_remote_address",
    "generic_key", "header_value_match", "query_parameter_value_match", "metadata",
)


@config
class Descriptor:
    """One descriptor: an entry of each action, in their order; none where one of them finds nothing."""

    actions: tuple[Action, ...] = option(
        ListOf(item=Nested(Action), minimum=1, maximum=32), default=REQUIRED, doc="what makes the entries")
    hits_addend: int = option(
        Integer(maximum=10**9), default=0, doc="hits that one request counts for on this descriptor (0: the filter's)")
    limit: MetadataKey | None = option(
        Nested(MetadataKey), default=None,
        doc="note of another plugin with the limit to use in the place of the service's own: requests_per_unit, unit")


@config
class RateLimitService:
    """Requests pass or are refused as a rate-limit service says; those without a descriptor pass unasked."""

    cluster: str = option(Reference("cluster"), doc="cluster of the service, which speaks HTTP/2")
    domain: str = option(WORDS, doc="domain of all descriptors, the service's own word")
    rate_limits: tuple[Descriptor, ...] = option(
        ListOf(item=Nested(Descriptor), minimum=1, maximum=100), default=REQUIRED,
        doc="descriptors of a request; a route puts its own in their place (filters)")
    authority: str = option(
        Text(maximum=253, pattern=r"[!-~]*"), default="", doc=":authority of the calls (the cluster's name when empty)")
    timeout_s: float = option(
        Duration(minimum=0.001, maximum=60.0), default=0.02, doc="how long a request waits for it (Envoy: 20 ms)")
    failure_mode_deny: bool = option(
        Boolean(), default=False, doc="without an answer: refuse (flag RLSE), in place of letting pass")
    status_on_error: int = option(
        Integer(minimum=400, maximum=599), default=500, doc="status with failure_mode_deny (Envoy's default)")
    rate_limited_status: int = option(Integer(minimum=400, maximum=599), default=429, doc="status of a refused request")
    rate_limited_as_resource_exhausted: bool = option(
        Boolean(), default=False, doc="refused gRPC calls get RESOURCE_EXHAUSTED, not UNAVAILABLE")
    enable_x_ratelimit_headers: str = option(
        Choice(("OFF", "DRAFT_VERSION_03")), default="OFF",
        doc="DRAFT_VERSION_03: send x-ratelimit-limit, -remaining and -reset of the limit that is nearest")
    disable_x_envoy_ratelimited_header: bool = option(
        Boolean(), default=False, doc="do not send x-envoy-ratelimited with refusals")
    response_headers_to_add: tuple[tuple[str, str], ...] = option(
        MapOf(key=HeaderName(), value=Text(maximum=8192, pattern=r"[ -~]*"), maximum=100), default=(),
        doc="fields of refusals")
    hits_addend: int = option(
        Integer(maximum=2**32 - 1), default=0, doc="hits that one request counts for (0: what the service says, 1)")
