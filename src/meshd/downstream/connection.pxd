cimport cython

from meshd.exchange.exchange cimport Exchange
from meshd.http cimport compose
from meshd.http.head cimport RequestHead, ResponseHead
from meshd.http.request cimport RequestParser
from meshd.wire.descriptor cimport Descriptor
from meshd.wire.poller cimport Poller
from meshd.wire.wheel cimport Timer

cdef class Connection:
    cdef public object listener
    cdef public object world
    cdef public Poller poller
    cdef public Descriptor descriptor
    cdef public RequestParser parser
    cdef public Exchange exchange
    cdef public Timer timer
    cdef public str peer
    cdef public str host
    cdef public bytes host_bytes
    cdef public bytes forwarded
    cdef public object cells
    cdef public str local
    cdef public long long id
    cdef public long requests
    cdef public bint is_draining
    cdef public bint is_kept
    cdef public bint is_lingering
    cdef public double head_since
    cdef public double since
    cdef public object limits
    cdef public object times
    cdef public object chain
    cdef public double idle_since
    cdef public bytes early
    cdef public object security
    cpdef received(self, bytes data)
    @cython.locals(exchange=Exchange)
    cpdef on_request(self, RequestHead head)
    cpdef on_body(self, bytes data)
    cpdef on_end(self, trailers)
    @cython.locals(request_head=RequestHead)
    cpdef begin(self, Exchange exchange, ResponseHead head)
    cpdef bint may_keep(self, Exchange exchange) except -1
    cpdef write(self, Exchange exchange, bytes data)
    cpdef finish(self, Exchange exchange, trailers)
    cpdef flush(self, Exchange exchange)
    cpdef complete(self, Exchange exchange, bint is_whole)
    cpdef next(self)
    cpdef rest(self)
    cpdef hurry(self, double deadline)
    cpdef close(self)
