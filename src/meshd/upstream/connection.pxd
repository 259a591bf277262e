from meshd.http.response cimport ResponseParser
from meshd.wire.descriptor cimport Descriptor
from meshd.wire.wheel cimport Timer

cdef class UpstreamConnection:
    cdef public object pool
    cdef public object attempt
    cdef public Descriptor descriptor
    cdef public ResponseParser parser
    cdef public Timer timer
    cdef public long requests
    cdef public object dial
    cdef public str local
    cdef public object counted_by
    cdef public bint answered
    cdef public bint is_ready
    cdef public double since
    cdef public bint is_multiplexed
    cdef public bint is_refused
    cpdef lease(self, attempt, bytes method, bint is_upgrade)
    cpdef release(self, bint is_reusable)
    cpdef received(self, bytes data)
    cpdef close(self)
