"""The http filter ``rate_limit``: token buckets of this host, for all requests or for each value of a key.

Strategy: a bucket is made when its key is first seen and starts full. At most ``max_keys`` are kept; beyond, the one
that was idle longest goes. They are the site's, so all workers take from the same ones and a reload keeps the tokens;
changed limits apply to kept buckets when they are next used.
"""

import ipaddress
import math
from hashlib import blake2b

from meshd.api import (
    CONTINUE, STOP, Boolean, Choice, Duration, HeaderName, Integer, Number, PluginType, Text, config, flag, hookimpl,
    option,
)

DETAIL = "request_rate_limited"
BODY = b"local_rate_limited"
"""Envoy's body of a local rate limit."""

KEYS = ("none", "client_address", "header", "path_prefix", "identity")
MAX_KEY_BYTES = 64
"""Longer keys are kept as a 16 byte digest, so the memory of the table has a bound."""


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
    enforce: bool = option(Boolean(), default=True, doc="false: count what would be refused, and let it pass")
    headers: bool = option(
        Boolean(), default=False,
        doc="send x-ratelimit-limit, -remaining and -reset (IETF draft 03) with every response"
    )
    bucket: str = option(
        Text(maximum=200), default="",
        doc="instances that name the same bucket share its tokens (the instance's name when empty)"
    )

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


class RateLimitFilter:
    """Takes one token for each request; ``rate_per_s`` and ``burst`` are what the buckets are held to."""

    def __init__(self, config, site):
        self.rate_per_s = config.rate_per_s
        self.burst = config.size
        self._name = site.name
        self._now = site.clock.now
        self._key = key_function(config)
        self._kind = config.key
        owner = config.bucket or (site.owner, site.name)
        meaning = (config.key, config.header, config.path_segments, config.ipv6_prefix)
        max_keys = 1 if config.key == "none" else config.max_keys
        self._buckets = site.buckets(("rate_limit", owner, meaning), max_keys)
        self._is_enforced = config.enforce
        self._status = config.status
        self._count(site)
        if config.headers:
            self._limit_value = b"%d, %d;w=%d" % (self.burst, self.burst, math.ceil(self.burst / self.rate_per_s))
            self.on_response = self._tell
        self._has_headers = config.headers

    def _count(self, site):
        results = site.metrics.counter(
            "meshd_rate_limit_requests_total", "Requests by the verdict of a rate limit", ("filter", "result")
        )
        self._passed, self._shadowed, self._refused = (
            results.cell(site.name, result) for result in ("ok", "shadowed", "limited")
        )
        buckets = self._buckets
        gauge = site.metrics.gauge("meshd_rate_limit_buckets", "Token buckets that are kept", ("filter",), "host")
        gauge.function(lambda: len(buckets), site.name)
        self._evictions = site.metrics.counter(
            "meshd_rate_limit_evictions_total", "Buckets given up because max_keys were in use", ("filter",)
        ).cell(site.name)

    def on_request(self, exchange):
        """Let the request pass where there is a token, else answer 429."""
        now = self._now()
        buckets = self._buckets
        evicted = buckets.evicted
        bucket = buckets.find(self._key(exchange), self.rate_per_s, self.burst, now)
        is_taken = bucket.take(now)
        if buckets.evicted != evicted:
            self._evictions.inc(buckets.evicted - evicted)
        if self._has_headers:
            exchange.metadata[self._name] = bucket
        if is_taken:
            self._passed.inc()
            return CONTINUE
        return self._refuse(exchange, bucket, now)

    def _refuse(self, exchange, bucket, now):
        if not self._is_enforced:
            self._shadowed.inc()
            return CONTINUE
        self._refused.inc()
        self._answer(exchange, bucket.wait_s(now))
        return STOP

    def _answer(self, exchange, wait_s):
        wait = b"%d" % max(1, math.ceil(wait_s))
        headers = ((b"retry-after", wait), (b"x-envoy-ratelimited", b"true"))
        exchange.reply(self._status, BODY, headers, flag=flag.RL, detail=DETAIL)

    def explain(self, exchange):
        """Say what would happen to a request now; no token is taken, and no bucket made."""
        left = self._left(self._key(exchange), self._now())
        whose = {"none": "all requests", "client_address": f"client {exchange.client}"}.get(self._kind, self._kind)
        state = f"{math.floor(left + 1e-9)} of {self.burst} tokens are left for {whose}"
        if left + 1e-9 >= 1:
            return f"takes a token: {state}"
        if not self._is_enforced:
            return f"would refuse, but only counts: {state}"
        self._answer(exchange, (1 - left) / self.rate_per_s)
        return f"refuses: {state}"

    def _left(self, key, now):
        """Return the tokens of ``key``; one process's table makes a bucket when it is asked for one, so it is read."""
        kept = getattr(self._buckets, "by_key", None)
        if kept is None:
            return self._buckets.find(key, self.rate_per_s, self.burst, now).available(now)
        bucket = kept.get(key)
        return self.burst if bucket is None else min(bucket.available(now), self.burst)

    def _tell(self, exchange):
        bucket = exchange.metadata.get(self._name)
        if bucket is None:
            return
        now = self._now()
        headers = exchange.response.headers
        headers.set(b"x-ratelimit-limit", self._limit_value)
        headers.set(b"x-ratelimit-remaining", b"%d" % (bucket.available(now) + 1e-9))
        headers.set(b"x-ratelimit-reset", b"%d" % math.ceil(bucket.full_s(now)))


def key_function(config):
    """Return a callable(exchange) -> a small hashable. Requests without the thing share the key None."""
    if config.key == "client_address":
        return client_key(128 - config.ipv6_prefix)
    if config.key == "header":
        name = config.header.encode()
        return lambda exchange: short(exchange.request.headers.joined(name))
    if config.key == "path_prefix":
        count = config.path_segments + 1
        return lambda exchange: short(b"/".join(exchange.request.path.split(b"/", count)[:count]))
    if config.key == "identity":
        return identity_key
    return lambda exchange: None


def identity_key(exchange):
    """Return the caller's name."""
    identity = exchange.identity
    return None if identity is None else short(identity.name.encode("utf-8", "replace"))


def client_key(host_bits):
    """Return the key function of client addresses; the last ``host_bits`` of an IPv6 address do not count."""

    def key(exchange):
        client = exchange.client
        if ":" not in client:
            return client
        try:
            address = ipaddress.IPv6Address(client.partition("%")[0])
        except ValueError:
            return short(client.encode("utf-8", "replace"))
        return str(address.ipv4_mapped) if address.ipv4_mapped else int(address) >> host_bits

    return key


def short(value):
    """Return ``value``, or its digest where it is long."""
    if value is None or len(value) <= MAX_KEY_BYTES:
        return value
    return blake2b(value, digest_size=16).digest()


@hookimpl
def meshd_plugins():
    """Offer the filter."""
    return [
        PluginType(
            kind="http_filter", name="rate_limit", config=RateLimit, build=RateLimitFilter,
            doc="Limits the rate of requests with token buckets.",
        )
    ]
