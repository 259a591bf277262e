cdef class Cells:
    cdef public object requests
    cdef public object retries
    cdef public object retry_overflow
    cdef public object request_overflow
    cdef public object pending_overflow
    cdef public object timeouts
    cdef public object per_try_timeouts
    cdef public object connections
    cdef public object connect_failures
    cdef public object connection_overflow
    cdef public object active_connections
    cdef public object active_requests

cdef class Cluster:
    cdef public object spec
    cdef public str name
    cdef public object balancer
    cdef public object breaker
    cdef public object world
    cdef public object pick
    cdef public Cells cells
    cdef public tuple endpoints
    cdef public dict inherited
    cdef public long idle
    cdef public bint is_started
    cdef object __weakref__
