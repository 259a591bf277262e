from meshd.hot cimport io
from meshd.wire.poller cimport Poller

cdef class Descriptor:
    cdef public int fd
    cdef public int mask
    cdef public Poller poller
    cdef public object owner
    cdef public object pending
    cdef public Py_ssize_t pending_bytes
    cdef public bint is_open
    cdef public bint is_closing
    cdef public bint is_half_closing
    cdef public bint is_eof
    cdef public bint is_held
    cdef public bint is_cut
    cdef public object security
    cdef public double last
    cdef public bytes queued
    cdef public object pump
    cpdef on_event(self, int mask)
    cpdef read(self)
    cpdef send(self, bytes data)
    cpdef write_queued(self)
    cpdef write(self, bytes data)
    cpdef flush(self)
    cpdef pause(self)
    cpdef resume(self)
    cpdef watch(self, int mask)
    cpdef release(self)
