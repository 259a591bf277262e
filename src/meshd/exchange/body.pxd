cdef class RequestBody:
    cdef public list held
    cdef public Py_ssize_t size
    cdef public Py_ssize_t replay_limit
    cdef public bint can_replay
    cdef public bint is_complete
    cdef public object trailers
    cpdef hold(self, bytes data)
    cpdef taken(self)
    cpdef passed(self, bytes data)
    cpdef forget(self)
