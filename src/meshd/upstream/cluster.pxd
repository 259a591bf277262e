from meshd.upstream.endpoint cimport Endpoint
from meshd.upstream.pool cimport Pool

cimport cython

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
    cdef public object per_try_idle_timeouts
    cdef public object none_healthy
    cdef public object attempts_exceeded
    cdef public object retry_success
    cdef public object retry_limit_exceeded
    cdef public object active_connections
    cdef public object active_requests

cdef class Cluster:
    cdef public object spec
    cdef public object tls
    cdef public bint has_checks
    cdef public str name
    cdef public object balancer
    cdef public object breaker
    cdef public object world
    cdef public object verdicts
    cdef public object node
    cdef public object set
    cdef public object pick
    cdef public object observe
    cdef public Cells cells
    cdef public tuple endpoints
    cdef public dict by_address
    cdef public dict inherited
    cdef public long idle
    cdef public bint is_started
    cdef public double arranged
    cdef public dict calls
    cdef public set streams
    cdef object __weakref__

    @cython.locals(endpoint=Endpoint, first=Pool)
    cpdef bind(self)
    @cython.locals(made=Endpoint)
    cpdef endpoint(self, spec, Endpoint known, bint is_first)
    cpdef judge(self, Endpoint endpoint)
