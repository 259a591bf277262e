cdef class Edge:
    cdef public object options
    cdef public bytes id_tail
    cdef public unsigned long long id_count
    cdef public bint is_edge
    cdef public long hops
    cdef public bint makes_id
    cdef public bint normalizes
    cdef public object slashes
    cdef public bint merges
    cpdef prepare(self, exchange)
    cpdef stamp(self, exchange, headers)
    cpdef bytes request_id(self)
