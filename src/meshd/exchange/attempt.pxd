from meshd.exchange.exchange cimport Exchange

cdef class Attempt:
    cdef public Exchange exchange
    cdef public object endpoint
    cdef public object pool
    cdef public object connection
    cdef public bint is_tunnel
    cdef public bint began
    cdef public bint has_head
    cdef public bint is_ended
    cpdef run(self)
    cpdef on_connection(self, connection)
    cpdef on_response(self, head)
    cpdef on_body(self, bytes data)
    cpdef on_end(self, trailers)
    cpdef flush(self)
    cpdef send(self, bytes data, bint is_chunked)
    cpdef finish(self, bint is_reusable)
    cpdef cancel(self)
    cpdef end(self)
