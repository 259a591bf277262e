"""Messages of Protocol Buffers, as few as our own calls need: health checks and rate-limit services.

The encoding is public and small (protobuf.dev, "Encoding"); a schema compiler and its runtime would be a dependency of
5 MiB for four messages. Writing is by field: ``text(1, "a") + number(2, 7)``. Reading returns all fields by their
numbers; unknown ones do no harm.
"""

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5
MOST_BYTES = 10
MOST_FIELDS = 10_000


def varint(value: int) -> bytes:
    """Return a whole number from 0 to 2**64 - 1."""
    parts = bytearray()
    while value > 0x7F:
        parts.append(value & 0x7F | 0x80)
        value >>= 7
    parts.append(value)
    return bytes(parts)


def number(field: int, value: int) -> bytes:
    """Return a field of a whole number; nothing for 0, which is the default."""
    return varint(field << 3 | VARINT) + varint(value) if value else b""


def data(field: int, value: bytes) -> bytes:
    """Return a field of bytes or of a message, also where it is empty."""
    return b"%b%b%b" % (varint(field << 3 | BYTES), varint(len(value)), value)


def text(field: int, value: str | bytes) -> bytes:
    """Return a field of text; nothing for an empty one, which is the default. Bytes that are no UTF-8 are replaced."""
    if isinstance(value, bytes):
        value = value.decode("utf-8", "replace")
    return data(field, value.encode("utf-8", "replace")) if value else b""


class Fields:
    """A message that was read; of a field that comes several times the last counts but for ``all``."""

    __slots__ = ("_values",)

    def __init__(self, values: dict[int, list]) -> None:
        self._values = values

    def number(self, field: int) -> int:
        """Return a whole number, 0 where it is not there; raises ValueError where it is something else."""
        return self._last(field, int, 0)

    def data(self, field: int) -> bytes:
        """Return bytes, empty where they are not there."""
        return self._last(field, bytes, b"")

    def text(self, field: int) -> str:
        """Return text; raises ValueError where it is none."""
        return self.data(field).decode()

    def all(self, field: int) -> list[bytes]:
        """Return each of a repeated field's values."""
        values = self._values.get(field, [])
        if not all(isinstance(value, bytes) for value in values):
            raise ValueError(f"field {field}: expected bytes")
        return values

    def message(self, field: int) -> "Fields | None":
        """Return a message within, None where there is none."""
        return read(self.data(field)) if field in self._values else None

    def _last(self, field: int, kind: type, default):
        values = self._values.get(field)
        if not values:
            return default
        if not isinstance(values[-1], kind):
            raise ValueError(f"field {field}: expected another type")
        return values[-1]


def read(raw: bytes) -> Fields:
    """Return a message; raises ValueError where it is none. Nothing within it is looked at."""
    values: dict[int, list] = {}
    at, count = 0, 0
    while at < len(raw):
        key, at = _varint(raw, at)
        field, kind = key >> 3, key & 7
        value: int | bytes
        if kind == VARINT:
            value, at = _varint(raw, at)
        else:
            if kind == BYTES:
                size, at = _varint(raw, at)
            else:
                size = {FIXED64: 8, FIXED32: 4}.get(kind, -1)
            if size < 0 or at + size > len(raw):
                raise ValueError("a message is cut short, or is none")
            value, at = raw[at:at + size], at + size
        count += 1
        if not field or count > MOST_FIELDS:
            raise ValueError("expected a message")
        values.setdefault(field, []).append(value)
    return Fields(values)


def _varint(raw: bytes, at: int) -> tuple[int, int]:
    value = 0
    for place in range(MOST_BYTES):
        if at >= len(raw):
            break
        byte = raw[at]
        at += 1
        value |= (byte & 0x7F) << 7 * place
        if byte < 0x80:
            return value & 0xFFFFFFFFFFFFFFFF, at
    raise ValueError("a number is cut short, or is too long")
