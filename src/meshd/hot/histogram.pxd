cdef class Histogram:
    cdef readonly tuple bounds
    cdef readonly double total
    cdef Py_ssize_t size
    cdef double* limits
    cdef long long* counts

    cpdef observe(self, double value)
