cdef class Security:
    cdef public object engine
    cdef public object raw
    cdef public object alpn
    cdef public object server_name
    cdef public bint is_resumed
    cdef public object local
    cdef public object forwarded
    cdef public object _peer
    cdef public object _session_id
