"""The little of DER (X.690) that reading a certificate needs. Whatever is malformed is a ValueError."""

import calendar
import time

SEQUENCE, SET, INTEGER, OID, OCTETS, BOOLEAN, UTC, GENERAL = 0x30, 0x31, 0x02, 0x06, 0x04, 0x01, 0x17, 0x18


class Reader:
    """Walks over the values of one level."""

    def __init__(self, data: bytes, begin: int = 0, end: int | None = None) -> None:
        self.data = data
        self.at = begin
        self.end = len(data) if end is None else end

    def __bool__(self) -> bool:
        return self.at < self.end

    def next(self) -> tuple[int, int, int, int]:
        """Return (tag, where it begins, where its content begins, where it ends) of the next value, and pass it."""
        data, begin = self.data, self.at
        if begin + 2 > self.end:
            raise ValueError("a value is cut off")
        tag, size, at = data[begin], data[begin + 1], begin + 2
        if tag & 0x1F == 0x1F:
            raise ValueError("a tag of many bytes")
        if size & 0x80:
            count = size & 0x7F
            if not 1 <= count <= 4 or at + count > self.end:
                raise ValueError("a length of an unknown form")
            size = int.from_bytes(data[at:at + count], "big")
            at += count
        if at + size > self.end:
            raise ValueError("a value is longer than what holds it")
        self.at = at + size
        return tag, begin, at, self.at

    def peek(self) -> int:
        """Return the next value's tag, -1 at the end."""
        return self.data[self.at] if self.at < self.end else -1

    def take(self, tag: int) -> bytes:
        """Return the content of the next value, which must be of ``tag``."""
        found, _, content, end = self.next()
        if found != tag:
            raise ValueError(f"a value of tag {found:#x}, expected {tag:#x}")
        return self.data[content:end]

    def open(self, tag: int) -> "Reader":
        """Return a reader of what is in the next value, which must be of ``tag``."""
        found, _, content, end = self.next()
        if found != tag:
            raise ValueError(f"a value of tag {found:#x}, expected {tag:#x}")
        return Reader(self.data, content, end)


def oid(content: bytes) -> str:
    """Return an object identifier as dotted text."""
    if not content or content[-1] & 0x80:
        raise ValueError("an object identifier is cut off")
    numbers, number = [], 0
    for byte in content:
        number = number << 7 | byte & 0x7F
        if not byte & 0x80:
            numbers.append(number)
            number = 0
    first = min(numbers[0] // 40, 2)
    return ".".join(map(str, (first, numbers[0] - 40 * first, *numbers[1:])))


def seconds(reader: Reader) -> float:
    """Return the next value, a time, in epoch seconds (RFC 5280 4.1.2.5)."""
    tag, _, content, end = reader.next()
    text = reader.data[content:end].decode("ascii", "replace")
    if tag == UTC and len(text) == 13:
        text = ("19" if text[:2] >= "50" else "20") + text
    elif tag != GENERAL:
        raise ValueError("a time of an unknown form")
    if len(text) != 15 or not text[:14].isdigit() or text[14] != "Z":
        raise ValueError("a time of an unknown form")
    return float(calendar.timegm(time.strptime(text[:14], "%Y%m%d%H%M%S")))
