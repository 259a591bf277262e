# Types of filter.py for the compiled build. An exchange and a route are of any class: tests pass stand-ins.

cimport cython

cdef int SLASH


cdef class Route:
    cdef public object name
    cdef public object virtual_host
    cdef public object overrides
    cdef public object plan
    cdef public object answer


cdef class RouterFilter:
    cdef readonly tuple routes
    cdef object _hosts
    cdef dict _known
    cdef object __weakref__

    cpdef match(self, exchange)
    cpdef on_request(self, exchange)


cdef class CatchAllFilter(RouterFilter):
    cdef Route _first

    @cython.locals(path=bytes)
    cpdef match(self, exchange)
