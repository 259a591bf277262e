"""The PROXY protocol's header, versions 1 and 2, without I/O (haproxy.org, proxy-protocol.txt); read by the listener
filter ``proxy_protocol``, written by upstream connections.

Strategy: a header is short and comes once, first; ``read`` looks at all bytes so far and answers what it knows, so it
does not matter how they were cut. What can no longer become a header is told with the first byte that shows it; what
began as one and is broken raises. Addresses are texts as ``wire/address.py`` writes them.
"""

import re
import socket
import struct
from collections.abc import Iterable

from meshd.errors import ProtocolError
from meshd.wire.address import parse
from meshd.wire.crc32c import crc32c

SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"
WORD = b"PROXY "
V1_BYTES = 107
"""Longest line of version 1, with its CRLF (section 2.1)."""
V2_BYTES = 8192
"""Longest header of version 2 that is taken, with its 16 first bytes; the field itself could say 64 KiB."""
ALPN, AUTHORITY, CRC32C, NOOP, UNIQUE_ID, SSL, NETNS = 1, 2, 3, 4, 5, 32, 48

_V1 = re.compile(rb"PROXY (TCP4|TCP6) ([0-9A-Fa-f.:]+) ([0-9A-Fa-f.:]+) (0|[1-9][0-9]{0,4}) (0|[1-9][0-9]{0,4})\r\n")
_UNKNOWN = re.compile(rb"PROXY UNKNOWN( [^\r\n]*)?\r\n")
_FAMILIES = {b"TCP4": socket.AF_INET, b"TCP6": socket.AF_INET6}
_V2_FAMILIES = {1: (socket.AF_INET, 4), 2: (socket.AF_INET6, 16)}
_STREAM = 1
_UNIX_BYTES = 108


class NotFound:
    """The answer of ``read`` for bytes that are no PROXY header."""


NOT_FOUND = NotFound()


class ProxyHeader:
    """``version`` is 1 or 2, ``size`` the header's bytes. ``source`` and ``destination`` are addresses (HOST:PORT,
    [V6]:PORT, unix:PATH), "" where the connection is the proxy's own (LOCAL) or its family unknown.

    ``tlvs`` are (type, value) pairs in their order.
    """

    __slots__ = ("version", "size", "source", "destination", "tlvs")

    def __init__(self, version: int, size: int, source: str = "", destination: str = "",
                 tlvs: tuple[tuple[int, bytes], ...] = ()) -> None:
        self.version = version
        self.size = size
        self.source = source
        self.destination = destination
        self.tlvs = tlvs


class BadHeader(ProtocolError):
    """The bytes began as a header of ``version`` and are none."""

    def __init__(self, version: int, message: str) -> None:
        super().__init__(f"PROXY protocol: version {version}: {message}", 400, "proxy_protocol_error")
        self.version = version


def read(data: bytes) -> ProxyHeader | NotFound | None:
    """Return the header that ``data`` begins with, NOT_FOUND, or None where more bytes are needed to say.

    Raises BadHeader.
    """
    if data.startswith(SIGNATURE):
        return _read_2(data)
    if data.startswith(WORD):
        return _read_1(data)
    if SIGNATURE.startswith(data) or WORD.startswith(data):
        return None
    return NOT_FOUND


# Version 1: a line of text


def _read_1(data: bytes) -> ProxyHeader | None:
    line = data[:V1_BYTES]
    end = line.find(b"\n")
    if end < 0:
        if len(line) == V1_BYTES:
            raise BadHeader(1, f"no end within {V1_BYTES} bytes")
        return None
    line = line[: end + 1]
    found = _V1.fullmatch(line)
    if found is None:
        if _UNKNOWN.fullmatch(line) is None:
            raise BadHeader(1, "expected TCP4, TCP6 or UNKNOWN, two addresses, two ports and CRLF")
        return ProxyHeader(1, len(line))
    family = _FAMILIES[found[1]]
    source = _address_1(family, found[2], found[4])
    return ProxyHeader(1, len(line), source, _address_1(family, found[3], found[5]))


def _address_1(family: int, host: bytes, port: bytes) -> str:
    try:
        packed = socket.inet_pton(family, host.decode())
    except OSError:
        raise BadHeader(1, "an address that is not of the family named") from None
    if int(port) > 65535:
        raise BadHeader(1, "a port beyond 65535")
    return _render(family, packed, int(port))


# Version 2: binary


def _read_2(data: bytes) -> ProxyHeader | None:
    if len(data) < 16:
        return None
    command, family, length = data[12], data[13], data[14] << 8 | data[15]
    if command not in (0x20, 0x21):
        raise BadHeader(2, f"command {command:#04x}: expected LOCAL (0x20) or PROXY (0x21)")
    size = 16 + length
    if size > V2_BYTES:
        raise BadHeader(2, f"{size} bytes long: expected at most {V2_BYTES}")
    if len(data) < size:
        return None
    if command == 0x20:
        return ProxyHeader(2, size)
    source, destination, tlvs_at = _addresses_2(data[16:size], family)
    tlvs = _tlvs(data, 16 + tlvs_at, size) if tlvs_at >= 0 else ()
    return ProxyHeader(2, size, source, destination, tlvs)


