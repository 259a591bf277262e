cpdef tuple scan_fields(bytes low, bint wants_underscores)
cpdef Py_ssize_t request_line(bytes data, Py_ssize_t start, Py_ssize_t end) except? -2
