# Types of common.py for the compiled build.

cimport cython

from meshd.http.h2 cimport fields
from meshd.http.h2.gate cimport Gate
from meshd.http.h2.session cimport Session, Stream
from meshd.http.head cimport RequestHead, ResponseHead


cdef class CommonSession(Session):
    cdef public bint is_server
    cdef public bint is_finishing
    cdef public bint is_left
    cdef public bint allows_connect
    cdef public long long max_streams
    cdef public Gate gate
    cdef public bint _has_settings
    cdef public list _lingering
    cdef public bint _is_shutting_down
    cdef public bint _has_finished
    cdef public long long _resets
    cdef public long long _provoked
    cdef public long long _gone
    cdef public long long _premature
    cdef public long long _pending
    cdef long long _max_pending
    cdef long long _max_open

    cpdef _submit(self, long long stream_id, list section, bint is_last)
    cpdef _credit(self, long long stream_id, Py_ssize_t count)
    @cython.locals(kind=int, stream_id=cython.longlong)
    cpdef request(self, RequestHead head, bint is_last)
    @cython.locals(stream=Stream, section=list)
    cpdef respond(self, long long stream_id, ResponseHead head, bint is_last)
    @cython.locals(stream=Stream)
    cpdef consume(self, long long stream_id, long long count)
    @cython.locals(stream=Stream)
    cpdef got_request(self, long long stream_id, tuple section, bint is_last)
    @cython.locals(stream=Stream, head=ResponseHead)
    cpdef got_response(self, long long stream_id, tuple section, bint is_last)
    @cython.locals(stream=Stream)
    cpdef got_data(self, long long stream_id, bytes data, bint is_last)
    @cython.locals(stream=Stream)
    cpdef got_closed(self, long long stream_id)
    @cython.locals(gate=Gate)
    cpdef _end_at_gate(self)
    @cython.locals(gate=Gate, resets=cython.longlong, provoked=cython.longlong)
    cpdef _has_sent(self, bytes data)
    cpdef _has_queued(self)
