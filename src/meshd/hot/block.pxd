cpdef object value_of(bytes raw, bytes low, bytes needle)
cpdef bytes cut(bytes block, Py_ssize_t start, Py_ssize_t end)
cpdef long long number(bytes low, Py_ssize_t start, Py_ssize_t end) except? -2
cpdef bytes tagged(unsigned int count, bytes tail)
