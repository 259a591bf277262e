"""Envoy's response flags and response code details: one table for access log, metrics and tests.

A flag is a bit in ``Exchange.flags``; ``text(flags)`` prints them as Envoy does (``UF,URX``, ``-`` for none).
"""

import attrs


@attrs.frozen
class Flag:
    """``code`` is Envoy's short name, ``name`` the long one, ``status`` the usual reply (0: none), ``sentence`` for
    people."""

    bit: int
    code: str
    name: str
    status: int
    sentence: str


_ROWS = (
    ("LH", "FailedLocalHealthCheck", 503, "the local service failed its health check"),
    ("UH", "NoHealthyUpstream", 503, "the cluster has no healthy endpoint"),
    ("UT", "UpstreamRequestTimeout", 504, "the upstream did not answer within the route's timeout"),
    ("LR", "LocalReset", 503, "the connection was reset on this side"),
    ("UR", "UpstreamRemoteReset", 503, "the upstream reset the request"),
    ("UF", "UpstreamConnectionFailure", 503, "no connection to the upstream could be made"),
    ("UC", "UpstreamConnectionTermination", 503, "the upstream closed the connection before it had answered"),
    ("UO", "UpstreamOverflow", 503, "a circuit breaker refused the request"),
    ("NR", "NoRouteFound", 404, "no route matches the request"),
    ("DI", "DelayInjected", 0, "a fault filter delayed the request"),
    ("FI", "FaultInjected", 0, "a fault filter answered the request"),
    ("RL", "RateLimited", 429, "a rate limit refused the request"),
    ("UAEX", "UnauthorizedExternalService", 403, "an authorization service refused the request"),
    ("RLSE", "RateLimitServiceError", 0, "the rate limit service failed"),
    ("DC", "DownstreamConnectionTermination", 0, "the client closed the connection before it had its answer"),
    ("URX", "UpstreamRetryLimitExceeded", 503, "every attempt that the retry policy allows has failed"),
    ("SI", "StreamIdleTimeout", 408, "the request was silent for too long"),
    ("IH", "InvalidEnvoyRequestHeaders", 400, "a control header of the request is not valid"),
    ("DPE", "DownstreamProtocolError", 400, "the client broke HTTP"),
    ("UMSDR", "UpstreamMaxStreamDurationReached", 504, "the request lived longer than it may"),
    ("RFCF", "ResponseFromCacheFilter", 0, "the answer came from a cache"),
    ("NFCF", "NoFilterConfigFound", 500, "a filter has no configuration"),
    ("DT", "DurationTimeout", 0, "the connection lived longer than it may"),
    ("UPE", "UpstreamProtocolError", 502, "the upstream broke HTTP"),
    ("NC", "NoClusterFound", 503, "the route names a cluster that does not exist"),
    ("OM", "OverloadManagerTerminated", 503, "the proxy is overloaded"),
    ("DF", "DnsResolutionFailed", 503, "a name could not be resolved"),
    ("DO", "DropOverload", 503, "the cluster drops load"),
    ("DR", "DownstreamRemoteReset", 0, "the client reset the request"),
)

FLAGS = tuple(Flag(1 << number, *row) for number, row in enumerate(_ROWS))
BY_CODE = {flag.code: flag for flag in FLAGS}
globals().update({flag.code: flag.bit for flag in FLAGS})  # meshd.http.flag.UF and so on are ints

_texts: dict[int, str] = {0: "-"}


def text(flags: int) -> str:
    """Return the short names of ``flags``, joined by commas; ``-`` for 0."""
    found = _texts.get(flags)
    if found is None:
        found = _texts[flags] = ",".join(flag.code for flag in FLAGS if flags & flag.bit)
    return found


def long_text(flags: int) -> str:
    """Return the long names (``%RESPONSE_FLAGS_LONG%``)."""
    return ",".join(flag.name for flag in FLAGS if flags & flag.bit) or "-"


def sentences(flags: int) -> list[str]:
    """Return a sentence for people for each flag."""
    return [flag.sentence for flag in FLAGS if flags & flag.bit]
