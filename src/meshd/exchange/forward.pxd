cimport cython

from meshd.exchange.attempt cimport Attempt
from meshd.exchange.body cimport RequestBody
from meshd.exchange.exchange cimport Exchange
from meshd.http cimport compose
from meshd.http.head cimport RequestHead
from meshd.http.headers cimport Headers
from meshd.upstream.cluster cimport Cluster
from meshd.upstream.connection cimport UpstreamConnection

@cython.locals(request=RequestHead, cluster=Cluster, headers=Headers)
cpdef begin(Exchange exchange, plan)
cpdef start_timeouts(Exchange exchange)
@cython.locals(cluster=Cluster, made=Attempt)
cpdef attempt(Exchange exchange)
@cython.locals(request=RequestHead, connection=UpstreamConnection, body=RequestBody, data=bytes)
cpdef send_request(Exchange exchange, Attempt attempt)
@cython.locals(request=RequestHead, body=RequestBody)
cpdef stream_request(Exchange exchange, Attempt attempt, UpstreamConnection connection)
cpdef bytes with_body(Exchange exchange, RequestBody body, bytes head)
cpdef pass_body(Exchange exchange, bytes data)
cpdef push(Exchange exchange, attempt, bytes data, bint is_chunked)
cpdef end_body(Exchange exchange, trailers)
@cython.locals(cluster=Cluster)
cpdef release(Exchange exchange)
