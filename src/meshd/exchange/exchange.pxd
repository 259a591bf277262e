from meshd.exchange.body cimport RequestBody
from meshd.wire.poller cimport Poller
from meshd.upstream.cluster cimport Cluster
from meshd.http.head cimport RequestHead, ResponseHead

cdef class Exchange:
    cdef public object downstream
    cdef public str listener
    cdef public object chain
    cdef public Poller poller
    cdef public RequestHead request
    cdef public ResponseHead response
    cdef public object route_found
    cdef public object plan
    cdef public Cluster cluster
    cdef public object endpoint
    cdef public tuple tried
    cdef public int attempts
    cdef public object attempt
    cdef public object identity
    cdef public object notes
    cdef public unsigned long flags
    cdef public str detail
    cdef public str failure
    cdef public str client
    cdef public double started
    cdef public double request_ended
    cdef public double upstream_began
    cdef public double response_began
    cdef public double ended
    cdef public long long request_bytes
    cdef public long long response_bytes
    cdef public bint is_local_reply
    cdef public bint is_ended
    cdef public bint is_tunnel
    cdef public bint is_sampled
    cdef public object durations
    cdef public object waiting
    cdef public RequestBody body
    cdef public object request_transform
    cdef public object response_transform
    cdef public double deadline
    cdef public double try_deadline
    cdef public list out
    cdef public bint has_body
    cdef public bint is_chunked
    cdef public bint is_chunked_up
    cdef public bytes upstream_head
    cdef public bint is_admitted
    cdef public object retry_call
    cdef public bint is_retry_admitted
    cdef public object reader
    cdef public long long stream_id
    cdef public str upstream_local
    cdef public double last_body
    cdef public int half_ended
    cdef public object held
    cdef public dict choices
    cdef public tuple wanted
    cdef public list added
    cdef public object more
    cdef public object breaker
    cdef public object trailers
    cdef public bint folds_trailers
    cdef public object security
    cdef public object upstream_security
    cpdef on_body(self, bytes data)
    cpdef on_request_end(self, trailers)
    cpdef forward(self, plan)
    cpdef on_lease(self, attempt)
    cpdef on_upstream_head(self, attempt, ResponseHead head)
    cpdef answer(self, ResponseHead head)
    cpdef on_upstream_body(self, bytes data)
    cpdef finish_answer(self, trailers)
    cpdef on_upstream_end(self, attempt, trailers)
    cpdef drop_attempt(self)
    cpdef end(self, bint is_whole)
    cpdef flush(self)
