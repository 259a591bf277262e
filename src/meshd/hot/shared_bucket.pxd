# Types of shared_bucket.pyx: how a table lies in the body of a cell.

from libc.stdint cimport uint8_t, uint32_t, uint64_t

cdef struct State:
    double rate_per_s
    double burst
    double full_at
    double taken


cdef struct Bucket:
    double used_at
    uint64_t which
    State[2] states


cdef class SharedBuckets:
    cdef readonly long long evicted
    cdef object cell
    cdef object secret
    cdef bytes none
    cdef Py_buffer memory
    cdef uint32_t* locks
    cdef uint8_t* counts
    cdef char* first
    cdef uint64_t ways
    cdef uint64_t sets
    cdef uint32_t slot

    cpdef find(self, key, double rate_per_s, double burst, double now)
    cdef bytes digest(self, key)
    cdef Bucket* seek(self, uint64_t* digest) noexcept
    cdef Bucket* make(self, uint64_t* digest, State* state, double now) noexcept


cdef class SharedBucket:
    cdef readonly double rate_per_s
    cdef readonly double burst
    cdef SharedBuckets table
    cdef uint64_t[2] digest

    cdef double slack(self) noexcept
    cdef uint32_t* lock(self) noexcept
    cdef double level(self, Bucket* bucket, double now, State* state) noexcept
    cpdef bint take(self, double now, double tokens=*) except -1
    cpdef double available(self, double now) except? -1
    cpdef double wait_s(self, double now, double tokens=*) except? -1
    cpdef double full_s(self, double now) except? -1
