from meshd.http.headers cimport Headers

cdef class RequestHead:
    cdef public bytes method
    cdef public bytes target
    cdef public bytes path
    cdef public bytes original_target
    cdef public bytes host
    cdef public bytes scheme
    cdef public int version
    cdef public Headers headers
    cdef public long long content_length
    cdef public bytes upgrade
    cdef public bint expect_continue
    cdef public bint keep_alive
    cpdef set_target(self, bytes target)

cdef class ResponseHead:
    cdef public int status
    cdef public bytes reason
    cdef public int version
    cdef public Headers headers
    cdef public long long content_length
    cdef public bint keep_alive
    cdef public bytes upgrade
