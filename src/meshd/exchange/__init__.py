"""One request and its response: the exchange, its attempts, the chain that walks filters, local replies."""
