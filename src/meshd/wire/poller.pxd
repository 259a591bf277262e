cimport cython

cdef class Poller:
    cdef public object reactor
    cdef public object epoll
    cdef public dict owners
    cdef public list closing
    cdef public list unsent
    cdef public double now
    cdef public double beat
    cdef public object log
    cdef public long batch
    cdef public object turn
    cdef public bint is_called
    @cython.locals(begin=double, before=double, now=double)
    cpdef work(self, list events)
    cpdef dispatch(self, list events)
