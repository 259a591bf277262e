from meshd.upstream.connection cimport UpstreamConnection
from meshd.upstream.h2.connection cimport StreamConnection
from meshd.upstream.pool cimport Pool

cimport cython

cdef class StreamPool(Pool):
    cdef public list ready
    cdef public long max_streams
    cdef public long expected
    cdef public object keepalive
    cdef public object session_settings
    cdef public long limit_requests
    cdef public str engine
    cpdef bind_as(self, Pool other)
    cpdef retire(self)
    cpdef reach(self, breaker)
    @cython.locals(connection=StreamConnection)
    cpdef take(self, attempt)
    cpdef put(self, UpstreamConnection connection)
    @cython.locals(now=double)
    cpdef rest(self, StreamConnection connection)
    cpdef unidle(self, StreamConnection connection)
