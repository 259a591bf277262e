cdef class Arrival:
    cdef public object listener
    cdef public object world
    cdef public object descriptor
    cdef public object filters
    cdef public object data
    cdef public object peer
    cdef public object direct_peer
    cdef public object local
    cdef public object client
    cdef public object server_name
    cdef public object transport_protocol
    cdef public object application_protocols
    cdef public object timer
    cdef public object chain
    cdef public object metadata
    cdef public object waiting
    cdef public object own
    cdef public Py_ssize_t place
    cdef public double began
    cdef public double deadline
    cdef public bint is_draining
    cdef public bint is_over
    cdef public int fd
    cpdef serve(self, early, arrival)
    cpdef secured(self, protocol=*)
    cpdef rest(self)
