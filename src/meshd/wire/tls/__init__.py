"""TLS as a byte layer on the standard library's ``ssl`` with memory BIOs: both sides of the proxy use it."""
