# Types of balancer.py for the compiled build.
cimport cython

cpdef double weight_in_force(double weight, double active, double bias) except? -1.0

cdef class LeastRequest:
    cdef object _made_of
    cdef Py_ssize_t _choices
    cdef double _bias
    cdef object _random
    cdef tuple _endpoints
    cdef list _turns
    cdef double _now
    cdef object _one
    cdef object __weakref__
    cpdef pick(self, exchange)
    @cython.locals(count=Py_ssize_t, place=Py_ssize_t, other=Py_ssize_t)
    cpdef _draw_two(self)
