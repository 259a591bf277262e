cdef class Endpoint:
    cdef public object spec
    cdef public object pool
    cdef public str address
    cdef public long weight
    cdef public long active
    cdef public bint healthy
    cdef public object labels
    cdef public str locality
    cdef public long priority
    cdef object __weakref__
