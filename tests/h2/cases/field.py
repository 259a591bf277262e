"""RFC 9113 8.2: names, values, fields of one connection."""

from meshd.http.h2.code import COMPRESSION_ERROR
from tests.h2.case import Answered, Case, Connection, Either, malformed
from tests.h2.wire import GET, POST, data, headers
from tests.h2.words import SPACES


def _with(*fields, base=GET):
    return headers(1, (*base, *fields))


NAMES = {
    "in upper case": b"Foo", "with one capital": b"fOo", "with a space": b"fo o",
    "that begins with a space": b" foo", "that ends with a space": b"foo ", "with a tab": b"fo\to",
    "with a colon": b"fo:o", "that ends with a colon": b"foo:", "with CR": b"fo\ro", "with LF": b"fo\no",
    "with CR LF and a field": b"foo: x\r\nbar", "with NUL": b"fo\0o", "with DEL": b"fo\x7fo", "with 0x80": b"fo\x80o",
    "with a control character": b"fo\x01o", "with a parenthesis": b"fo(o", "with a slash": b"fo/o",
    "with a comma": b"fo,o", "with a quote": b'fo"o', "with a brace": b"fo{o", "with an at": b"fo@o",
    "with an equals sign": b"fo=o", "with a backslash": b"fo\\o",
}
VALUES = {
    "with CR": b"a\rb", "with LF": b"a\nb", "with NUL": b"a\0b", "with CR LF and a field": b"a\r\nbar: b",
}
SPACED = {
    "that begins with a space": b" a", "that ends with a space": b"a ", "that begins with a tab": b"\ta",
    "that ends with a tab": b"a\t",
}
GOOD = {
    "that is empty": b"", "with a space within": b"a b", "with a tab within": b"a\tb", "with obs-text": b"\x80\xff",
    "with a colon": b"a: b", "of 5,000 bytes": b"x" * 5000,
}
SPECIFIC = {
    "connection": b"close", "keep-alive": b"timeout=5", "proxy-connection": b"keep-alive",
    "transfer-encoding": b"chunked", "upgrade": b"h2c",
}

CASES = (
    *(Case("8.2.1", f"a name {words}", _with((name, b"x")), malformed()) for words, name in NAMES.items()),
    Case("8.2.1", "a name that is empty", _with((b"", b"x")), Either((malformed(), Connection((COMPRESSION_ERROR,))))),
    *(Case("8.2.1", f"a value {words}", _with((b"foo", value)), malformed()) for words, value in VALUES.items()),
    *(Case("8.2.1", f"a value {words}", _with((b"foo", value)), malformed(), SPACES)
      for words, value in SPACED.items()),
    *(Case("8.2.1", f"a value {words}: is taken", _with((b"foo", value)), Answered()) for words, value in GOOD.items()),
    Case("8.2.1", "a name of all token characters", _with((b"a!#$%&'*+-.^`|~0", b"x")), Answered()),
    *(Case("8.2.2", f"{name}: {value.decode()}", _with((name.encode(), value)), malformed())
      for name, value in SPECIFIC.items()),
    Case("8.2.2", "transfer-encoding and a body", (
        headers(1, (*POST, (b"transfer-encoding", b"chunked")), False), data(1, b"0\r\n\r\n")), malformed()),
    Case("8.2.2", "transfer-encoding: identity", _with((b"transfer-encoding", b"identity")), malformed()),
    Case("8.2.2", "te: trailers", _with((b"te", b"trailers")), Answered()),
    Case("8.2.2", "te: gzip", _with((b"te", b"gzip")), malformed()),
    Case("8.2.2", "te: trailers, deflate", _with((b"te", b"trailers, deflate")), malformed()),
    Case("8.2.2", "te without a value", _with((b"te", b"")), malformed()),
    Case("8.2.3", "cookies in crumbs", _with((b"cookie", b"a=1"), (b"cookie", b"b=2"), (b"x", b"y"),
                                             (b"cookie", b"c=3")), Answered()),
    Case("8.2", "the same field twice", _with((b"foo", b"1"), (b"foo", b"2")), Answered()),
)
