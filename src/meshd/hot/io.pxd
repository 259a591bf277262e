cpdef bytes recv(int fd)
cpdef Py_ssize_t send(int fd, bytes data) except -1
cpdef tuple accept(int fd)
cpdef str local(int fd)
