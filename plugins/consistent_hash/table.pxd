# Types of table.py for the compiled build.
cimport cython

cdef class Ring:
    cdef Py_ssize_t count
    cdef int bits
    cdef int shift
    cdef Py_ssize_t buckets
    cdef int phase
    cdef Py_ssize_t at
    cdef unsigned long long[::1] raw
    cdef unsigned int[::1] raw_owners
    cdef long long[::1] starts
    cdef unsigned long long[::1] hashes
    cdef unsigned int[::1] owners
    cpdef bint work(self, Py_ssize_t steps) except -1
    @cython.locals(index=Py_ssize_t, end=Py_ssize_t)
    cdef count_some(self, Py_ssize_t steps)
    @cython.locals(index=Py_ssize_t, end=Py_ssize_t, before=cython.longlong)
    cdef sum_some(self, Py_ssize_t steps)
    @cython.locals(index=Py_ssize_t, end=Py_ssize_t, bucket=Py_ssize_t, place=Py_ssize_t)
    cdef place_some(self, Py_ssize_t steps)
    @cython.locals(index=Py_ssize_t, end=Py_ssize_t, place=Py_ssize_t, value=cython.ulonglong, owner=cython.uint)
    cdef sort_some(self, Py_ssize_t steps)
    cdef turn(self, Py_ssize_t end, Py_ssize_t last)
    @cython.locals(index=Py_ssize_t)
    cpdef Py_ssize_t find(self, unsigned long long key, unsigned long long attempt) except -1

cdef class Maglev:
    cdef long long size
    cdef Py_ssize_t count
    cdef Py_ssize_t at
    cdef long long filled
    cdef unsigned int round
    cdef double greatest
    cdef bint is_probing
    cdef unsigned int[::1] slots
    cdef long long[::1] offsets
    cdef long long[::1] skips
    cdef unsigned int[::1] owners
    cdef double[::1] weights
    cdef double[::1] targets
    @cython.locals(at=Py_ssize_t, place=cython.longlong, following=cython.longlong)
    cpdef bint work(self, Py_ssize_t steps) except -1
    cdef pass_on(self)
    cpdef Py_ssize_t find(self, unsigned long long key, unsigned long long attempt) except -1
