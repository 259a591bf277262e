"""Token buckets by key that all worker processes of a host share; the rate-limit filter asks them at each request.

Strategy: a table of sets in the body of an arena's cell. A key's digest says which set it belongs to; a set has up to
``WAYS`` buckets, and where all are in use, the one that was used longest ago makes room. The set's lock is one of
``LANES``. A bucket is ``hot/bucket.py``'s: rate, burst, when it was full, what it gave since. It stands there twice;
one word says which holds: a process may be killed while it writes the other. The number of buckets of a set is a byte
that is written after the bucket.

Body: a byte for each set (rounded up to 64), then for each set its digests (16 bytes each) and its buckets (80 bytes
each: when it was used last, which state holds, two states of four doubles). ``shared_bucket.pyx`` is the compiled twin.
"""

import struct
from hashlib import blake2b

from meshd.hot.file_lock import acquire, release

WAYS = 16
LANES = 16
_LINE = 64
_BUCKET_BYTES = 80
_BUCKET = struct.Struct("=dQ")
_STATE = struct.Struct("=4d")
_SLACK_S = 1e-9  # as in hot/bucket.py


def shape(max_keys):
    """Return (buckets in a set, sets, bytes of the body) of a table for ``max_keys``, rounded up to whole sets."""
    ways = min(max_keys, WAYS)
    sets = -(-max_keys // ways)
    return ways, sets, (sets + 63) // 64 * 64 + sets * ways * (16 + _BUCKET_BYTES)


class SharedBuckets:
    """The table in ``cell``, which has ``LANES`` locks and the body of ``shape(max_keys)``.

    ``evicted`` is how many buckets this process gave up for others.
    """

    __slots__ = ("evicted", "_cell", "_ways", "_sets", "_first", "_memory", "_secret", "_none")

    def __init__(self, max_keys, cell):
        self.evicted = 0
        self._cell = cell
        self._ways, self._sets, _ = shape(max_keys)
        self._first = cell.body + (self._sets + 63) // 64 * 64
        self._memory = cell.arena.memory
        self._secret = cell.arena.secret
        self._none = self._digest(None)

    def __len__(self):
        """Return how many buckets are kept."""
        if self._cell is None:
            return 0
        return sum(self._memory[self._cell.body:self._cell.body + self._sets])

    def find(self, key, rate_per_s, burst, now):
        """Return the bucket of ``key`` with these limits; a new one is full. The key's text is what counts."""
        return SharedBucket(self, self._none if key is None else self._digest(key), rate_per_s, burst)

    def _digest(self, key):
        text = repr(key).encode("utf-8", "backslashreplace")
        return blake2b(text, digest_size=16, key=self._secret).digest()

    def close(self):
        """End this process's claim; nothing is admitted any more."""
        cell, self._cell = self._cell, None
        if cell is not None:
            cell.release()

    def lock(self, number):
        """Lock the set ``number``; return where the lock is, 0 where it did not come free or the table is closed."""
        if self._cell is None:
            return 0
        start = self._cell.locks + number % LANES * _LINE
        return start if acquire(self._cell.arena.fd, start) else 0

    def unlock(self, start):
        """Free the lock at ``start``."""
        release(self._cell.arena.fd, start)

    def seek(self, digest):
        """Return (where the bucket of ``digest`` is or 0, its set's number)."""
        number = int.from_bytes(digest[:8], "little") % self._sets
        start = self._first + number * self._ways * (16 + _BUCKET_BYTES)
        for way in range(self._memory[self._cell.body + number]):
            if self._memory[start + way * 16:start + way * 16 + 16] == digest:
                return start + self._ways * 16 + way * _BUCKET_BYTES, number
        return 0, number

    def make(self, digest, number, state, now):
        """Make a bucket in the set ``number``, in the place of another where there is none left; return where."""
        start = self._first + number * self._ways * (16 + _BUCKET_BYTES)
        buckets = start + self._ways * 16
        count = way = self._memory[self._cell.body + number]
        if count == self._ways:
            self.evicted += 1
            way = min(range(count), key=lambda way: self.used_at(buckets + way * _BUCKET_BYTES))
        at = buckets + way * _BUCKET_BYTES
        self.write(at, state, now)
        self._memory[start + way * 16:start + way * 16 + 16] = digest
        if count < self._ways:
            self._memory[self._cell.body + number] = count + 1
        return at

    def used_at(self, at):
        """Return when the bucket at ``at`` was used last."""
        return _BUCKET.unpack_from(self._memory, at)[0]

    def read(self, at):
        """Return the state of the bucket at ``at``: rate, burst, when it was full, tokens given since."""
        which = self._memory[at + 8] & 1
        return _STATE.unpack_from(self._memory, at + 16 + which * _STATE.size)

    def write(self, at, state, now):
        """Put a state in the place of the one that holds."""
        which = 1 - (self._memory[at + 8] & 1)
        _STATE.pack_into(self._memory, at + 16 + which * _STATE.size, *state)
        self._memory[at + 8] = which
        _BUCKET.pack_into(self._memory, at, now, which)


class SharedBucket:
    """One bucket of a table, for one request; as ``TokenBucket``. Each call looks for it: it may have been evicted."""

    __slots__ = ("rate_per_s", "burst", "_table", "_digest")

    def __init__(self, table, digest, rate_per_s, burst):
        self.rate_per_s = rate_per_s
        self.burst = burst
        self._table = table
        self._digest = digest

    def take(self, now, tokens=1):
        """Take ``tokens`` at once, or none of them; say which."""
        table = self._table
        lock = self._lock()
        if not lock:
            return False
        try:
            at, number = table.seek(self._digest)
            level, full_at, taken = self._level(at, now)
            is_taken = level + self._slack() >= tokens
            state = (self.rate_per_s, self.burst, full_at, taken + tokens if is_taken else taken)
            if at:
                table.write(at, state, now)
            else:
                table.make(self._digest, number, state, now)
            return is_taken
        finally:
            table.unlock(lock)

    def available(self, now):
        """Return the level in tokens, between 0 and ``burst``."""
        lock = self._lock()
        if not lock:
            return 0.0
        try:
            level, _, _ = self._level(self._table.seek(self._digest)[0], now)
            return min(max(level, 0.0), self.burst)
        finally:
            self._table.unlock(lock)

    def wait_s(self, now, tokens=1):
        """Return the seconds until ``tokens`` (at most ``burst``) are there; 0.0 where they are."""
        lacking = tokens - self.available(now)
        return lacking / self.rate_per_s if lacking > self._slack() else 0.0

    def full_s(self, now):
        """Return the seconds until the bucket is full."""
        return (self.burst - self.available(now)) / self.rate_per_s

    def _slack(self):
        return self.rate_per_s * _SLACK_S + 1e-12 * self.burst

    def _lock(self):
        number = int.from_bytes(self._digest[:8], "little") % self._table._sets
        return self._table.lock(number)

    def _level(self, at, now):
        """Return (level, when it was full, tokens given since) by our limits; another limit keeps the level."""
        if not at:
            return self.burst, now, 0.0
        rate_per_s, burst, full_at, taken = self._table.read(at)
        level = burst + rate_per_s * (now - full_at) - taken
        if rate_per_s != self.rate_per_s or burst != self.burst:
            level = min(max(level, 0.0), burst, self.burst)
            return level, now, self.burst - level
        if level >= burst:
            return burst, now, 0.0
        return level, full_at, taken
