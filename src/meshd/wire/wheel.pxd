cdef class Timer:
    cdef public object wheel
    cdef public object fire
    cdef public double deadline
    cdef public long slot
    cpdef arm(self, double deadline)
    cpdef cancel(self)
    cpdef end(self)
