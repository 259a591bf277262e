cdef class Endpoint:
    cdef public object spec
    cdef public object pool
    cdef public str address
    cdef public double weight
    cdef public long active
    cdef public bint healthy
    cdef public long bits
    cdef public object labels
    cdef public str locality
    cdef public long priority
    cdef public double warm_from
    cdef public object memo
    cdef object __weakref__
