# Types of fields.py for the compiled build.

cimport cython

from meshd.hot.field cimport scan_fields
from meshd.hot.section cimport blocks, pseudo, split
from meshd.http.head cimport RequestHead, ResponseHead
from meshd.http.headers cimport Headers


@cython.locals(raw=bytes, low=bytes, size=Py_ssize_t, crumbs=int, scan=tuple, bits=int, headers=Headers)
cdef tuple _block(tuple fields, Py_ssize_t first, bytes host, limits)
@cython.locals(method=bytes, scheme=bytes, value=bytes, path=bytes, protocol=bytes, first=Py_ssize_t,
               headers=Headers, scan=tuple, bits=int, host=bytes, head=RequestHead)
cpdef RequestHead read_request(tuple fields, bint is_last, limits)
@cython.locals(text=bytes, headers=Headers, scan=tuple, bits=int, head=ResponseHead)
cpdef ResponseHead read_response(tuple fields, bint is_last, limits)
cdef _check_target(bytes method, bytes scheme, bytes path)
@cython.locals(host=bytes)
cpdef list write_request(RequestHead head)
cpdef list write_response(ResponseHead head)
cdef list _fields(Headers headers, list section)
