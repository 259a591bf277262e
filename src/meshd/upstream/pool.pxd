from meshd.wire.poller cimport Poller
from meshd.upstream.connection cimport UpstreamConnection

cdef class Pool:
    cdef public object world
    cdef public Poller poller
    cdef public str address
    cdef public int family
    cdef public object sockaddr
    cdef public object name
    cdef public object cluster
    cdef public object settings
    cdef public double connect_timeout_s
    cdef public long max_idle
    cdef public long max_requests
    cdef public double idle_timeout_s
    cdef public list idle
    cdef public list waiters
    cdef public set connections
    cdef public long dialing
    cdef public bint is_retired
    cdef public object high
    cdef public long max_connections
    cdef public double max_age_s
    cdef public object tls
    cdef public str server_name
    cdef public dict branches
    cdef public bytes preface
    cdef public object proxied
    cdef public bint as_client
    cdef public str client
    cdef public bint is_branch
    cpdef bind_as(self, Pool other)
    cpdef reach(self, breaker)
    cpdef retire(self)
    cpdef take(self, attempt)
    cpdef put(self, UpstreamConnection connection)
