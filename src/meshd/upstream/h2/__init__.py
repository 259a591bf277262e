"""HTTP/2 to an endpoint: a pool of connections (pool.py), each with a client session (connection.py) whose streams are
the leases of attempts (lease.py). Attempts see the face of an HTTP/1.1 connection, with ``begin`` and ``complete`` in
the place of bytes.
"""
