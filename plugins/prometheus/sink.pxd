# Types of sink.py for the compiled build. An exchange is of any class: tests pass a stand-in.

cimport cython

from meshd.hot.histogram cimport Histogram
from meshd.telemetry.cell cimport Counter


cdef class Record:
    cdef Counter requests
    cdef Histogram duration
    cdef Histogram request_bytes
    cdef Histogram response_bytes
    cdef Counter downstream
    cdef Counter upstream
    cdef object messages


cdef class PrometheusSink:
    cdef object _families
    cdef object _labels
    cdef object _clock
    cdef dict _records
    cdef object _call
    cdef object __weakref__

    @cython.locals(record=Record, status=long, key=tuple)
    cpdef on_complete(self, exchange)
    cpdef _add(self, Record record, exchange)
