"""The token bucket as a Redis script, and the same in Python; ``shared`` asks the one, tests hold it to the other.

Strategy: as ``hot/bucket.py``: nothing is added up step by step, so nothing drifts. A key holds when its bucket was
full last (microseconds of the Redis server's clock, a whole number), how many tokens it has given since, and its
limits. It expires when the bucket is full again, which is what a missing key means. Machines' own clocks have no part
in it; where that of the server is set back, tokens come later, never too many.
"""

import math
from hashlib import sha1

SLACK_S = 1e-9
"""A token may be given this much early (``hot/bucket.py``'s)."""

SOURCE = b"""\
local rate, burst = tonumber(ARGV[1]), tonumber(ARGV[2])
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local full, taken, is_new = now, 0, true
local kept = redis.call('GET', KEYS[1])
if kept then
  local a, b, c, d = string.match(kept, '^(%d+) (%S+) (%S+) (%S+)$')
  if a then
    full, taken, is_new = math.min(tonumber(a), now), tonumber(b), false
    local old_rate, old_burst = tonumber(c), tonumber(d)
    if old_rate ~= rate or old_burst ~= burst then
      local level = math.min(math.max(old_burst + old_rate * (now - full) / 1000000 - taken, 0), old_burst)
      full, taken, is_new = now, burst - math.min(level, burst), true
    end
  end
end
local level = burst + rate * (now - full) / 1000000 - taken
if level >= burst then
  full, taken, level = now, 0, burst
end
local admitted = 0
if level + rate * 1e-9 + burst * 1e-12 >= 1 then
  admitted, taken, level, is_new = 1, taken + 1, level - 1, true
end
if is_new then
  local ttl = math.ceil((burst - level) / rate * 1000) + 1
  local value = string.format('%.0f %.17g %.17g %.17g', full, taken, rate, burst)
  redis.call('SET', KEYS[1], value, 'PX', string.format('%.0f', ttl))
end
return {admitted, string.format('%.17g', math.max(level, 0))}
"""
"""KEYS[1] the bucket, ARGV tokens a second and burst; answers {1 or 0, tokens that are left}. For Redis 5 and later."""

SHA = sha1(SOURCE, usedforsecurity=False).hexdigest().encode()


def take(state, rate_per_s, burst, now_us):
    """Return (is_admitted, level, new state) of a bucket that is asked for a token at ``now_us``.

        level = min(burst, burst + rate_per_s * (now_us - full_at_us) / 1e6 - taken), a token where level >= 1

    ``state`` is (full_at_us, taken, rate_per_s, burst), or None of a bucket that is full; a refusal changes it only
    where the limits have changed. In any span of t seconds at
    most ``burst + rate_per_s * t`` tokens are given. Source: RFC 2697's committed bucket
    (docs/formulas.md).
    """
    full, taken, kept = now_us, 0.0, state
    if state is not None:
        full, taken, old_rate, old_burst = state
        full = min(full, now_us)
        if (old_rate, old_burst) != (rate_per_s, burst):
            level = min(max(old_burst + old_rate * (now_us - full) / 1e6 - taken, 0.0), old_burst)
            full, taken = now_us, burst - min(level, burst)
            kept = (full, taken, rate_per_s, burst)
    level = burst + rate_per_s * (now_us - full) / 1e6 - taken
    if level >= burst:
        full, taken, level = now_us, 0.0, burst
    is_admitted = level + rate_per_s * SLACK_S + burst * 1e-12 >= 1
    if is_admitted:
        taken, level = taken + 1, level - 1
        kept = (full, taken, rate_per_s, burst)
    return is_admitted, max(level, 0.0), kept


def ttl_ms(level, rate_per_s, burst):
    """Return how long a key is kept: until its bucket is full again, in milliseconds."""
    return math.ceil((burst - level) / rate_per_s * 1000) + 1
