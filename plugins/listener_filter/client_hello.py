"""The first flight of a TLS client, read without a TLS library: server name and application protocols.

Strategy (RFC 8446 sections 4.1.2, 4.2 and 5.1, RFC 6066 section 3, RFC 7301 section 3.1): the handshake message is put
together from records, however they are cut; what is not whole yet is asked for again with more bytes. Everything has a
bound, and whatever breaks the grammar is no ClientHello: nothing is guessed.
"""

from struct import unpack_from

import attrs

HANDSHAKE, CLIENT_HELLO = 22, 1
SERVER_NAME, ALPN = 0, 16
MAX_RECORD = 16384
MAX_RECORDS = 64
"""In which a ClientHello may come: each read looks at all of them again."""
MAX_HELLO = 16384
"""Most bytes of a ClientHello; Envoy's default for max_client_hello_size too."""


class NoHello(ValueError):
    """The bytes are not the beginning of a TLS ClientHello."""


class TooLarge(NoHello):
    """It may be a ClientHello, and is larger than is looked at."""


@attrs.frozen
class ClientHello:
    """``server_name`` is in lower case, "" where none is asked for; ``protocols`` are in the client's order."""

    server_name: str = ""
    protocols: tuple[str, ...] = ()


def read_hello(data: bytes, limit: int = MAX_HELLO) -> ClientHello | None:
    """Return what a client wants; None where ``data`` is only the beginning of it. Raises NoHello, or TooLarge where
    it is of more than ``limit`` bytes.
    """
    message = _message(data)
    if message and message[0] != CLIENT_HELLO:
        raise NoHello("another handshake message")
    if len(message) < 4:
        return None
    size = int.from_bytes(message[1:4], "big")
    if size > limit:
        raise TooLarge(f"a ClientHello of {size} bytes, expected at most {limit}")
    if len(message) < 4 + size:
        return None
    return _hello(_Reader(message[4:4 + size]))


def _message(data: bytes) -> bytes:
    """Return what the records carry of the first handshake message, as far as it is there."""
    message, place, records = b"", 0, 0
    while place < len(data) and len(message) < 4 + int.from_bytes(message[1:4], "big"):
        records += 1
        if records > MAX_RECORDS:
            raise NoHello(f"more than {MAX_RECORDS} records")
        head = data[place:place + 5]
        if head[0] != HANDSHAKE or (len(head) > 1 and head[1] != 3):
            raise NoHello("no handshake record of TLS")
        if len(head) < 5:
            break
        length = unpack_from(">H", head, 3)[0]
        if not 0 < length <= MAX_RECORD:
            raise NoHello(f"a handshake record of {length} bytes")
        message += data[place + 5:place + 5 + length]
        place += 5 + length
    return message


class _Reader:
    """Takes fields off bytes; raises NoHello where they end too early."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.place = 0

    def take(self, count: int) -> bytes:
        """Return the next ``count`` bytes."""
        end = self.place + count
        if end > len(self.data):
            raise NoHello("a field that ends too early")
        found = self.data[self.place:end]
        self.place = end
        return found

    def number(self, size: int) -> int:
        """Return the next number of ``size`` bytes."""
        return int.from_bytes(self.take(size), "big")

    def vector(self, size: int) -> "_Reader":
        """Return a reader of the next vector, whose length has ``size`` bytes."""
        return _Reader(self.take(self.number(size)))

    @property
    def is_done(self) -> bool:
        """Nothing is left."""
        return self.place == len(self.data)


def _hello(body: _Reader) -> ClientHello:
    if body.number(2) >> 8 != 3:
        raise NoHello("another version than 3.x")
    body.take(32)
    body.vector(1)
    if len(body.vector(2).data) % 2:
        raise NoHello("half a cipher suite")
    if not body.vector(1).data:
        raise NoHello("no compression method")
    if body.is_done:  # TLS 1.2 without extensions
        return ClientHello()
    found = _extensions(body.vector(2))
    if not body.is_done:
        raise NoHello("bytes behind the extensions")
    name, protocols = found.get(SERVER_NAME), found.get(ALPN)
    return ClientHello(
        "" if name is None else _server_name(name), () if protocols is None else tuple(_protocols(protocols)))


def _extensions(reader: _Reader) -> dict[int, _Reader]:
    found: dict[int, _Reader] = {}
    while not reader.is_done:
        kind, body = reader.number(2), reader.vector(2)
        if kind in found:
            raise NoHello(f"extension {kind} twice")
        found[kind] = body
    return found


def _server_name(extension: _Reader) -> str:
    names, found = extension.vector(2), ""
    if not extension.is_done or names.is_done:
        raise NoHello("a list of server names of another length")
    while not names.is_done:
        kind, name = names.number(1), names.vector(2).data
        if kind == 0:
            if found or not name or not all(0x21 <= byte <= 0x7E for byte in name):
                raise NoHello("a server name that is none")
            found = name.decode("ascii").lower()
    return found


def _protocols(extension: _Reader):
    names = extension.vector(2)
    if not extension.is_done or names.is_done:
        raise NoHello("a list of protocols of another length")
    while not names.is_done:
        name = names.vector(1).data
        if not name:
            raise NoHello("an empty protocol name")
        yield name.decode("latin-1")
