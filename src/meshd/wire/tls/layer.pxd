from meshd.hot cimport io
from meshd.wire.descriptor cimport Descriptor
from meshd.wire.poller cimport Poller

cdef class TlsDescriptor(Descriptor):
    cdef public object tls
    cdef public object engine
    cdef public object raw
    cdef public object incoming
    cdef public object outgoing
    cdef public object timer
    cdef public long unread
    cdef public double timeout_s
    cdef public object session_key
    cdef public bint is_ready
    cdef public bint is_shut
    cdef public bint keeps_session
    cpdef shake(self)
    cpdef decrypt(self)
    cpdef encrypt(self, bytes data)
    cpdef bint seal(self, bytes data) except -1
    cpdef put(self)
    cpdef put_off(self)
    cpdef rest(self)
    cpdef over(self)
    cpdef doubt(self)
    cpdef say_end(self)
