# Types of balancer.py for the compiled build.

cdef class RoundRobin:
    cdef object _random
    cdef tuple _endpoints
    cdef Py_ssize_t _next
    cdef list _turns
    cdef double _now
    cdef object __weakref__

    cpdef pick(self, exchange)