def _addresses_2(body: bytes, family: int) -> tuple[str, str, int]:
    """Return source, destination and where the TLVs begin (-1: nothing is known of them)."""
    kind, transport = family >> 4, family & 15
    if kind > 3 or transport > 2:
        raise BadHeader(2, f"family {family:#04x}: expected one of the specification's")
    if not kind or not transport:
        return "", "", -1
    if transport != _STREAM:
        raise BadHeader(2, f"family {family:#04x}: expected a stream's")
    width = _UNIX_BYTES if kind == 3 else _V2_FAMILIES[kind][1]
    end = 2 * width + (0 if kind == 3 else 4)
    if len(body) < end:
        raise BadHeader(2, f"{len(body)} bytes of addresses: expected {end}")
    first, second = body[:width], body[width : 2 * width]
    if kind == 3:
        return _unix(first), _unix(second), end
    ports = struct.unpack_from("!HH", body, 2 * width)
    number = _V2_FAMILIES[kind][0]
    return _render(number, first, ports[0]), _render(number, second, ports[1]), end


def _tlvs(data: bytes, at: int, end: int) -> tuple[tuple[int, bytes], ...]:
    found = []
    while at < end:
        if at + 3 > end:
            raise BadHeader(2, "a TLV that is cut off")
        kind, length = data[at], data[at + 1] << 8 | data[at + 2]
        value_at, at = at + 3, at + 3 + length
        if at > end:
            raise BadHeader(2, "a TLV that is longer than the header")
        if kind == CRC32C:
            _check_sum(data[:end], value_at, length)
        if kind != NOOP:
            found.append((kind, data[value_at:at]))
    return tuple(found)


def _check_sum(header: bytes, at: int, length: int) -> None:
    if length != 4:
        raise BadHeader(2, f"a checksum of {length} bytes: expected 4")
    expected = int.from_bytes(header[at : at + 4])
    if crc32c(header[:at] + bytes(4) + header[at + 4 :]) != expected:
        raise BadHeader(2, "the checksum does not fit")


def _unix(name: bytes) -> str:
    """Return unix:PATH, unix:@NAME or ``unix:`` for a socket without a name."""
    if name[:1] == b"\0":
        rest = name[1:].rstrip(b"\0").decode("utf-8", "replace")
        return f"unix:@{rest}" if rest else "unix:"
    return "unix:" + name.split(b"\0", 1)[0].decode("utf-8", "replace")


def _render(family: int, packed: bytes, port: int) -> str:
    host = socket.inet_ntop(family, packed)
    return f"[{host}]:{port}" if family == socket.AF_INET6 else f"{host}:{port}"


# Writing


def write(version: int, source: str, destination: str, tlvs: Iterable[tuple[int, bytes]] = ()) -> bytes:
    """Return the header of ``version`` for a connection from ``source`` to ``destination``.

    Where these are empty or cannot be told, it is version 1's UNKNOWN or version 2's LOCAL. Addresses of two families
    are both written as IPv6. Raises ValueError where the TLVs are too long.
    """
    ends = _pair(source, destination)
    if version == 1:
        return _write_1(ends)
    return _write_2(ends, source, destination, tlvs)


def _pair(source: str, destination: str) -> tuple[int, bytes, int, bytes, int] | None:
    """Return (family, source, its port, destination, its port), None where an end has no IP address."""
    try:
        first, second = parse(source), parse(destination)
    except ValueError:
        return None
    if socket.AF_UNIX in (first[0], second[0]):
        return None
    family = socket.AF_INET if first[0] == second[0] == socket.AF_INET else socket.AF_INET6
    return family, _pack(family, first), first[1][1], _pack(family, second), second[1][1]


def _pack(family: int, end: tuple) -> bytes:
    own, (host, _) = end
    packed = socket.inet_pton(own, host.split("%")[0])
    return b"\0" * 10 + b"\xff\xff" + packed if own != family else packed


def _write_1(ends: tuple | None) -> bytes:
    if ends is None:
        return b"PROXY UNKNOWN\r\n"
    family, source, source_port, destination, destination_port = ends
    word = "TCP4" if family == socket.AF_INET else "TCP6"
    hosts = f"{socket.inet_ntop(family, source)} {socket.inet_ntop(family, destination)}"
    return f"PROXY {word} {hosts} {source_port} {destination_port}\r\n".encode()


def _write_2(ends: tuple | None, source: str, destination: str, tlvs: Iterable[tuple[int, bytes]]) -> bytes:
    if ends is not None:
        family, first, first_port, second, second_port = ends
        kind = 0x11 if family == socket.AF_INET else 0x21
        body = first + second + struct.pack("!HH", first_port, second_port)
    elif source.startswith("unix:") and destination.startswith("unix:"):
        kind, body = 0x31, _unix_bytes(source) + _unix_bytes(destination)
    else:
        return SIGNATURE + b"\x20\0\0\0"
    for number, value in tlvs:
        body += struct.pack("!BH", number, len(value)) + value
    if 16 + len(body) > V2_BYTES:
        raise ValueError(f"PROXY protocol: {16 + len(body)} bytes of header: expected at most {V2_BYTES}")
    return SIGNATURE + struct.pack("!BBH", 0x21, kind, len(body)) + body


def _unix_bytes(address: str) -> bytes:
    path = address[5:]
    name = b"\0" + path[1:].encode() if path.startswith("@") else path.encode()
    return name[:_UNIX_BYTES].ljust(_UNIX_BYTES, b"\0")


def header(version: str, source: str = "", destination: str = "") -> bytes:
    """Return the header of ``version``, ``v1`` or ``v2`` as the model has it; without addresses: of nobody."""
    return write(int(version[1:]), source, destination)
