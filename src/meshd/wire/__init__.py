"""Descriptors, dialers and deadlines: bytes in and out of sockets, nothing of HTTP."""
