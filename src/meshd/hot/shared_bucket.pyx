# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False, cdivision=True
"""The compiled twin of ``shared_bucket.py``: the same layout, with the locks of ``lock.pxd``; see there."""

from hashlib import blake2b

from cpython.buffer cimport PyBUF_WRITABLE, PyBuffer_Release, PyObject_GetBuffer
from cpython.bytes cimport PyBytes_AS_STRING
from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.string cimport memcpy

from meshd.hot.lock cimport acquire, lock_free

cdef extern from *:
    """
    static inline void meshd_hold(uint64_t *word, uint64_t value)
    {
        __atomic_store_n(word, value, __ATOMIC_RELEASE);
    }

    static inline void meshd_count(uint8_t *byte, uint8_t value)
    {
        __atomic_store_n(byte, value, __ATOMIC_RELEASE);
    }
    """
    void hold "meshd_hold"(uint64_t* word, uint64_t value) nogil
    void count "meshd_count"(uint8_t* byte, uint8_t value) nogil

WAYS = 16
LANES = 16

cdef enum:
    LINE = 16  # words
    LANE_MASK = 15

cdef double SLACK_S = 1e-9  # as in hot/bucket.py


def shape(max_keys):
    """Return (buckets in a set, sets, bytes of the body) of a table for ``max_keys``, rounded up to whole sets."""
    ways = min(max_keys, WAYS)
    sets = (max_keys + ways - 1) // ways
    return ways, sets, (sets + 63) // 64 * 64 + sets * ways * (16 + sizeof(Bucket))


cdef class SharedBuckets:
    """The table in ``cell``, which has ``LANES`` locks and the body of ``shape(max_keys)``.

    ``evicted`` is how many buckets this process gave up for others.
    """

    def __init__(self, max_keys, cell):
        cdef char* start
        PyObject_GetBuffer(cell.arena.memory, &self.memory, PyBUF_WRITABLE)
        start = <char*> self.memory.buf
        self.ways, self.sets, _ = shape(max_keys)
        self.locks = <uint32_t*> (start + <Py_ssize_t> cell.locks)
        self.counts = <uint8_t*> (start + <Py_ssize_t> cell.body)
        self.first = start + <Py_ssize_t> cell.body + (self.sets + 63) // 64 * 64
        self.slot = cell.arena.slot
        self.secret = cell.arena.secret
        self.cell = cell
        self.none = self.digest(None)

    def __dealloc__(self):
        PyBuffer_Release(&self.memory)

    def __len__(self):
        """Return how many buckets are kept."""
        cdef uint64_t number
        cdef Py_ssize_t found = 0
        if self.cell is not None:
            for number in range(self.sets):
                found += self.counts[number]
        return found

    cpdef find(self, key, double rate_per_s, double burst, double now):
        """Return the bucket of ``key`` with these limits; a new one is full. The key's text is what counts."""
        cdef SharedBucket found = SharedBucket.__new__(SharedBucket)
        cdef bytes digest = self.none if key is None else self.digest(key)
        found.table = self
        found.rate_per_s = rate_per_s
        found.burst = burst
        memcpy(found.digest, PyBytes_AS_STRING(digest), 16)
        return found

    cdef bytes digest(self, key):
        return blake2b(repr(key).encode("utf-8", "backslashreplace"), digest_size=16, key=self.secret).digest()

    def close(self):
        """End this process's claim; nothing is admitted any more."""
        cell, self.cell = self.cell, None
        if cell is not None:
            cell.release()

    cdef Bucket* seek(self, uint64_t* digest) noexcept:
        """Return the bucket of ``digest``, or NULL."""
        cdef uint64_t number = digest[0] % self.sets
        cdef char* start = self.first + number * self.ways * (16 + sizeof(Bucket))
        cdef uint64_t* known = <uint64_t*> start
        cdef uint64_t way
        for way in range(self.counts[number]):
            if known[2 * way] == digest[0] and known[2 * way + 1] == digest[1]:
                return <Bucket*> (start + self.ways * 16) + way
        return NULL

    cdef Bucket* make(self, uint64_t* digest, State* state, double now) noexcept:
        """Make a bucket, in the place of another where the set is full; return it."""
        cdef uint64_t number = digest[0] % self.sets
        cdef char* start = self.first + number * self.ways * (16 + sizeof(Bucket))
        cdef uint64_t* known = <uint64_t*> start
        cdef Bucket* buckets = <Bucket*> (start + self.ways * 16)
        cdef uint64_t size = self.counts[number]
        cdef uint64_t way = size
        cdef uint64_t other
        if size == self.ways:
            self.evicted += 1
            way = 0
            for other in range(1, size):
                if buckets[other].used_at < buckets[way].used_at:
                    way = other
        write(buckets + way, state, now)
        hold(known + 2 * way, digest[0])
        hold(known + 2 * way + 1, digest[1])
        if size < self.ways:
            count(self.counts + number, size + 1)
        return buckets + way


