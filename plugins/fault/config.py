"""The configuration of the filter ``fault``, in the words of Envoy's ``HTTPFault``."""

import ipaddress

from meshd.api import Boolean, Choice, Duration, HeaderMatch, Integer, ListOf, Nested, Text, config, option

DENOMINATORS = {"HUNDRED": 100, "TEN_THOUSAND": 10_000, "MILLION": 1_000_000}
INTERNAL = ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "127.0.0.0/8", "fc00::/7", "::1/128")
"""What Envoy calls internal addresses (RFC 1918, RFC 4193, loopback)."""
MAX_DELAY_S = 3600.0
"""The longest delay, also by header: each delayed request is held."""


@config
class Percentage:
    """A share of the requests: ``numerator`` in ``denominator``, down to one in a million (0.0001 %)."""

    numerator: int = option(Integer(maximum=1_000_000), doc="how many")
    denominator: str = option(Choice(tuple(DENOMINATORS)), default="HUNDRED", doc="in so many")

    def check(self):
        """Yield a fault of more than all."""
        if self.numerator > self.total:
            yield "numerator", f"expected at most {self.total}, got {self.numerator}"

    @property
    def total(self):
        """The denominator as a number."""
        return DENOMINATORS[self.denominator]


PERCENTAGE = Nested(Percentage)


def _exactly_one(options, names):
    given = [name for name in names if getattr(options, name) not in (None, False)]
    if len(given) != 1:
        yield (given or [None])[-1], f"expected exactly one of {', '.join(names)}, got {', '.join(given) or 'none'}"


@config
class Delay:
    """Holds requests before they go on."""

    fixed_delay_s: float | None = option(
        Duration(minimum=0.001, maximum=MAX_DELAY_S), default=None, doc="for how long"
    )
    header_delay: bool = option(
        Boolean(), default=False, doc="as long as x-envoy-fault-delay-request says, in milliseconds"
    )
    percentage: Percentage = option(PERCENTAGE, doc="of which share of the requests")

    def check(self):
        """Yield faults between fields."""
        yield from _exactly_one(self, ("fixed_delay_s", "header_delay"))

    @property
    def is_by_header(self):
        """Say whether the caller may say what, and how often."""
        return self.header_delay


@config
class Abort:
    """Answers requests in the place of the upstream."""

    http_status: int | None = option(Integer(minimum=200, maximum=599), default=None, doc="with this status")
    grpc_status: int | None = option(
        Integer(maximum=16), default=None,
        doc="with this gRPC status; callers that do not speak gRPC get the HTTP status that stands for it",
    )
    header_abort: bool = option(
        Boolean(), default=False, doc="as x-envoy-fault-abort-request or x-envoy-fault-abort-grpc-request says"
    )
    percentage: Percentage = option(PERCENTAGE, doc="which share of the requests")

    def check(self):
        """Yield faults between fields."""
        yield from _exactly_one(self, ("http_status", "grpc_status", "header_abort"))

    @property
    def is_by_header(self):
        """Say whether the caller may say what, and how often."""
        return self.header_abort


@config
class RateLimit:
    """Slows answers down."""

    limit_kbps: int | None = option(
        Integer(minimum=1, maximum=10_000_000), default=None, doc="KiB of body a second, for each answer"
    )
    header_limit: bool = option(
        Boolean(), default=False, doc="as x-envoy-fault-throughput-response says, in KiB a second"
    )
    percentage: Percentage = option(PERCENTAGE, doc="of which share of the requests")

    def check(self):
        """Yield faults between fields."""
        yield from _exactly_one(self, ("limit_kbps", "header_limit"))

    @property
    def is_by_header(self):
        """Say whether the caller may say what, and how often."""
        return self.header_limit


@config
class Fault:
    """Faults for tests of what callers do about them: delay, then abort, each drawn for itself; slow answers."""

    delay: Delay | None = option(Nested(Delay), default=None, doc="hold requests")
    abort: Abort | None = option(Nested(Abort), default=None, doc="answer them here")
    response_rate_limit: RateLimit | None = option(Nested(RateLimit), default=None, doc="slow answers down")
    headers: tuple[HeaderMatch, ...] = option(
        ListOf(item=Nested(HeaderMatch), maximum=100), default=(), doc="only requests that meet all of these"
    )
    upstream_cluster: str = option(
        Text(maximum=1024), default="", doc="only requests whose route leads to this cluster alone"
    )
    downstream_nodes: tuple[str, ...] = option(
        ListOf(item=Text(minimum=1, maximum=1024), maximum=10_000), default=(),
        doc="only requests whose x-envoy-downstream-service-node is one of these",
    )
    max_active_faults: int | None = option(
        Integer(maximum=10**9), default=None, doc="requests with a fault at once, on this host (no limit when absent)"
    )
    trusted_sources: tuple[str, ...] = option(
        ListOf(item=Text(minimum=2, maximum=64), maximum=1000), default=INTERNAL,
        doc="networks of the clients (by x-forwarded-for and trusted hops) whose x-envoy-fault-* fields count; "
            "those of others are removed",
    )

    def check(self):
        """Yield faults between fields."""
        for text in self.trusted_sources:
            try:
                ipaddress.ip_network(text)
            except ValueError as error:
                yield "trusted_sources", f"expected a network such as 10.0.0.0/8: {error}"
