cimport cython

from meshd.exchange.exchange cimport Exchange
from meshd.http cimport compose
from meshd.http.head cimport RequestHead
from meshd.upstream.connection cimport UpstreamConnection
from meshd.upstream.endpoint cimport Endpoint
from meshd.upstream.pool cimport Pool

cdef class Attempt:
    cdef public Exchange exchange
    cdef public Endpoint endpoint
    cdef public Pool pool
    cdef public UpstreamConnection connection
    cdef public bint is_tunnel
    cdef public bint began
    cdef public bint is_ended
    cdef public double since
    cdef public object retry_of
    cdef public bint is_high
    cpdef run(self)
    @cython.locals(request=RequestHead)
    cpdef on_connection(self, UpstreamConnection connection)
    cpdef on_response(self, head)
    cpdef on_body(self, bytes data)
    cpdef on_end(self, trailers)
    cpdef flush(self)
    @cython.locals(connection=UpstreamConnection)
    cpdef send(self, bytes data, bint is_chunked)
    cpdef finish(self, bint is_reusable)
    cpdef cancel(self)
    cpdef end(self)
