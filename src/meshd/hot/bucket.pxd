cimport cython


cdef class TokenBucket:
    cdef public double rate_per_s
    cdef public double burst
    cdef double _full_at
    cdef double _taken
    cdef double _slack

    cpdef bint take(self, double now, double tokens=*)
    cpdef double available(self, double now)
    cpdef double wait_s(self, double now, double tokens=*)
    cpdef double full_s(self, double now)


cdef class Buckets:
    cdef readonly object by_key
    cdef readonly Py_ssize_t max_keys
    cdef readonly long long evicted

    @cython.locals(bucket=TokenBucket)
    cpdef find(self, key, double rate_per_s, double burst, double now)
