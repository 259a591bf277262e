"""The filter ``rate_limit``, called by the chain for each request.

Strategy: a bucket is made when its key is first seen and starts full. At most ``max_keys`` are kept; beyond, the one
that was idle longest goes. They are the site's, so all workers take from the same ones and a reload keeps the tokens;
changed limits apply to kept buckets when they are next used. With a ``store`` the tokens are there, and it is asked
for each request; requests wait for its verdict, within its time.
"""

import math

from meshd.api import CONTINUE, STOP, flag, grpc
from meshd_plugins.rate_limit.key import key_function
from meshd_plugins.rate_limit.store import Limit, StoreError

DETAIL = "request_rate_limited"
BODY = b"local_rate_limited"
"""Envoy's body of a local rate limit."""
ERROR_DETAIL = "rate_limiter_error"
"""Envoy's, where its rate-limit service does not answer."""
REASONS = ("timeout", "connection", "reply", "overflow")


class RateLimitFilter:
    """Takes one token for each request; ``rate_per_s`` and ``burst`` are what the buckets are held to."""

    def __init__(self, config, site):
        self.rate_per_s = config.rate_per_s
        self.burst = config.size
        self._name = site.name
        self._now = site.clock.now
        self._key = key_function(config)
        self._kind = config.key
        self._is_enforced = config.enforce
        self._status = config.status
        self._is_exhausted = config.rate_limited_as_resource_exhausted
        self._store = self._buckets = None
        self._count(site)
        if config.store is None:
            self._keep(config, site)
        else:
            self._share(config, site)
        if config.headers:
            self._limit_value = b"%d, %d;w=%d" % (self.burst, self.burst, math.ceil(self.burst / self.rate_per_s))
            self.on_response = self._tell
        self._has_headers = config.headers

    def _keep(self, config, site):
        """Have the buckets in the memory of this host."""
        owner = config.bucket or (site.owner, site.name)
        meaning = (config.key, config.header, config.path_segments, config.ipv6_prefix)
        max_keys = 1 if config.key == "none" else config.max_keys
        buckets = self._buckets = site.buckets(("rate_limit", owner, meaning), max_keys)
        gauge = site.metrics.gauge("meshd_rate_limit_buckets", "Token buckets that are kept", ("filter",), "host")
        gauge.function(lambda: len(buckets), site.name)
        self._evictions = site.metrics.counter(
            "meshd_rate_limit_evictions_total", "Buckets given up because max_keys were in use", ("filter",)
        ).cell(site.name)

    def _share(self, config, site):
        """Have the buckets in a store."""
        from meshd_plugins.rate_limit.shared import RedisStore

        settings = config.store.redis
        self._store = RedisStore(settings, site)
        name = config.bucket or "/".join(filter(None, (site.owner, site.name)))
        kind = {"header": f"header({config.header})", "path_prefix": f"path_prefix({config.path_segments})",
                "client_address": f"client_address({config.ipv6_prefix})"}.get(config.key, config.key)
        self._limit = Limit(name, kind, self.rate_per_s, self.burst)
        self._is_closed = settings.on_error == "closed" and config.enforce
        self._status_on_error = settings.status_on_error
        errors = site.metrics.counter(
            "meshd_rate_limit_store_errors_total", "Requests without a verdict of the store", ("filter", "reason"))
        self._errors = {reason: errors.cell(site.name, reason) for reason in REASONS}
        self.start = self._store.start
        self.on_request = self._ask

    def _count(self, site):
        results = site.metrics.counter(
            "meshd_rate_limit_requests_total", "Requests by the verdict of a rate limit", ("filter", "result")
        )
        self._passed, self._shadowed, self._refused, self._opened, self._closed = (
            results.cell(site.name, result) for result in ("ok", "shadowed", "limited", "failed_open", "failed_closed")
        )

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

    def _ask(self, exchange):
        """Let the store decide; return a Deferred of the filter's verdict."""
        asked = self._store.ask(self._limit, self._key(exchange))
        return asked.addCallbacks(self._heed, self._miss, callbackArgs=(exchange,), errbackArgs=(exchange,))

    def _heed(self, verdict, exchange):
        """The store has decided."""
        if self._has_headers:
            exchange.metadata[self._name] = verdict
        if verdict.is_admitted:
            self._passed.inc()
            return CONTINUE
        return self._refuse(exchange, verdict, 0.0)

    def _miss(self, failure, exchange):
        """There is no verdict: pass, or refuse as Envoy does where its rate-limit service fails."""
        failure.trap(StoreError)
        self._errors[failure.value.reason].inc()
        if not self._is_closed:
            self._opened.inc()
            return CONTINUE
        self._closed.inc()
        exchange.reply(self._status_on_error, b"", flag=flag.RLSE, detail=ERROR_DETAIL)
        return STOP

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
        if self._is_exhausted and grpc.is_grpc(exchange.request.headers):
            headers += ((grpc.STATUS, b"%d" % grpc.RESOURCE_EXHAUSTED),)
        exchange.reply(self._status, BODY, headers, flag=flag.RL, detail=DETAIL)

    def explain(self, exchange):
        """Say what would happen to a request now; no token is taken, and no bucket made."""
        if self._store is not None:
            rate = f"{self.rate_per_s:g} tokens a second, {self.burst} at once"
            return f"asks {self._store.describe()} for a token: {rate}"
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
