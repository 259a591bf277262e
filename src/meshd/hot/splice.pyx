# cython: language_level=3, boundscheck=False, wraparound=False
"""Bytes from one socket to another through a pipe, in C. Twin of ``splice.py``."""

from libc.errno cimport EAGAIN, EINTR, errno
from libc.string cimport strerror

cdef extern from *:
    """
    #ifndef _GNU_SOURCE
    #define _GNU_SOURCE
    #endif
    #include <fcntl.h>
    #ifdef SPLICE_F_MOVE
    #define MESHD_HAS_SPLICE 1
    #define MESHD_FLAGS (SPLICE_F_MOVE | SPLICE_F_NONBLOCK)
    #define MESHD_SPLICE(from, to, count) splice(from, NULL, to, NULL, count, MESHD_FLAGS)
    #else
    #include <errno.h>
    #define MESHD_HAS_SPLICE 0
    #define MESHD_SPLICE(from, to, count) (errno = ENOSYS, -1)
    #endif
    """
    ssize_t MESHD_SPLICE(int source, int target, size_t count) nogil
    int MESHD_HAS_SPLICE

HAS_SPLICE = bool(MESHD_HAS_SPLICE)


cpdef Py_ssize_t pull(int fd, int pipe, Py_ssize_t count) except -2:
    cdef ssize_t moved
    while True:
        moved = MESHD_SPLICE(fd, pipe, count)
        if moved >= 0:
            return moved
        if errno == EAGAIN:
            return -1
        if errno != EINTR:
            raise OSError(errno, strerror(errno).decode())


cpdef Py_ssize_t push(int pipe, int fd, Py_ssize_t count) except -2:
    cdef ssize_t moved
    while True:
        moved = MESHD_SPLICE(pipe, fd, count)
        if moved >= 0:
            return moved
        if errno == EAGAIN:
            return 0
        if errno != EINTR:
            raise OSError(errno, strerror(errno).decode())
