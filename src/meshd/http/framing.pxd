# Types of framing.py for the compiled build.

cimport cython

from meshd.hot cimport block
from meshd.http.headers cimport Headers

cpdef object read_length(bytes value, int status=*)
@cython.locals(low=bytes, value=bytes)
cpdef int strip_connection(Headers headers, Py_ssize_t start, Py_ssize_t end) except -2
