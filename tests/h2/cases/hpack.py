"""RFC 7541: field sections as bytes."""

from hpack import Encoder

from meshd.http.h2.code import COMPRESSION_ERROR, PROTOCOL_ERROR
from tests.h2.case import Answered, Case, Connection, Either, Until
from tests.h2.wire import GET, block, continuation, headers, literal, number, settings, text
from tests.h2.words import EVICTION, INTEGER

BROKEN = Connection((COMPRESSION_ERROR,))
STATIC = b"\x82\x86\x84"  # :method GET, :scheme http, :path /
HOST = b"\x41" + text(b"a.example")  # indexed name, with incremental indexing
PLAIN = STATIC + b"\x01" + text(b"a.example")
HUFFMAN = bytes(Encoder().encode([*GET, (b"user-agent", b"a browser (of a kind)")], huffman=True))


def _request(more: bytes, before: bytes = b""):
    return headers(1, before + PLAIN + more)


def _name(coded: bytes, flag: int = 0x80) -> bytes:
    """Return a literal whose value is a string as it is given."""
    return b"\x00" + text(b"foo") + coded


CASES = (
    Case("RFC 7541 2.3.1", "fields of the static table", headers(1, PLAIN), Answered()),
    Case("RFC 7541 2.3.2", "a field of the dynamic table in the next request",
         (headers(1, STATIC + HOST), Until(1), headers(3, STATIC + b"\xbe")), Answered((1, 3))),
    Case("RFC 7541 2.3.2", "the dynamic table of one section", headers(1, STATIC + HOST + literal(b"a", b"b", 0x40)
                                                                  + b"\xbe"), Answered()),
    Case("RFC 7541 2.3.3", "index 0", _request(b"\x80"), BROKEN),
    Case("RFC 7541 2.3.3", "an index behind the static table, where nothing is", _request(b"\xbe"), BROKEN),
    Case("RFC 7541 2.3.3", "an index far behind both tables", _request(number(5000, 7, 0x80)), BROKEN),
    Case("RFC 7541 2.3.3", "a literal with an index of a name that is not there", _request(b"\x7f\x20\x01a"), BROKEN),
    Case("RFC 7541 4.2", "a change of the table's size at the start", _request(b"", b"\x20"), Answered()),
    Case("RFC 7541 4.2", "two changes of the table's size at the start",
         _request(b"", b"\x20" + number(4096, 5, 0x20)), Answered()),
    Case("RFC 7541 4.2", "a change of the table's size after a field", _request(b"\x20"), BROKEN),
    Case("RFC 7541 4.2", "no field but a change of the table's size in trailers, at the end",
         headers(1, PLAIN + b"\x20"), BROKEN),
    Case("RFC 7541 4.3", "a size of 0 empties the table",
         (headers(1, STATIC + HOST), Until(1), headers(3, b"\x20" + STATIC + b"\xbe")), BROKEN,
         EVICTION),
    Case("RFC 7541 4.4", "an entry larger than the table empties it",
         (headers(1, STATIC + HOST), Until(1), headers(3, PLAIN + literal(b"foo", b"x" * 4100, 0x40)), Until(3),
          headers(5, STATIC + b"\xbe")), BROKEN),
    Case("RFC 7541 4.4", "old entries make room",
         (headers(1, STATIC + HOST), Until(1), headers(3, PLAIN + literal(b"foo", b"x" * 4060, 0x40)), Until(3),
          headers(5, STATIC + b"\xbf")), BROKEN),
    Case("RFC 7541 5.1", "an integer that does not end", _request(b"\x00" + b"\x7f" + b"\xff" * 20), BROKEN),
    Case("RFC 7541 5.1", "an integer beyond 64 bits", _request(b"\xff" + b"\xff" * 9 + b"\x7f"), BROKEN),
    Case("RFC 7541 5.1", "an integer with needless zeroes", headers(1, STATIC + b"\x01\x7f\x80\x80\x00" + b"a" * 127),
         Answered(), INTEGER),
    Case("RFC 7541 5.2", "Huffman coding", headers(1, HUFFMAN), Answered()),
    Case("RFC 7541 5.2", "a string longer than the section", _request(b"\x00\x03foo\x50x"), BROKEN),
    Case("RFC 7541 5.2", "a name longer than the section", _request(b"\x00\x50foo"), BROKEN),
    Case("RFC 7541 5.2", "a section that ends behind a literal's first byte", _request(b"\x00"), BROKEN),
    Case("RFC 7541 5.2", "a section that ends behind a name", _request(b"\x00\x03foo"), BROKEN),
    Case("RFC 7541 5.2", "padding of more than 7 bits", _request(_name(b"\x82\x1f\xff")), BROKEN),
    Case("RFC 7541 5.2", "padding of 8 bits alone", _request(_name(b"\x81\xff")), BROKEN),
    Case("RFC 7541 5.2", "padding that is not the start of EOS", _request(_name(b"\x81\x18")), BROKEN),
    Case("RFC 7541 5.2", "EOS in a string", _request(_name(b"\x84\xff\xff\xff\xff")), BROKEN),
    Case("RFC 7541 5.2", "a Huffman string of no bytes", _request(_name(b"\x80")), Answered()),
    Case("RFC 7541 6.2.1", "a literal with indexing", _request(literal(b"foo", b"bar", 0x40)), Answered()),
    Case("RFC 7541 6.2.2", "a literal without indexing", _request(literal(b"foo", b"bar")), Answered()),
    Case("RFC 7541 6.2.3", "a literal never indexed", _request(literal(b"foo", b"bar", 0x10)), Answered()),
    Case("RFC 7541 6.2", "literals without indexing are not kept",
         (headers(1, PLAIN), Until(1), headers(3, STATIC + b"\xbe")), BROKEN),
    Case("RFC 7541 6.3", "a table larger than was allowed", _request(b"", number(1 << 20, 5, 0x20)), BROKEN),
    Case("RFC 7541 6.3", "a table of 4096", _request(b"", number(4096, 5, 0x20)), Answered()),
    Case("RFC 7541 2.2", "a malformed request changes the table all the same",
         (headers(1, STATIC + HOST + literal(b"Foo", b"x")), headers(3, STATIC + b"\xbe")),
         Either((Answered((3,)), Connection((PROTOCOL_ERROR,))))),
    Case("RFC 7541 2.2", "a section in pieces of one byte that changes the table",
         (headers(1, (STATIC + HOST)[:8], flags=0), continuation(1, (STATIC + HOST)[8:]), Until(1),
          headers(3, STATIC + b"\xbe")), Answered((1, 3))),
    Case("RFC 7541 4.2", "a table of 0 by SETTINGS of the client", (settings((1, 0)), headers(1, block(GET))),
         Answered()),
)
