cdef class Wheel

cdef class Timer:
    cdef public Wheel wheel
    cdef public object fire
    cdef public double deadline
    cdef public long slot
    cpdef arm(self, double deadline)
    cpdef cancel(self)
    cpdef end(self)

cdef class Wheel:
    cdef public object now
    cdef public object call_later
    cdef public object log
    cdef public dict slots
    cdef public list order
    cdef public object wake
    cdef public long wake_slot
    cpdef timer(self, fire)
    cpdef insert(self, Timer timer)
    cpdef remove(self, Timer timer)
