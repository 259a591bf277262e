# Types of parser.py for the compiled build.

cimport cython

cdef class Parser:
    cdef public object sink
    cdef public int state
    cdef public Py_ssize_t max_head_bytes
    cdef public Py_ssize_t max_fields
    cdef public Py_ssize_t _uncounted_bytes
    cdef public bytes _data
    cdef public Py_ssize_t _at
    cdef public Py_ssize_t _seen
    cdef public long long _left
    cdef public object _chunks
    cdef public bint _is_running
    cdef object __weakref__

    cpdef object stop(self)
    @cython.locals(state=int, has_more=bint)
    cpdef object _run(self)
    cpdef bint _rest(self, int state) except -1
    cpdef bytes _join(self, bytes data)
    cpdef object _use(self, Py_ssize_t at)
    cpdef bint _read_raw(self) except -1
    @cython.locals(data=bytes, piece=bytes, at=Py_ssize_t, size=Py_ssize_t, left=cython.longlong)
    cpdef bint _read_body(self) except -1
    cpdef bint _read_chunks(self) except -1
    cpdef object _end(self, object trailers)
    cpdef bint _read_head(self) except -1
    cpdef Py_ssize_t _first_line_end(self, bytes data, Py_ssize_t at, int status) except -2
    cpdef object _check_feeds(self, bytes data, Py_ssize_t at, int status)
