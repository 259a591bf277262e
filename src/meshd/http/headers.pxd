cdef class Headers:
    cdef public bytes raw
    cdef public bytes low
    cpdef bytes get(self, bytes name)
    cpdef add(self, bytes name, bytes value)
    cpdef bint remove(self, bytes name) except -1
    cpdef set(self, bytes name, bytes value)
