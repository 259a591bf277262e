from meshd.exchange.exchange cimport Exchange

cdef class Chain:
    cdef object __weakref__
    cdef public object uses
    cdef public object all_sinks
    cdef public long sample_every
    cdef public long countdown
    cdef public long active
    cdef public object on_idle
    cdef public object transport
    cdef public object match
    cdef public tuple request_steps
    cdef public tuple response_steps
    cdef public tuple complete_steps
    cdef public tuple sink_steps
    cpdef request(self, exchange)
    cpdef walk(self, exchange, tuple steps, Py_ssize_t index)
    cpdef response(self, exchange)
    cpdef walk_back(self, exchange, tuple steps, Py_ssize_t index)
    cpdef complete(self, exchange)
