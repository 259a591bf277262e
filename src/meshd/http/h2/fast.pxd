# Types of fast.py for the compiled build.

cimport cython

from meshd.http.h2.common cimport CommonSession
from meshd.http.h2.gate cimport Gate
from meshd.http.h2.session cimport Stream


cdef class FastSession(CommonSession):
    cdef object _core
    cdef list _over
    cdef bytes _first
    cdef tuple _goaway
    cdef object _receive
    cdef object _take
    cdef object _events
    cdef object _send_data
    cdef object _queued
    cdef object _send_response
    cdef object _acknowledge
    cdef long long _high

    @cython.locals(gate=Gate)
    cpdef receive(self, bytes data)
    @cython.locals(data=bytes)
    cpdef bytes take(self)
    cpdef _dispatch(self)
    cpdef _closed(self, event)
    @cython.locals(stream=Stream, queued=cython.longlong)
    cpdef send(self, long long stream_id, bytes data, bint is_last=*)
    cpdef _submit(self, long long stream_id, list section, bint is_last)
    cpdef _credit(self, long long stream_id, Py_ssize_t count)
