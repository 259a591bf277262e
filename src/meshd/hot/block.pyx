# cython: language_level=3, boundscheck=False, wraparound=False
"""Look-ups and cuts in a block of field lines, in C. Twin of ``block.py``."""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from libc.string cimport memcpy

cdef extern from "string.h" nogil:
    void* memmem(const void* haystack, size_t size, const void* needle, size_t needle_size)

MAX_DIGITS = 18
cdef const char* DIGITS = b"0123456789abcdef"


cpdef object value_of(bytes raw, bytes low, bytes needle):
    cdef const char* text = PyBytes_AS_STRING(low)
    cdef Py_ssize_t size = PyBytes_GET_SIZE(low)
    cdef const char* found = <const char*>memmem(text, size, PyBytes_AS_STRING(needle), PyBytes_GET_SIZE(needle))
    if found == NULL:
        return None
    cdef Py_ssize_t start = found - text + PyBytes_GET_SIZE(needle)
    cdef const char* stop = <const char*>memmem(text + start, size - start, b"\r\n", 2)
    cdef Py_ssize_t end = size if stop == NULL else stop - text
    while start < end and (text[start] == 32 or text[start] == 9):
        start += 1
    while end > start and (text[end - 1] == 32 or text[end - 1] == 9):
        end -= 1
    return PyBytes_FromStringAndSize(PyBytes_AS_STRING(raw) + start, end - start)


cpdef bytes cut(bytes block, Py_ssize_t start, Py_ssize_t end):
    cdef Py_ssize_t size = PyBytes_GET_SIZE(block)
    if start < 0 or end < start or end > size:
        raise IndexError("cut outside of the block")
    cdef const char* text = PyBytes_AS_STRING(block)
    cdef bytes rest = PyBytes_FromStringAndSize(NULL, size - (end - start))
    cdef char* target = PyBytes_AS_STRING(rest)
    memcpy(target, text, start)
    memcpy(target + start, text + end, size - end)
    return rest


cpdef long long number(bytes low, Py_ssize_t start, Py_ssize_t end) except? -2:
    cdef const char* text = PyBytes_AS_STRING(low)
    cdef long long value = 0
    cdef Py_ssize_t at
    if start < 0 or end > PyBytes_GET_SIZE(low) or end <= start or end - start > 18:
        return -1
    for at in range(start, end):
        if not 48 <= text[at] <= 57:
            return -1
        value = value * 10 + text[at] - 48
    return value


cpdef bytes tagged(unsigned int count, bytes tail):
    cdef Py_ssize_t size = PyBytes_GET_SIZE(tail)
    cdef bytes made = PyBytes_FromStringAndSize(NULL, size + 9)
    cdef char* target = PyBytes_AS_STRING(made)
    cdef int at
    for at in range(8):
        target[7 - at] = DIGITS[count & 15]
        count >>= 4
    target[8] = 45
    memcpy(target + 9, PyBytes_AS_STRING(tail), size)
    return made
