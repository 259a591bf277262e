# Types of session.py for the compiled build.

cdef class Stream:
    cdef public bint is_told
    cdef public bint is_answered
    cdef public bint is_over
    cdef public bint is_ended
    cdef public bint is_closed
    cdef public long long held
    cdef public int kind
    cdef public int interim
    cdef public double begun


cdef class Session:
    cdef public str role
    cdef public object settings
    cdef public object sink
    cdef public object clock
    cdef public bint is_closed
    cdef public long long last_stream_id
    cdef public dict streams
