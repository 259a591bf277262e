cimport cython

from meshd.downstream.h2.stream cimport Stream
from meshd.exchange.exchange cimport Exchange
from meshd.http.h2.gate cimport Gate
from meshd.http.head cimport RequestHead
from meshd.wire.poller cimport Poller
from meshd.wire.wheel cimport Timer

cdef class H2Connection:
    cdef public object listener
    cdef public object world
    cdef public Poller poller
    cdef public object descriptor
    cdef public object session
    cdef public Gate gate
    cdef public dict streams
    cdef public Timer timer
    cdef public str peer
    cdef public str host
    cdef public bytes host_bytes
    cdef public bytes forwarded
    cdef public bytes scheme
    cdef public object security
    cdef public object cells
    cdef public object h2
    cdef public str local
    cdef public long long id
    cdef public long requests
    cdef public object limits
    cdef public object times
    cdef public double since
    cdef public double idle_since
    cdef public Py_ssize_t write_high_bytes
    cdef public object keepalive
    cdef public double next_ping
    cdef public double ping_late
    cdef public double finish_late
    cdef public bint is_draining
    cdef public bint is_finished
    cdef public bint is_lingering
    cdef public bint is_busy
    cdef public bint is_queued
    cdef public bint is_calling
    cdef public bint is_left
    cdef public bint is_parted
    cdef public double head_late
    cdef public list cut
    cpdef received(self, bytes data)
    cpdef touch(self)
    @cython.locals(data=bytes)
    cpdef write_queued(self)
    @cython.locals(stream=Stream, exchange=Exchange)
    cpdef on_request(self, long stream_id, RequestHead head, bint is_last)
    @cython.locals(stream=Stream)
    cpdef on_body(self, long stream_id, bytes data)
    @cython.locals(stream=Stream)
    cpdef on_end(self, long stream_id, trailers)
    @cython.locals(stream=Stream)
    cpdef forget(self, long stream_id)
    cpdef rest(self)
    cpdef hurry(self, double deadline)
