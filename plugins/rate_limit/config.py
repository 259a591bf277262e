"""The configuration of the filter ``rate_limit``."""

import math

from meshd.api import (
    Boolean, Choice, Duration, File, HeaderName, Integer, Nested, Number, Reference, Text, config, option,
)

KEYS = ("none", "client_address", "header", "path_prefix", "identity")


@config
class Redis:
    """Buckets in Redis (5 or later, or what speaks as it does), shared by all machines that ask the same servers."""

    cluster: str = option(Reference("cluster"), doc="the cluster of the server; keys are spread over several endpoints")
    prefix: str = option(
        Text(pattern=r"[!-~]*", maximum=128), default="meshd:rate_limit:", doc="what all keys begin with"
    )
    timeout_s: float = option(
        Duration(minimum=0.001, maximum=10.0), default=0.02, doc="how long a request waits for it (Envoy: 20 ms)"
    )
    on_error: str = option(
        Choice(("open", "closed")), default="open", doc="without a verdict: let requests pass, or refuse them (RLSE)"
    )
    status_on_error: int = option(
        Integer(minimum=400, maximum=599), default=500, doc="status with on_error: closed (Envoy's default)"
    )
    username: str = option(Text(maximum=256), default="", doc="user of the server's ACL (the default user when empty)")
    password_file: str | None = option(
        File(exists=True), default=None, doc="file with the password in its first line, or credential:NAME"
    )
    database: int = option(Integer(maximum=65535), default=0, doc="number of the database (SELECT)")

    def check(self):
        """Yield faults between fields."""
        if self.username and self.password_file is None:
            yield "username", "expected password_file beside username"


@config
class Store:
    """Where the tokens are, if not in the memory of this host."""

    redis: Redis = option(Nested(Redis), doc="in Redis")


@config
class RateLimit:
    """``rate`` requests in each ``per``, ``burst`` of them at once, on all workers of this host together."""

    rate: float = option(Number(minimum=1e-6, maximum=1e9), doc="requests in each interval")
    per_s: float = option(Duration(minimum=0.001), default=1.0, doc="the interval")
    burst: int | None = option(
        Integer(minimum=1, maximum=10**9), default=None,
        doc="requests that may come at once (rate, rounded up, when absent)"
    )
    key: str = option(Choice(KEYS), default="none", doc="what has a bucket of its own")
    header: str | None = option(HeaderName(), default=None, doc="the request field of key: header")
    path_segments: int = option(Integer(minimum=1, maximum=20), default=1, doc="segments in a key of path_prefix")
    ipv6_prefix: int = option(
        Integer(minimum=1, maximum=128), default=64,
        doc="bits of an IPv6 address that are one client (a site has 2^64 to use)"
    )
    max_keys: int = option(
        Integer(minimum=1, maximum=1_000_000), default=10_000,
        doc="buckets kept at most (with several workers rounded up to sets of 16)"
    )
    status: int = option(Integer(minimum=400, maximum=599), default=429, doc="status of a refused request")
    rate_limited_as_resource_exhausted: bool = option(
        Boolean(), default=False, doc="refused gRPC calls get RESOURCE_EXHAUSTED, not UNAVAILABLE"
    )
    enforce: bool = option(Boolean(), default=True, doc="false: count what would be refused, and let it pass")
    headers: bool = option(
        Boolean(), default=False,
        doc="send x-ratelimit-limit, -remaining and -reset (IETF draft 03) with every response"
    )
    bucket: str = option(
        Text(maximum=200), default="",
        doc="instances that name the same bucket share its tokens (the instance's name when empty)"
    )
    store: Store | None = option(Nested(Store), default=None, doc="share the tokens with other machines")

    def check(self):
        """Yield faults between fields."""
        if (self.key == "header") != (self.header is not None):
            yield "header", f"expected header and key: header together, got key: {self.key}, header: {self.header}"
        if self.rate / self.per_s < 1e-6:
            yield "rate", f"expected at least one request in 1000000 s, got {self.rate:g} in {self.per_s:g} s"

    @property
    def rate_per_s(self):
        """Tokens that come in each second."""
        return self.rate / self.per_s

    @property
    def size(self):
        """Tokens that a full bucket holds."""
        return self.burst or math.ceil(self.rate)