cdef void write(Bucket* bucket, State* state, double now) noexcept:
    """Put a state in the place of the one that holds."""
    cdef uint64_t which = 1 - (bucket.which & 1)
    bucket.states[which] = state[0]
    hold(&bucket.which, which)
    bucket.used_at = now


cdef class SharedBucket:
    """One bucket of a table, for one request; as ``TokenBucket``. Each call looks for it: it may have been evicted."""

    cpdef bint take(self, double now, double tokens=1) except -1:
        """Take ``tokens`` at once, or none of them; say which."""
        cdef State state
        cdef Bucket* bucket
        cdef bint is_taken
        cdef uint32_t* lock = self.lock()
        if lock == NULL:
            return False
        bucket = self.table.seek(self.digest)
        is_taken = self.level(bucket, now, &state) + self.slack() >= tokens
        if is_taken:
            state.taken += tokens
        if bucket == NULL:
            self.table.make(self.digest, &state, now)
        else:
            write(bucket, &state, now)
        lock_free(lock)
        return is_taken

    cpdef double available(self, double now) except? -1:
        """Return the level in tokens, between 0 and ``burst``."""
        cdef State state
        cdef double found
        cdef uint32_t* lock = self.lock()
        if lock == NULL:
            return 0.0
        found = self.level(self.table.seek(self.digest), now, &state)
        lock_free(lock)
        return min(max(found, 0.0), self.burst)

    cpdef double wait_s(self, double now, double tokens=1) except? -1:
        """Return the seconds until ``tokens`` (at most ``burst``) are there; 0.0 where they are."""
        cdef double lacking = tokens - self.available(now)
        return lacking / self.rate_per_s if lacking > self.slack() else 0.0

    cpdef double full_s(self, double now) except? -1:
        """Return the seconds until the bucket is full."""
        return (self.burst - self.available(now)) / self.rate_per_s

    cdef double slack(self) noexcept:
        return self.rate_per_s * SLACK_S + 1e-12 * self.burst

    cdef uint32_t* lock(self) noexcept:
        """Lock the bucket's set; return the lock, NULL where it did not come free or the table is closed."""
        cdef SharedBuckets table = self.table
        cdef uint32_t* lock = table.locks + (self.digest[0] % table.sets & LANE_MASK) * LINE
        return lock if table.cell is not None and acquire(lock, table.slot + 1) else NULL

    cdef double level(self, Bucket* bucket, double now, State* state) noexcept:
        """Return the level by this bucket's limits and set ``state`` to it; another limit keeps the level."""
        cdef State held
        cdef double found = self.burst
        state[0] = State(self.rate_per_s, self.burst, now, 0.0)
        if bucket == NULL:
            return found
        held = bucket.states[bucket.which & 1]
        found = held.burst + held.rate_per_s * (now - held.full_at) - held.taken
        if held.rate_per_s != self.rate_per_s or held.burst != self.burst:
            found = min(max(found, 0.0), held.burst, self.burst)
            state.taken = self.burst - found
        elif found >= held.burst:
            found = held.burst
        else:
            state.full_at = held.full_at
            state.taken = held.taken
        return found
