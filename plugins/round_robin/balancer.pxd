# Types of balancer.py for the compiled build.

cpdef double next_turn(double at, double weight) except? -1.0

cdef class RoundRobin:
    cdef object _random
    cdef tuple _endpoints
    cdef Py_ssize_t _next
    cdef list _turns
    cdef double _now
    cdef object __weakref__

    cpdef pick(self, exchange)
