# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, initializedcheck=False
"""The compiled twin of ``histogram.py``: the same class over C arrays (``histogram.pxd``); see there."""

from cpython.mem cimport PyMem_Free, PyMem_Malloc


cdef class Histogram:
    """Observations in the unit of ``bounds`` (ascending floats); ``total`` is their sum."""

    def __cinit__(self, tuple bounds not None):
        cdef Py_ssize_t index
        self.bounds = bounds
        self.total = 0.0
        self.size = len(bounds)
        self.limits = <double*> PyMem_Malloc((self.size + 1) * sizeof(double))
        self.counts = <long long*> PyMem_Malloc((self.size + 1) * sizeof(long long))
        if self.limits == NULL or self.counts == NULL:
            raise MemoryError()
        for index in range(self.size):
            self.limits[index] = bounds[index]
        for index in range(self.size + 1):
            self.counts[index] = 0

    def __dealloc__(self):
        PyMem_Free(self.limits)
        PyMem_Free(self.counts)

    cpdef observe(self, double value):
        """Count ``value``: it belongs to the first bound that is not less."""
        cdef Py_ssize_t low = 0
        cdef Py_ssize_t high = self.size
        cdef Py_ssize_t middle
        while low < high:
            middle = (low + high) >> 1
            if self.limits[middle] < value:
                low = middle + 1
            else:
                high = middle
        self.counts[low] += 1
        self.total += value

    def add(self, tuple counts not None, double total):
        """Add what another histogram with these bounds has counted; raises ValueError on a number of buckets that
        differs.
        """
        cdef Py_ssize_t index
        if len(counts) != self.size + 1:
            raise ValueError(f"histogram: {len(counts)} counts: expected {self.size + 1}")
        for index in range(self.size + 1):
            self.counts[index] += <long long> counts[index]
        self.total += total

    @property
    def value(self):
        """How many values were observed."""
        cdef Py_ssize_t index
        cdef long long found = 0
        for index in range(self.size + 1):
            found += self.counts[index]
        return found

    def cumulative(self):
        """Return for each bound, and for infinity at the end, how many observations were not greater."""
        cdef Py_ssize_t index
        cdef long long running = 0
        cdef list found = []
        for index in range(self.size + 1):
            running += self.counts[index]
            found.append(running)
        return found
