# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False
"""The compiled twin of ``ledger.py``: the same over C arrays, with the locks of ``lock.pxd``; see there."""

from cpython.buffer cimport PyBUF_WRITABLE, PyBuffer_Release, PyObject_GetBuffer
from cpython.mem cimport PyMem_Calloc, PyMem_Free
from libc.stdint cimport int64_t, uint32_t

from meshd.hot.lock cimport acquire, lock_free, read_word, write_word

LOCKING = "compiled"

cdef enum:
    LINE = 16  # words
    ROW = 64
    MARK = 17  # 68 bytes, as in meshd.host.layout


cdef class Ledger:
    """``size`` counts of this process, which begin at 0; an index is 0 to ``size - 1``, others raise IndexError."""

    def __cinit__(self, Py_ssize_t size, *args):
        self.size = size
        self.counts = <int64_t*> PyMem_Calloc(max(size, 1), sizeof(int64_t))
        if self.counts == NULL:
            raise MemoryError()

    def __dealloc__(self):
        PyMem_Free(self.counts)

    cpdef bint take(self, Py_ssize_t index, int64_t limit) except -1:
        """Count one more unless ``limit`` are in use; say whether it was."""
        if not 0 <= index < self.size:
            refuse(index)
        if self.counts[index] >= limit:
            return False
        self.counts[index] += 1
        return True

    cpdef give(self, Py_ssize_t index):
        """Count one less; what was not taken cannot be given."""
        if not 0 <= index < self.size:
            refuse(index)
        if self.counts[index] > 0:
            self.counts[index] -= 1

    cpdef int64_t used(self, Py_ssize_t index) except -1:
        """Return how many are in use."""
        if not 0 <= index < self.size:
            refuse(index)
        return self.counts[index]

    def close(self):
        """End it: what is this process's own needs nothing for that."""


cdef class SharedLedger(Ledger):
    """The same over a cell of an arena with ``size`` locks and ``size`` rows. After ``close`` it counts for itself."""

    def __init__(self, Py_ssize_t size, cell):
        cdef char* start
        PyObject_GetBuffer(cell.arena.memory, &self.memory, PyBUF_WRITABLE)
        start = <char*> self.memory.buf
        self.locks = <uint32_t*> (start + <Py_ssize_t> cell.locks)
        self.rows = <uint32_t*> (start + <Py_ssize_t> cell.rows)
        self.mark = <uint32_t*> start + MARK
        self.slot = cell.arena.slot
        self.cell = cell

    def __dealloc__(self):
        PyBuffer_Release(&self.memory)

    cpdef bint take(self, Py_ssize_t index, int64_t limit) except -1:
        """Count one more unless ``limit`` are in use on this host; say whether it was."""
        cdef uint32_t* lock
        cdef uint32_t* own
        cdef bint is_ours
        if self.cell is None:
            return Ledger.take(self, index, limit)
        if not 0 <= index < self.size:
            refuse(index)
        lock = self.locks + index * LINE
        if not acquire(lock, self.slot + 1):
            return False
        is_ours = self.total(index) < limit
        if is_ours:
            own = self.rows + index * ROW + self.slot
            write_word(own, own[0] + 1)
        lock_free(lock)
        return is_ours

    cpdef give(self, Py_ssize_t index):
        """Count one less of this process's own."""
        cdef uint32_t* own
        if self.cell is None:
            Ledger.give(self, index)
            return
        if not 0 <= index < self.size:
            refuse(index)
        own = self.rows + index * ROW + self.slot
        if own[0] > 0:
            write_word(own, own[0] - 1)

    cpdef int64_t used(self, Py_ssize_t index) except -1:
        """Return how many are in use on this host."""
        if self.cell is None:
            return Ledger.used(self, index)
        if not 0 <= index < self.size:
            refuse(index)
        return self.total(index)

    cdef int64_t total(self, Py_ssize_t index) noexcept:
        cdef uint32_t* row = self.rows + index * ROW
        cdef uint32_t slot
        cdef int64_t found = 0
        for slot in range(read_word(self.mark)):
            found += read_word(row + slot)
        return found

    def close(self):
        """Take this process's counts away and end its claim."""
        cell, self.cell = self.cell, None
        if cell is not None:
            cell.release()


cdef int refuse(Py_ssize_t index) except -1:
    raise IndexError(f"ledger: index {index}: no such count")
