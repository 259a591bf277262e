# cython: language_level=3, boundscheck=False, wraparound=False
"""HTTP/2 field sections to blocks of lines and back, in C. Twin of ``section.py``."""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from libc.string cimport memchr, memcmp, memcpy


cdef inline bint is_not_sent(const char *name, Py_ssize_t size) noexcept nogil:
    """Say whether a field stays on its connection, or is Host or TE."""
    if size == 2:
        return memcmp(name, b"te", 2) == 0
    if size == 4:
        return memcmp(name, b"host", 4) == 0
    if size == 7:
        return memcmp(name, b"upgrade", 7) == 0
    if size == 10:
        return memcmp(name, b"connection", 10) == 0 or memcmp(name, b"keep-alive", 10) == 0
    if size == 14:
        return memcmp(name, b"http2-settings", 14) == 0
    if size == 16:
        return memcmp(name, b"proxy-connection", 16) == 0
    return size == 17 and memcmp(name, b"transfer-encoding", 17) == 0


cpdef bytes join(tuple section, Py_ssize_t first):
    cdef Py_ssize_t size = 0, index, count = len(section), part
    cdef bytes name, value
    if first < 0:
        raise IndexError("a section begins at 0")
    for index in range(first, count):
        field = section[index]
        name = field[0]
        value = field[1]
        size += PyBytes_GET_SIZE(name) + PyBytes_GET_SIZE(value) + 4
    cdef bytes made = PyBytes_FromStringAndSize(NULL, size)
    cdef char *target = PyBytes_AS_STRING(made)
    for index in range(first, count):
        field = section[index]
        name = field[0]
        value = field[1]
        target[0] = 13
        target[1] = 10
        target += 2
        part = PyBytes_GET_SIZE(name)
        memcpy(target, PyBytes_AS_STRING(name), part)
        target += part
        target[0] = 58
        target[1] = 32
        target += 2
        part = PyBytes_GET_SIZE(value)
        memcpy(target, PyBytes_AS_STRING(value), part)
        target += part
    return made


cpdef list split(bytes raw, bytes low, list section):
    cdef const char *text = PyBytes_AS_STRING(raw)
    cdef const char *lowered = PyBytes_AS_STRING(low)
    cdef Py_ssize_t size = PyBytes_GET_SIZE(raw)
    cdef Py_ssize_t at = 2, end, colon, start, stop
    cdef const char *found
    if PyBytes_GET_SIZE(low) != size:
        raise ValueError("a block and its lower-cased copy are of one length")
    while at < size:
        end = at
        while True:
            found = <const char *>memchr(text + end, 13, size - end)
            if found == NULL:
                end = size
                break
            end = found - text
            if end + 1 < size and text[end + 1] == 10:
                break
            end += 1
        found = <const char *>memchr(lowered + at, 58, end - at)
        if found != NULL and found != lowered + at:
            colon = found - lowered
            if not is_not_sent(lowered + at, colon - at):
                start = colon + 1
                stop = end
                while start < stop and (text[start] == 32 or text[start] == 9):
                    start += 1
                while stop > start and (text[stop - 1] == 32 or text[stop - 1] == 9):
                    stop -= 1
                section.append((lowered[at:colon], text[start:stop]))
        at = end + 2
    return section


cpdef Py_ssize_t size_of(tuple section) except -1:
    cdef Py_ssize_t size = 0
    cdef bytes name, value
    for field in section:
        name = field[0]
        value = field[1]
        size += PyBytes_GET_SIZE(name) + PyBytes_GET_SIZE(value) + 32
    return size
