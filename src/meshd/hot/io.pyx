# cython: language_level=3, boundscheck=False, wraparound=False
"""The socket's read and write in C, and how clients are taken in. Twin of ``io.py``."""

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

cdef extern from "netinet/in.h" nogil:
    ctypedef unsigned int socklen_t
    struct sockaddr:
        unsigned short sa_family
    struct sockaddr_storage:
        unsigned short ss_family
    struct in_addr:
        pass
    struct in6_addr:
        pass
    struct sockaddr_in:
        unsigned short sin_port
        in_addr sin_addr
    struct sockaddr_in6:
        unsigned short sin6_port
        in6_addr sin6_addr
    int AF_INET, AF_INET6, AF_UNIX, INET6_ADDRSTRLEN
    unsigned short ntohs(unsigned short value)

cdef extern from "arpa/inet.h" nogil:
    const char* inet_ntop(int family, const void* source, char* text, socklen_t size)

cdef extern from *:
    """
    #ifndef _GNU_SOURCE
    #define _GNU_SOURCE
    #endif
    #include <sys/socket.h>
    extern int accept4(int fd, struct sockaddr *name, socklen_t *size, int flags);
    """
    int accept4(int fd, sockaddr* name, socklen_t* size, int flags) nogil
    int c_getsockname "getsockname"(int fd, sockaddr* name, socklen_t* size) nogil
    int SOCK_NONBLOCK, SOCK_CLOEXEC

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


cpdef tuple accept(int fd):
    cdef sockaddr_storage name
    cdef socklen_t size
    cdef int number
    while True:
        size = sizeof(name)
        number = accept4(fd, <sockaddr*>&name, &size, SOCK_NONBLOCK | SOCK_CLOEXEC)
        if number >= 0:
            break
        if errno == EAGAIN:
            return None
        if errno != EINTR:
            raise OSError(errno, strerror(errno).decode())
    if name.ss_family == AF_UNIX:
        return number, "unix:", "unix"
    host = host_of(&name)
    return number, render(host, &name), host


cpdef str local(int fd):
    cdef sockaddr_storage name
    cdef socklen_t size = sizeof(name)
    if c_getsockname(fd, <sockaddr*>&name, &size) < 0:
        raise OSError(errno, strerror(errno).decode())
    return render(host_of(&name), &name)


cdef str host_of(sockaddr_storage* name):
    cdef char text[64]
    cdef const void* source = &(<sockaddr_in*>name).sin_addr
    if name.ss_family == AF_INET6:
        source = &(<sockaddr_in6*>name).sin6_addr
    inet_ntop(name.ss_family, source, text, sizeof(text))
    return text.decode("ascii")


cdef str render(str host, sockaddr_storage* name):
    if name.ss_family == AF_INET6:
        return f"[{host}]:{ntohs((<sockaddr_in6*>name).sin6_port)}"
    return f"{host}:{ntohs((<sockaddr_in*>name).sin_port)}"
