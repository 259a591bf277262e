# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, initializedcheck=False
"""The compiled twin of ``field.py``: the same functions as C loops over the bytes; see there."""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from libc.string cimport memcmp

HOST, HOST_TWICE, LENGTH, LENGTH_TWICE, CODING, CODING_TWICE, CONNECTION, CONNECTION_TWICE = 1, 2, 4, 8, 16, 32, 64, 128
EXPECT, HOP, UNDERSCORE = 256, 512, 1024

cdef unsigned char is_token[256]
cdef unsigned char is_lower_token[256]
cdef unsigned char is_value[256]
cdef unsigned char is_target[256]


cdef void fill():
    cdef int i
    for i in range(256):
        is_value[i] = i == 9 or (32 <= i < 127) or i >= 128
        is_target[i] = 33 <= i < 127 and i != 35
        is_token[i] = is_lower_token[i] = 0
    for i in b"!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyz":
        is_token[i] = is_lower_token[i] = 1
    for i in b"ABCDEFGHIJKLMNOPQRSTUVWXYZ":
        is_token[i] = 1


fill()


cdef inline int kind_of(const unsigned char *name, Py_ssize_t size) noexcept nogil:
    """Return the bit that a lower-case name stands for, 0 for most."""
    if size == 4:
        return 1 if memcmp(name, b"host", 4) == 0 else 0
    if size == 14:
        return 4 if memcmp(name, b"content-length", 14) == 0 else 0
    if size == 17:
        return 16 if memcmp(name, b"transfer-encoding", 17) == 0 else 0
    if size == 10:
        if memcmp(name, b"connection", 10) == 0:
            return 64
        return 512 if memcmp(name, b"keep-alive", 10) == 0 else 0
    if size == 6:
        return 256 if memcmp(name, b"expect", 6) == 0 else 0
    if size == 2:
        return 512 if memcmp(name, b"te", 2) == 0 else 0
    if size == 7:
        return 512 if memcmp(name, b"upgrade", 7) == 0 or memcmp(name, b"trailer", 7) == 0 else 0
    if size == 16:
        return 512 if memcmp(name, b"proxy-connection", 16) == 0 else 0
    return 0


cpdef tuple scan_fields(bytes low, bint wants_underscores):
    """Return (bits, then start and end of three values); see ``field.py``."""
    cdef const unsigned char *data = <const unsigned char *>PyBytes_AS_STRING(low)
    cdef Py_ssize_t size = PyBytes_GET_SIZE(low)
    cdef Py_ssize_t at = 0, name, start, end
    cdef Py_ssize_t host = -1, host_end = -1, length = -1, length_end = -1, named = -1, named_end = -1
    cdef int bits = 0, kind, underscore
    while at < size:
        if data[at] != 13:
            return -1, at, -1, -1, -1, -1, -1
        at += 1
        if at >= size or data[at] != 10:
            return -1, at, -1, -1, -1, -1, -1
        at += 1
        name = at
        underscore = 0
        while at < size and is_lower_token[data[at]]:
            underscore |= data[at] == 95
            at += 1
        if at >= size or data[at] != 58 or at == name:
            return -1, at, -1, -1, -1, -1, -1
        kind = kind_of(data + name, at - name)
        if underscore and wants_underscores:
            bits |= 1024
        at += 1
        start = at
        while at < size and is_value[data[at]]:
            at += 1
        if kind == 0:
            continue
        bits |= kind << 1 if kind <= 64 and bits & kind else kind
        if kind == 64:
            named = start
            named_end = at
        elif kind == 1 or kind == 4:
            end = at
            while start < end and (data[start] == 32 or data[start] == 9):
                start += 1
            while end > start and (data[end - 1] == 32 or data[end - 1] == 9):
                end -= 1
            if kind == 1:
                host = start
                host_end = end
            else:
                length = start
                length_end = end
    return bits, host, host_end, length, length_end, named, named_end


cpdef Py_ssize_t request_line(bytes data, Py_ssize_t start, Py_ssize_t end) except? -2:
    """Return twice the offset of the space after the method plus the minor version, or -1; see ``field.py``."""
    cdef const unsigned char *text = <const unsigned char *>PyBytes_AS_STRING(data)
    cdef Py_ssize_t at = start, space, last = end - 9
    if start < 0 or end > PyBytes_GET_SIZE(data) or end - start < 12:
        return -1
    if memcmp(text + last, b" HTTP/1.", 8) != 0 or (text[end - 1] | 1) != 49:
        return -1
    while at < last and is_token[text[at]]:
        at += 1
    space = at
    if at == start or at >= last or text[at] != 32:
        return -1
    at += 1
    while at < last and is_target[text[at]]:
        at += 1
    if at != last or at == space + 1:
        return -1
    return space * 2 + (text[end - 1] & 1)
