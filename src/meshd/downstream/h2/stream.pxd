cimport cython

from meshd.exchange.exchange cimport Exchange
from meshd.http.head cimport RequestHead, ResponseHead
from meshd.wire.poller cimport Poller

cdef class Stream:
    cdef public object connection
    cdef public object session
    cdef public long stream_id
    cdef public Exchange exchange
    cdef public object world
    cdef public Poller poller
    cdef public object listener
    cdef public str peer
    cdef public str host
    cdef public bytes host_bytes
    cdef public bytes forwarded
    cdef public str local
    cdef public long long id
    cdef public object head
    cdef public object trailers
    cdef public object early
    cdef public Py_ssize_t owed
    cdef public double last
    cdef public bint is_over
    cdef public bint is_paused
    cdef public bint is_ended
    cdef public bint is_extended
    cdef public bint is_kept
    @cython.locals(exchange=Exchange)
    cpdef received(self, bytes data)
    cpdef ask(self, Exchange exchange, RequestHead head)
    cpdef begin(self, Exchange exchange, ResponseHead head)
    cpdef write(self, Exchange exchange, bytes data)
    cpdef finish(self, Exchange exchange, trailers)
    @cython.locals(out=list, data=bytes, is_last=bint, is_bare=bint)
    cpdef flush(self, Exchange exchange)
    cpdef pause(self)
    cpdef resume(self)
    cpdef complete(self, Exchange exchange, bint is_whole)
