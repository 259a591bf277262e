# Types of request.py for the compiled build.

cimport cython

from meshd.hot.field cimport request_line, scan_fields
from meshd.http cimport framing
from meshd.http.head cimport RequestHead
from meshd.http.headers cimport Headers
from meshd.http.parser cimport Parser


cdef class RequestParser(Parser):
    cdef public bint allow_http_10
    cdef public str underscores
    cdef bint _watches
    cdef bint _is_after_blank
    cdef bytes _last
    cdef bytes _low
    cdef bytes _host

    cpdef receive(self, bytes data)
    cpdef next(self)
    cpdef object _end(self, object trailers)
    @cython.locals(data=bytes, at=Py_ssize_t, end=Py_ssize_t, eol=Py_ssize_t, code=Py_ssize_t, space=Py_ssize_t,
                   fields=bytes, is_usual=bint, head=RequestHead)
    cpdef bint _read_head(self) except -1
    @cython.locals(headers=Headers, low=bytes, bits=int, length=Py_ssize_t, length_end=Py_ssize_t, start=Py_ssize_t,
                   stop=Py_ssize_t, named=Py_ssize_t, named_end=Py_ssize_t, head=RequestHead)
    cpdef RequestHead _read_block(self, bytes method, bytes target, int version, bytes fields, bint is_usual)
    cpdef bint _read_part(self) except -1
    @cython.locals(headers=Headers, keep=int)
    cpdef object _read_fields(self, RequestHead head, int bits, Py_ssize_t start, bytes length, Py_ssize_t named,
                              Py_ssize_t named_end)
    @cython.locals(headers=Headers)
    cpdef object _read_framing(self, RequestHead head, int bits, bytes length)
