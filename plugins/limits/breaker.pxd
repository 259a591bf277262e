# Types of breaker.py for the compiled build.

from meshd.hot.ledger cimport Ledger

cdef int CONNECTIONS
cdef int PENDING
cdef int REQUESTS
cdef int RETRIES


cdef class Breaker:
    cdef readonly Ledger ledger
    cdef readonly object limits
    cdef public object high
    cdef public object max_connections_per_endpoint
    cdef long long _max_connections
    cdef long long _max_pending
    cdef long long _max_requests
    cdef long long _max_retries
    cdef object _metrics
    cdef object _owner
    cdef object _priority
    cdef object _is_tracked
    cdef object __weakref__

    cpdef admit_request(self)
    cpdef release_request(self)
    cpdef admit_pending(self)
    cpdef release_pending(self)
    cpdef admit_connection(self)
    cpdef release_connection(self)
    cpdef admit_retry(self)
    cpdef release_retry(self)
