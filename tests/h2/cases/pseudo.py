"""RFC 9113 8.3 to 8.5, RFC 8441: pseudo-header fields, targets, CONNECT."""

from meshd.http.h2.code import ENABLE_CONNECT_PROTOCOL, FRAME_SIZE_ERROR, PROTOCOL_ERROR
from tests.h2.case import Alive, Answered, Case, Connection, Either, malformed
from tests.h2.wire import GET, headers, settings
from tests.h2.words import ASTERISK, AUTHORITY, EMPTY_HOST, HOST, NO_HOST, UNDEFINED, USERINFO


def _but(name: bytes, *values: bytes, more=()):
    """Return a request with other values of one field, or none."""
    fields = [field for field in GET if field[0] != name]
    return headers(1, (*[(name, value) for value in values], *fields, *more))


def _host(authority: bytes | None, *hosts: bytes):
    more = tuple((b"host", host) for host in hosts)
    return _but(b":authority", *([] if authority is None else [authority]), more=more)


def _connect(*fields):
    return headers(1, ((b":method", b"CONNECT"), *fields), False)


def _protocol(their):
    if their.get(ENABLE_CONNECT_PROTOCOL):
        return None
    return _connect((b":protocol", b"websocket"), *GET[1:])


BAD_PATHS = {
    "that is empty": b"", "without a slash": b"index.html", "with a space": b"/a b", "with CR LF": b"/\r\nx: y",
    "with NUL": b"/\0", "with a tab": b"/\t", "that injects a request": b"/ HTTP/1.1\r\nhost: b\r\n\r\n",
    "with a control character": b"/\x01",
}
BAD_METHODS = {
    "that is empty": b"", "with a space": b"GET /x", "with CR LF": b"GET\r\nx: y", "with a colon": b"G:T",
    "with NUL": b"GE\0T",
}
BAD_AUTHORITIES = {
    "with a space": b"a b", "with CR LF": b"a\r\nx: y", "with user information": b"me@a.example",
    "with a slash": b"a/b",
    "with NUL": b"a\0b", "with a port that is a word": b"a:http",
}
BAD_SCHEMES = {
    "with a space": b"ht tp", "with CR LF": b"http\r\nx: y", "with a slash": b"http://a/", "that is empty": b"",
}


CASES = (
    Case("8.3", "a pseudo-header field after a regular one",
         headers(1, (*GET[:3], (b"foo", b"x"), GET[3])), malformed()),
    Case("8.3", "an unknown pseudo-header field", headers(1, (*GET, (b":foo", b"x"))), malformed()),
    Case("8.3", "a pseudo-header field of answers", headers(1, (*GET, (b":status", b"200"))), malformed()),
    Case("8.3", "pseudo-header fields in another order", headers(1, GET[::-1]), Answered()),
    *(Case("8.3", f"{name.decode()} twice", _but(name, value, value), malformed()) for name, value in GET),
    Case("8.3.1", "no :method", _but(b":method"), malformed()),
    Case("8.3.1", "no :scheme", _but(b":scheme"), malformed()),
    Case("8.3.1", "no :path", _but(b":path"), malformed()),
    Case("8.3.1", "no pseudo-header field at all", headers(1, ((b"foo", b"x"),)), malformed()),
    Case("8.3.1", "no field at all", headers(1, b""), Either((malformed(), Connection((FRAME_SIZE_ERROR,))))),
    *(Case("8.3.1", f"a :path {words}", _but(b":path", value), malformed()) for words, value in BAD_PATHS.items()),
    Case("8.3.1", "a :path with a fragment", _but(b":path", b"/a#b"), Either((malformed(), Answered()))),
    Case("8.3.1", "a :path with a query", _but(b":path", b"/?a=b&c"), Answered()),
    Case("8.3.1", "a :path of * with GET", _but(b":path", b"*"), malformed(), ASTERISK),
    Case("8.3.1", "a :path of * with OPTIONS",
         headers(1, ((b":method", b"OPTIONS"), *GET[1:3], (b":path", b"*"))), Answered()),
    *(Case("8.3.1", f"a :method {words}", _but(b":method", value), malformed())
      for words, value in BAD_METHODS.items()),
    *(Case("8.3.1", f"a :scheme {words}", _but(b":scheme", value), malformed())
      for words, value in BAD_SCHEMES.items()),
    Case("8.3.1", "a :scheme in upper case", _but(b":scheme", b"HTTP"), Either((Answered(), malformed()))),
    *(Case("8.3.1", f"an :authority {words}", _host(value), malformed(), USERINFO if b"@" in value else AUTHORITY)
      for words, value in BAD_AUTHORITIES.items()),
    Case("8.3.1", "an :authority that is empty", _host(b""), malformed(), EMPTY_HOST),
    Case("8.3.1", "an :authority with a port", _host(b"a.example:8080"), Answered()),
    Case("8.3.1", "Host instead of :authority", _host(None, b"a.example"), Answered()),
    Case("8.3.1", "Host that is equal to :authority", _host(b"a.example", b"a.example"), Answered()),
    Case("8.3.1", "Host that differs from :authority", _host(b"a.example", b"b.example"), malformed(), HOST),
    Case("8.3.1", "Host twice", _host(b"a.example", b"a.example", b"a.example"), Either((malformed(), Answered()))),
    Case("8.3.1", "two Hosts that differ", _host(b"a.example", b"a.example", b"b.example"), malformed(),
         HOST),
    Case("8.3.1", "neither Host nor :authority", _host(None), malformed(), NO_HOST),
    Case("8.5", "CONNECT with :scheme and :path", _connect(*GET[1:]), malformed()),
    Case("8.5", "CONNECT with :path", _connect((b":authority", b"a.example:80"), (b":path", b"/")), malformed()),
    Case("8.5", "CONNECT without :authority", _connect((b"host", b"a.example:80")), malformed()),
    Case("RFC 8441 4", "extended CONNECT that was not allowed", _protocol, malformed()),
    Case("RFC 8441 4", ":protocol with GET", headers(1, (*GET, (b":protocol", b"websocket"))), malformed(), UNDEFINED),
    Case("RFC 8441 3", "ENABLE_CONNECT_PROTOCOL of a client", (settings((8, 1)), headers(1)), Answered()),
    Case("RFC 8441 3", "ENABLE_CONNECT_PROTOCOL of 2", settings((8, 2)),
         Either((Alive(), Connection((PROTOCOL_ERROR,))))),
)
