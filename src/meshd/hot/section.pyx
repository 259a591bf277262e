# cython: language_level=3, boundscheck=False, wraparound=False
"""HTTP/2 field sections to blocks of lines and back, in C. Twin of ``section.py``."""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from libc.string cimport memchr, memcmp


cdef inline bint is_not_sent(const char *name, Py_ssize_t size) noexcept nogil:
    """Say whether a field stays on its connection, or is Host."""
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


cdef unsigned char lower[256]


cdef void fill() noexcept:
    cdef int i
    for i in range(256):
        lower[i] = i + 32 if 65 <= i <= 90 else i


fill()


cdef inline bint has_trailers(const char *text, Py_ssize_t at, Py_ssize_t end) noexcept nogil:
    """Say whether one of the members of TE is ``trailers``."""
    cdef Py_ssize_t start, stop
    while at <= end:
        start = at
        while at < end and text[at] != 44:
            at += 1
        stop = at
        while start < stop and (text[start] == 32 or text[start] == 9):
            start += 1
        while stop > start and (text[stop - 1] == 32 or text[stop - 1] == 9):
            stop -= 1
        if stop - start == 8 and memcmp(text + start, b"trailers", 8) == 0:
            return True
        at += 1
    return False


cpdef tuple pseudo(tuple section):
    cdef bytes method = None, scheme = None, authority = None, path = None, protocol = None, name
    cdef Py_ssize_t at, size, count = len(section)
    cdef const char *text
    for at in range(count):
        field = section[at]
        name = field[0]
        size = PyBytes_GET_SIZE(name)
        text = PyBytes_AS_STRING(name)
        if size == 0 or text[0] != 58:
            return at, method, scheme, authority, path, protocol
        if method is None and size == 7 and memcmp(text, b":method", 7) == 0:
            method = field[1]
        elif scheme is None and size == 7 and memcmp(text, b":scheme", 7) == 0:
            scheme = field[1]
        elif path is None and size == 5 and memcmp(text, b":path", 5) == 0:
            path = field[1]
        elif authority is None and size == 10 and memcmp(text, b":authority", 10) == 0:
            authority = field[1]
        elif protocol is None and size == 9 and memcmp(text, b":protocol", 9) == 0:
            protocol = field[1]
        else:
            return -1 - at, method, scheme, authority, path, protocol
    return count, method, scheme, authority, path, protocol


cdef inline Py_ssize_t put(const char *source, Py_ssize_t size, unsigned char *raw, unsigned char *low) noexcept nogil:
    """Copy, and in lower case; return how many CR and LF there were."""
    cdef Py_ssize_t at, bad = 0
    cdef unsigned char byte
    for at in range(size):
        byte = <unsigned char>source[at]
        raw[at] = byte
        low[at] = lower[byte]
        bad += byte == 13 or byte == 10
    return bad


cpdef tuple blocks(tuple section, Py_ssize_t first, bytes host):
    cdef Py_ssize_t size = 0, length = 0, at, part, bad = 0, crumbs = 0, count = len(section)
    cdef bytes name, value
    if first < 0:
        raise IndexError("a section begins at 0")
    for at in range(count):
        field = section[at]
        name = field[0]
        value = field[1]
        part = PyBytes_GET_SIZE(name) + PyBytes_GET_SIZE(value)
        size += part + 32
        if at >= first:
            length += part + 4
    if host is not None:
        length += PyBytes_GET_SIZE(host) + 8
    cdef bytes made = PyBytes_FromStringAndSize(NULL, length)
    cdef bytes lowered = PyBytes_FromStringAndSize(NULL, length)
    cdef unsigned char *raw = <unsigned char *>PyBytes_AS_STRING(made)
    cdef unsigned char *low = <unsigned char *>PyBytes_AS_STRING(lowered)
    if host is not None:
        put(b"\r\nhost: ", 8, raw, low)
        bad += put(PyBytes_AS_STRING(host), PyBytes_GET_SIZE(host), raw + 8, low + 8)
        raw += PyBytes_GET_SIZE(host) + 8
        low += PyBytes_GET_SIZE(host) + 8
    for at in range(first, count):
        field = section[at]
        name = field[0]
        value = field[1]
        raw[0] = low[0] = 13
        raw[1] = low[1] = 10
        part = PyBytes_GET_SIZE(name)
        crumbs += part == 6 and memcmp(PyBytes_AS_STRING(name), b"cookie", 6) == 0
        bad += put(PyBytes_AS_STRING(name), part, raw + 2, low + 2)
        raw += part + 2
        low += part + 2
        raw[0] = low[0] = 58
        raw[1] = low[1] = 32
        part = PyBytes_GET_SIZE(value)
        bad += put(PyBytes_AS_STRING(value), part, raw + 2, low + 2)
        raw += part + 2
        low += part + 2
    if bad:
        return None, None, size, 0
    return made, lowered, size, crumbs


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
            if colon - at == 2 and memcmp(lowered + at, b"te", 2) == 0:
                if has_trailers(lowered, colon + 1, end):
                    section.append((b"te", b"trailers"))
            elif not is_not_sent(lowered + at, colon - at):
                start = colon + 1
                stop = end
                while start < stop and (text[start] == 32 or text[start] == 9):
                    start += 1
                while stop > start and (text[stop - 1] == 32 or text[stop - 1] == 9):
                    stop -= 1
                section.append((lowered[at:colon], text[start:stop]))
        at = end + 2
    return section
