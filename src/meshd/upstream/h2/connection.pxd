from meshd.upstream.connection cimport UpstreamConnection
from meshd.upstream.h2.lease cimport Lease, Outlet
from meshd.wire.descriptor cimport Descriptor
from meshd.wire.poller cimport Poller
from meshd.wire.wheel cimport Timer

cimport cython

cdef class StreamConnection(UpstreamConnection):
    cdef public object session
    cdef public dict leases
    cdef public long active
    cdef public long heard
    cdef public long begun
    cdef public bint has_settings
    cdef public list upgrades
    cdef public list writing
    cdef public list touched
    cdef public bint is_dirty
    cdef public bint is_leaving
    cdef public bint is_listed
    cdef public bint is_idle
    cdef public double idle_since
    cdef public double ping_at
    cdef public double ping_deadline
    cdef public Py_ssize_t high_bytes
    cdef public Py_ssize_t low_bytes
    cdef public object stream_cells
    cpdef bint has_room(self) except -1
    cpdef take(self)
    cpdef begin(self, Lease lease, head, bint is_last)
    @cython.locals(outlet=Outlet)
    cpdef leave(self, Lease lease)
    @cython.locals(poller=Poller)
    cpdef wake(self)
    @cython.locals(descriptor=Descriptor)
    cpdef write_queued(self)
    @cython.locals(lease=Lease)
    cpdef received(self, bytes data)
    cpdef touch(self, Lease lease)
    @cython.locals(lease=Lease)
    cpdef on_response(self, long stream_id, head, bint is_last)
    @cython.locals(lease=Lease)
    cpdef on_body(self, long stream_id, bytes data)
    @cython.locals(lease=Lease)
    cpdef on_end(self, long stream_id, trailers)
    cpdef on_closed(self, long stream_id)
    @cython.locals(timer=Timer)
    cpdef hurry(self, double deadline)
    cpdef close(self)
