"""RateLimitPolicy (meshd.io, meshd's own): how fast requests may come to a gateway, service, route or workload."""

from meshd.api import Boolean, Choice, Duration, HeaderName, Integer, ListOf, Nested, Number, Text, camel_config, option
from meshd_plugins.istio.schema.common import WorkloadSelector, at_most_one

LATER = "it needs authentication, which there is not yet: requests are counted together"


@camel_config
class TargetReference:
    """What is limited."""

    kind: str = option(Choice(("Gateway", "Service", "ServiceEntry", "VirtualService")), doc="kind of it")
    name: str = option(Text(minimum=1, maximum=253), doc="its name")
    namespace: str = option(Text(maximum=253), default="", doc="its namespace (the policy's)")


@camel_config
class Nothing:
    """A key without options, written ``{}``."""


@camel_config
class PathKey:
    """The first segments of the path, without the query."""

    segments: int = option(Integer(minimum=1, maximum=32), default=1, doc="how many")


@camel_config
class Key:
    """What is counted apart: one of these."""

    header: str | None = option(HeaderName(), default=None, doc="by the value of this field")
    client_address: Nothing | None = option(Nested(Nothing), default=None, doc="by the client's address")
    path: PathKey | None = option(Nested(PathKey), default=None, doc="by the path")
    identity: Nothing | None = option(
        Nested(Nothing), default=None, doc="by the identity in the client's certificate", unsupported=LATER
    )
    claim: str | None = option(
        Text(minimum=1, maximum=256), default=None, doc="by a claim of the request's token", unsupported=LATER
    )

    def check(self):
        """Yield a fault unless exactly one is given."""
        names = ("header", "client_address", "path", "identity", "claim")
        yield from at_most_one(self, names)
        if all(getattr(self, name) is None for name in names):
            yield None, "expected one of header, clientAddress, path, identity, claim"


@camel_config
class Limit:
    """``requests`` in each ``per``, and ``burst`` at once."""

    requests: float = option(Number(minimum=0.001, maximum=1e9), doc="requests in that time")
    per_s: float = option(Duration(minimum=0.001, maximum=86400.0), default=1.0, doc="that time")
    burst: int | None = option(
        Integer(minimum=1, maximum=10**9), default=None, doc="requests at once (requests, at least 1)"
    )
    key: Key | None = option(Nested(Key), default=None, doc="counted apart for each value of it (all together)")


@camel_config
class RedisStore:
    """A Redis server, 5 or later, that all machines ask which are to share the limits."""

    host: str = option(Text(minimum=1, maximum=253), doc="host of a service of the registry (a ServiceEntry, say)")
    port: int = option(Integer(minimum=1, maximum=65535), default=6379, doc="port of that service")
    prefix: str = option(
        Text(pattern=r"[!-~]*", maximum=128), default="meshd:rate_limit:", doc="what all keys begin with"
    )
    timeout_s: float = option(
        Duration(minimum=0.001, maximum=10.0, is_go=True), default=0.02, doc="how long a request waits for the verdict"
    )
    on_error: str = option(
        Choice(("OPEN", "CLOSED")), default="OPEN", doc="without a verdict: let requests pass, or answer 500"
    )
    username: str = option(Text(maximum=256), default="", doc="user of the server's ACL (the default user)")
    password_file: str = option(
        Text(maximum=4096), default="", doc="file with the password in its first line, or credential:NAME"
    )
    database: int = option(Integer(maximum=65535), default=0, doc="number of the database")

    def check(self):
        """Yield faults between fields."""
        if self.username and not self.password_file:
            yield "username", "expected passwordFile beside username"


@camel_config
class Store:
    """Where the limits are counted, if not on each host for itself."""

    redis: RedisStore = option(Nested(RedisStore), doc="in Redis")


@camel_config
class RateLimitPolicy:
    """Limits of what ``targetRef`` or ``selector`` names; a request must pass all of them."""

    target_ref: TargetReference | None = option(Nested(TargetReference), default=None, doc="what is limited")
    selector: WorkloadSelector | None = option(
        Nested(WorkloadSelector), default=None, doc="in place of it: requests to these workloads of its namespace"
    )
    route: str = option(Text(maximum=253), default="", doc="only this HTTP route (name) of the VirtualService")
    limits: tuple[Limit, ...] = option(ListOf(item=Nested(Limit), minimum=1, maximum=32), doc="the limits")
    mode: str = option(Choice(("ENFORCE", "SHADOW")), default="ENFORCE", doc="refuse, or only count what would be")
    status: int = option(Integer(minimum=400, maximum=599), default=429, doc="status of the refusal")
    headers: bool = option(Boolean(), default=True, doc="say the limit, what is left and retry-after in the answer")

    store: Store | None = option(
        Nested(Store), default=None, doc="count over all machines that have the policy (each host for itself)"
    )

    def check(self):
        """Yield faults between fields."""
        if (self.target_ref is None) == (self.selector is None):
            yield "selector" if self.selector else None, "expected exactly one of targetRef, selector"
        elif self.route and (self.target_ref is None or self.target_ref.kind != "VirtualService"):
            yield "route", "expected a route only where targetRef is a VirtualService"
