cdef class Half:
    cdef public object relay
    cdef public object descriptor
    cdef public Half other
    cdef public long long count
    cdef public bint is_eof
    cdef public object change
    cdef public int full
    cdef public tuple pipe
    cdef public Py_ssize_t held
    cdef public object paused
    cdef public object resumed
    cpdef received(self, bytes data)
    cpdef pause(self)
    cpdef resume(self)
    cpdef drained(self)
    cpdef pull(self)
    cpdef push(self)

cdef class Relay:
    cdef public object owner
    cdef public Half down
    cdef public Half up
    cdef public object pipes
    cdef public bint is_raw
    cdef public Py_ssize_t high_bytes
    cdef public Py_ssize_t low_bytes
    cdef public bint is_ended
    cdef public str reason
