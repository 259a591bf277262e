"""One request and its response: the exchange, its attempts, the chain that walks filters, local replies.

The way of one request:

1. ``Connection.received`` (downstream): bytes in, back-pressure, deadlines
2. codec (http), ``RequestParser.receive``: bytes become events; ambiguity is refused here
3. ``Chain.request``: the filters of this chain, in the order of the configuration
4. router (plugin, the terminal filter): virtual host, route, action
5. ``Cluster.pick`` (upstream): the breaker admits, the balancer picks an endpoint
6. ``Pool.take``: a lease on a whole connection
7. ``Attempt.run``: send, receive, judge; the retry policy may ask for another attempt
8. ``Chain.response`` back to 1, and ``Chain.complete`` tells telemetry once
"""
