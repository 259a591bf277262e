cdef class Group:
    cdef public object balancer
    cdef public object pick
    cdef public object endpoints
    cdef public tuple weights

cdef class Level:
    cdef public list all
    cdef public list well
    cdef public list degraded
    cdef public long pending
    cpdef add(self, endpoint)

cdef class EndpointSet:
    cdef public object policy
    cdef public object node
    cdef public object own_service
    cdef public object key
    cdef public list shares
    cdef object _another
    cdef object _random
    cdef dict _groups
    cdef object _spare
    cdef list _levels
    cdef list _bounds
    cdef list _picks
    cdef list _priorities
    cpdef _at(self, list bounds, list picks, exchange)
