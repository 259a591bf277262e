# Types of ledger.pyx.

from libc.stdint cimport int64_t, uint32_t


cdef class Ledger:
    cdef readonly Py_ssize_t size
    cdef int64_t* counts

    cpdef bint take(self, Py_ssize_t index, int64_t limit) except -1
    cpdef give(self, Py_ssize_t index)
    cpdef int64_t used(self, Py_ssize_t index) except -1


cdef class SharedLedger(Ledger):
    cdef object cell
    cdef Py_buffer memory
    cdef uint32_t* locks
    cdef uint32_t* rows
    cdef uint32_t* mark
    cdef uint32_t slot

    cdef int64_t total(self, Py_ssize_t index) noexcept
