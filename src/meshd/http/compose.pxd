from meshd.http.head cimport RequestHead, ResponseHead

cpdef bytes request_head(RequestHead head, bint is_upgrade=*)
cpdef tuple response_head(ResponseHead head, int version=*, bint keep_alive=*, bytes method=*)
cpdef bytes chunk(bytes data)
cpdef bytes last_chunk(trailers=*)
