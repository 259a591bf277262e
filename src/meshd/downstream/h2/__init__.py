"""Downstream connections of HTTP/2: one session each, and one exchange for each of its streams."""
