from meshd.hot cimport block

cdef class Headers:
    cdef public bytes raw
    cdef public bytes low
    cdef public object secret
    cpdef bytes get(self, bytes name)
    cpdef value(self, bytes needle)
    cpdef add(self, bytes name, bytes value)
    cpdef bint remove(self, bytes name) except -1
    cpdef set(self, bytes name, bytes value)
