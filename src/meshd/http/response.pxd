# Types of response.py for the compiled build.

cimport cython

from meshd.hot cimport block
from meshd.hot.field cimport scan_fields
from meshd.http cimport framing
from meshd.http.head cimport ResponseHead
from meshd.http.headers cimport Headers
from meshd.http.parser cimport Parser


cdef class ResponseParser(Parser):
    cdef bytes _method
    cdef bint _takes_101
    cdef bint _is_expected
    cdef int _informational
    cdef bytes _last
    cdef tuple _known

    cpdef receive(self, bytes data)
    cpdef expect(self, bytes method, bint is_upgrade=*)
    cpdef object _end(self, object trailers)
    @cython.locals(data=bytes, at=Py_ssize_t, end=Py_ssize_t, eol=Py_ssize_t, whole=bytes, known=tuple, headers=Headers,
                   head=ResponseHead)
    cpdef bint _read_head(self) except -1
    @cython.locals(head=ResponseHead)
    cpdef bint _read_again(self, Py_ssize_t end) except -1
    @cython.locals(status=int)
    cpdef bint _deliver(self, ResponseHead head) except -1
    @cython.locals(headers=Headers, bits=int, start=Py_ssize_t, length=Py_ssize_t, length_end=Py_ssize_t,
                   named=Py_ssize_t, named_end=Py_ssize_t, keep=int, size=cython.longlong)
    cpdef object _read_fields(self, ResponseHead head, tuple fields)
