cdef class Poller:
    cdef public object reactor
    cdef public object epoll
    cdef public dict owners
    cdef public list closing
    cdef public list unsent
    cdef public double now
    cdef public double beat
    cdef public object log
    cpdef doRead(self)
    cpdef dispatch(self, list events)
