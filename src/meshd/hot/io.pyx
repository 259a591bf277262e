# cython: language_level=3, boundscheck=False, wraparound=False
"""The socket's read and write in C. Twin of ``io.py``."""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE, PyBytes_FromStringAndSize
from libc.errno cimport EAGAIN, EINTR, errno
from libc.string cimport strerror

cdef extern from "sys/socket.h" nogil:
    ssize_t c_recv "recv"(int fd, void* buffer, size_t size, int flags)
    ssize_t c_send "send"(int fd, const void* buffer, size_t size, int flags)
    int MSG_NOSIGNAL

cdef extern from "unistd.h" nogil:
    ssize_t c_read "read"(int fd, void* buffer, size_t size)
    ssize_t c_write "write"(int fd, const void* buffer, size_t size)

READ_BYTES = 65536
cdef char BUFFER[65536]


cpdef bytes recv(int fd):
    cdef ssize_t count
    while True:
        count = c_read(fd, BUFFER, 65536)
        if count >= 0:
            return PyBytes_FromStringAndSize(BUFFER, count)
        if errno == EAGAIN:
            return None
        if errno != EINTR:
            raise OSError(errno, strerror(errno).decode())


cpdef Py_ssize_t send(int fd, bytes data) except -1:
    cdef ssize_t count
    while True:
        count = c_write(fd, PyBytes_AS_STRING(data), PyBytes_GET_SIZE(data))
        if count >= 0:
            return count
        if errno == EAGAIN:
            return 0
        if errno != EINTR:
            raise OSError(errno, strerror(errno).decode())
