cpdef Py_ssize_t pull(int fd, int pipe, Py_ssize_t count) except -2
cpdef Py_ssize_t push(int pipe, int fd, Py_ssize_t count) except -2
