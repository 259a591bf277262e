from meshd.exchange.attempt cimport Attempt
from meshd.exchange.body cimport RequestBody
from meshd.exchange.exchange cimport Exchange

cpdef begin(Exchange exchange, plan)
cpdef start_timeouts(Exchange exchange)
cpdef attempt(Exchange exchange)
cpdef send_request(Exchange exchange, attempt)
cpdef bytes with_body(Exchange exchange, RequestBody body, bytes head)
cpdef pass_body(Exchange exchange, bytes data)
cpdef push(Exchange exchange, attempt, bytes data, bint is_chunked)
cpdef end_body(Exchange exchange, trailers)
cpdef release(Exchange exchange)
