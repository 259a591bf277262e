# Types of gate.py for the compiled build.

cimport cython


cdef class Gate:
    cdef public str flood
    cdef public int code
    cdef public set known
    cdef bint _is_begun
    cdef Py_ssize_t _max_frame
    cdef public long long resets
    cdef public long long goaway
    cdef public bint is_within
    cdef long long _before
    cdef bint _is_server
    cdef bint _has_greeted
    cdef int _kind
    cdef int _flags
    cdef Py_ssize_t _left
    cdef Py_ssize_t _passed
    cdef bytes _head
    cdef long long _opened
    cdef long long _last_stream_id
    cdef long long _empty
    cdef long long _priority
    cdef long long _updates
    cdef long long _data_sent
    cdef long long _replies
    cdef long long _section_bytes
    cdef long long _continuations
    cdef long long _max_empty
    cdef long long _max_priority
    cdef long long _max_updates
    cdef long long _max_replies
    cdef long long _max_section_bytes
    cdef long long _max_continuations

    @cython.locals(size=Py_ssize_t, at=Py_ssize_t, start=Py_ssize_t, step=Py_ssize_t, fed=bytes, part=bytes)
    cpdef bytes check(self, bytes data)
    cdef _greet(self, bytes data, Py_ssize_t at, Py_ssize_t step)
    cdef _expect_used(self, long long stream_id)
    @cython.locals(length=Py_ssize_t, kind=int, flags=int, stream_id=cython.longlong)
    cdef _open(self, bytes data, Py_ssize_t at)
    cdef _begin(self, long long stream_id)
    cdef _begin_own(self, long long stream_id)
    cdef _look(self, Py_ssize_t length, int flags)
    cdef _padded(self, int pad_bytes)
    cdef _count_empty(self)
    cdef _continue(self, Py_ssize_t length, int flags)
    @cython.locals(count=Py_ssize_t, index=Py_ssize_t)
    cdef bytes _clear(self, bytes data, bytes fed, Py_ssize_t at, Py_ssize_t step)
    @cython.locals(size=Py_ssize_t, at=Py_ssize_t, length=Py_ssize_t, kind=int)
    cpdef sent(self, bytes data)
