# Types of cell.py for the compiled build. ``value`` stays an object: counts are whole numbers of any size.

cdef class Counter:
    cdef public object value


cdef class Gauge:
    cdef public object value
