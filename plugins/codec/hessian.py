"""Strings of Hessian 2 (hessian.caucho.com, serialization 4.12), as far as the head of a Dubbo request needs them.

Lengths count UTF-16 units. Java writes characters beyond the basic plane as two of three bytes each, other libraries as
one of four: both are read.
"""

from meshd.api import ProtocolError

NULL = 0x4E
MAX_UNITS = 4096
"""Longest string that is read; names of services and methods are far shorter."""


def read_string(data, at):
    """Return (bytes of the string as they are, where the next value begins); None as b"". Raises ProtocolError."""
    parts, count = [], 0
    while True:
        if at >= len(data):
            raise ProtocolError("hessian: a string that is cut off")
        tag = data[at]
        if tag == NULL and not parts:
            return b"", at + 1
        units, start = _length(data, at, tag)
        count += units
        if count > MAX_UNITS:
            raise ProtocolError(f"hessian: a string of more than {MAX_UNITS} characters")
        at = _end(data, start, units)
        parts.append(data[start:at])
        if tag != 0x52:
            return b"".join(parts), at


def _length(data, at, tag):
    """Return (UTF-16 units of the piece, where it begins)."""
    if tag <= 0x1F:
        return tag, at + 1
    if 0x30 <= tag <= 0x33 and at + 2 <= len(data):
        return (tag - 0x30) << 8 | data[at + 1], at + 2
    if tag in (0x52, 0x53) and at + 3 <= len(data):
        return data[at + 1] << 8 | data[at + 2], at + 3
    raise ProtocolError(f"hessian: {tag:#04x}: expected a string")


def _end(data, at, units):
    """Return where so many UTF-16 units of UTF-8 end."""
    while units > 0:
        if at >= len(data):
            raise ProtocolError("hessian: a string that is cut off")
        first = data[at]
        if first < 0x80:
            at, units = at + 1, units - 1
        elif 0xC2 <= first < 0xE0:
            at, units = at + 2, units - 1
        elif 0xE0 <= first < 0xF0:
            at, units = at + 3, units - 1
        elif 0xF0 <= first < 0xF5:
            at, units = at + 4, units - 2
        else:
            raise ProtocolError("hessian: a string that is not UTF-8")
    if units or at > len(data):
        raise ProtocolError("hessian: a string that is cut off")
    return at


def write_string(text):
    """Return a short string of ASCII (at most 1023 characters)."""
    data = text.encode("ascii", "replace")[:1023]
    if len(data) < 32:
        return bytes((len(data),)) + data
    return bytes((0x30 | len(data) >> 8, len(data) & 0xFF)) + data
