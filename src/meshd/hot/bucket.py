"""Token buckets that do not drift, alone and by key; called by the rate-limit filter, once per request.

Strategy: nothing is added to the level step by step. The bucket was full at ``_full_at`` and has given ``_taken``
tokens since, so its level is ``burst + rate * (now - full_at) - taken``: one multiplication, however many
calls there were (docs/formulas.md).
When the level reaches the brim, both start anew. Tokens are requests, times are monotonic seconds.
``hot/shared_bucket`` is the same for all worker processes of a host.
"""

from collections import OrderedDict

SLACK_S = 1e-9
"""A token may be given this much early: what a float clock loses in ``now - full_at``. It is not summed up."""


class TokenBucket:
    """Holds at most ``burst`` tokens (starts full), gains ``rate_per_s`` of them each second.

    In any span of t seconds it admits at most ``burst + rate_per_s * t`` (RFC 2697's committed bucket; Envoy's
    local_ratelimit without its fill steps).
    """

    __slots__ = ("rate_per_s", "burst", "_full_at", "_taken", "_slack")

    def __init__(self, rate_per_s: float, burst: float, now: float) -> None:
        self._taken = 0.0
        self._full_at = now
        self._limit(rate_per_s, burst)

    def _limit(self, rate_per_s: float, burst: float) -> None:
        if not rate_per_s > 0 or not burst >= 1:
            limits = f"rate {rate_per_s!r}, burst {burst!r}"
            raise ValueError(f"token bucket: {limits}: expected a rate over 0 and a burst of at least 1")
        self.rate_per_s = rate_per_s
        self.burst = burst
        self._slack = rate_per_s * SLACK_S + 1e-12 * burst

    def take(self, now: float, tokens: float = 1) -> bool:
        """Take ``tokens`` at once, or none of them; say which."""
        level = self.burst + self.rate_per_s * (now - self._full_at) - self._taken
        if level >= self.burst:
            self._full_at = now
            self._taken = 0.0
            level = self.burst
        if level + self._slack < tokens:
            return False
        self._taken += tokens
        return True

    def available(self, now: float) -> float:
        """Return the level in tokens, between 0 and ``burst``."""
        level = self.burst + self.rate_per_s * (now - self._full_at) - self._taken
        return min(max(level, 0.0), self.burst)

    def wait_s(self, now: float, tokens: float = 1) -> float:
        """Return the seconds until ``tokens`` (at most ``burst``) are there; 0.0 where they are."""
        lacking = tokens - self.available(now)
        return lacking / self.rate_per_s if lacking > self._slack else 0.0

    def full_s(self, now: float) -> float:
        """Return the seconds until the bucket is full."""
        return (self.burst - self.available(now)) / self.rate_per_s

    def change(self, rate_per_s: float, burst: float, now: float) -> None:
        """Set new limits; the level is kept, at most the new burst."""
        level = self.available(now)
        self._limit(rate_per_s, burst)
        self._full_at = now
        self._taken = self.burst - min(level, self.burst)


class Buckets:
    """At most ``max_keys`` buckets by key, in this process; beyond, the one that was used longest ago makes room.

    ``evicted`` is how many did.
    """

    __slots__ = ("by_key", "max_keys", "evicted")

    def __init__(self, max_keys: int) -> None:
        self.by_key = OrderedDict()
        self.max_keys = max_keys
        self.evicted = 0

    def __len__(self) -> int:
        return len(self.by_key)

    def find(self, key: object, rate_per_s: float, burst: float, now: float) -> TokenBucket:
        """Return the bucket of ``key`` with these limits; a new one is full, an older one keeps its level."""
        bucket = self.by_key.get(key)
        if bucket is None:
            bucket = self.by_key[key] = TokenBucket(rate_per_s, burst, now)
            if len(self.by_key) > self.max_keys:
                self.by_key.popitem(last=False)
                self.evicted += 1
            return bucket
        self.by_key.move_to_end(key)
        if bucket.rate_per_s != rate_per_s or bucket.burst != burst:
            bucket.change(rate_per_s, burst, now)
        return bucket
