cimport cython

from meshd.hot cimport block
from meshd.exchange.exchange cimport Exchange
from meshd.http.head cimport RequestHead
from meshd.http.headers cimport Headers

cdef class Edge:
    cdef public object options
    cdef public bytes id_tail
    cdef public unsigned long long id_count
    cdef public bint is_edge
    cdef public long hops
    cdef public bint makes_id
    cdef public bint normalizes
    cdef public object slashes
    cdef public bint merges
    cdef public object upgrades
    cdef public bytes server
    cdef public bint returns_id
    cdef public bint is_finishing
    cdef public object client_cert
    @cython.locals(request=RequestHead, headers=Headers, target=bytes)
    cpdef prepare(self, Exchange exchange)
    @cython.locals(lines=bytes)
    cpdef stamp(self, Exchange exchange, Headers headers)
    @cython.locals(count=cython.ulonglong)
    cpdef bytes request_id(self)

cpdef bint admit(edge, Exchange exchange) except -1
