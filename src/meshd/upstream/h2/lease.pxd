from meshd.upstream.connection cimport UpstreamConnection
from meshd.wire.descriptor cimport Descriptor

cdef class Lease(UpstreamConnection):
    cdef public object line
    cdef public long stream_id
    cdef public Py_ssize_t held
    cdef public long heard
    cdef public bint is_touched
    cdef public bint is_sent
    cdef public object upgrade
    cdef public object key
    cdef public bytes method
    cpdef lease(self, attempt, bytes method, bint is_upgrade)
    cpdef release(self, bint is_reusable)
    cpdef close(self)
    cpdef begin(self, head, bint is_last)
    cpdef complete(self, trailers)
    cpdef on_response(self, head, bint is_last)
    cpdef on_body(self, bytes data)
    cpdef on_end(self, trailers)

cdef class Outlet(Descriptor):
    cdef public Lease of
    cdef public bint was_high
    cpdef send(self, bytes data)
    cpdef pause(self)
    cpdef resume(self)
    cpdef release(self)
