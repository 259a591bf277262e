"""The Vary field; called by filters whose answer depends on a request field."""

from meshd.http.headers import Headers


def add_vary(headers: Headers, token: bytes) -> None:
    """Name ``token`` (lower case) in Vary unless it, or ``*``, stands there (RFC 9110 12.5.5)."""
    if b"\r\nvary:" not in headers.low:
        headers.add(b"vary", token)
        return
    present = headers.joined(b"vary")
    tokens = [word.strip() for word in present.lower().split(b",")]
    if token not in tokens and b"*" not in tokens:
        headers.set(b"vary", present + b", " + token)
