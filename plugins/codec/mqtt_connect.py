"""MQTT's CONNECT packet, versions 3.1.1 and 5, read to the letter [3.1]."""

import attrs

from meshd.api import ProtocolError

MALFORMED, BAD_VERSION, BAD_ID = 0x81, 0x84, 0x85
USERNAME, PASSWORD, WILL_RETAIN, WILL_QOS, WILL, CLEAN, RESERVED = 0x80, 0x40, 0x20, 0x18, 0x04, 0x02, 0x01
BYTE, TWO, FOUR, TEXT, BINARY, PAIR = range(6)
FIXED = {BYTE: 1, TWO: 2, FOUR: 4}
USER_PROPERTY, AUTH_METHOD, AUTH_DATA = 0x26, 0x15, 0x16
OF_CONNECT = {0x11: FOUR, 0x21: TWO, 0x27: FOUR, 0x22: TWO, 0x19: BYTE, 0x17: BYTE, USER_PROPERTY: PAIR,
              AUTH_METHOD: TEXT, AUTH_DATA: BINARY}
OF_WILL = {0x18: FOUR, 0x01: BYTE, 0x02: FOUR, 0x03: TEXT, 0x08: TEXT, 0x09: BINARY, USER_PROPERTY: PAIR}
NOT_ZERO = (0x21, 0x27)
FLAGS = (0x19, 0x17, 0x01)


class BadConnect(ProtocolError):
    """``reason`` is version 5's reason code; ``is_5`` says whether the client speaks version 5."""

    def __init__(self, message, is_5=False, reason=MALFORMED):
        super().__init__(f"mqtt: CONNECT: {message}")
        self.reason = reason
        self.is_5 = is_5


@attrs.frozen
class Connect:
    """What is of use here. ``level`` is 4 (3.1.1) or 5."""

    level: int
    client_id: bytes
    username: bytes
    is_clean: bool


class Reader:
    """Reads one packet; raises BadConnect."""

    def __init__(self, data, at):
        self.data = data
        self.at = at
        self.is_5 = False

    def fail(self, message, reason=MALFORMED):
        """Refuse the packet."""
        raise BadConnect(message, self.is_5, reason)

    def take(self, count):
        """Return the next ``count`` bytes."""
        found = self.data[self.at : self.at + count]
        if len(found) < count:
            self.fail("it is cut off")
        self.at += count
        return found

    def number(self, count):
        """Return a number of so many bytes."""
        return int.from_bytes(self.take(count))

    def binary(self):
        """Return bytes with their length before them."""
        return self.take(self.number(2))

    def text(self):
        """Return the bytes of a UTF-8 string without controls [1.5.4]; those beyond NUL may be refused, and are."""
        found = self.binary()
        try:
            text = found.decode()
        except UnicodeDecodeError:
            self.fail("a string that is not UTF-8")
        if any(one < " " or "\x7f" <= one <= "\x9f" for one in text):
            self.fail("a control character in a string")
        return found

    def length(self):
        """Return a variable byte integer [1.5.5]."""
        value = 0
        for place in range(4):
            byte = self.number(1)
            value |= (byte & 0x7F) << 7 * place
            if not byte & 0x80:
                if place and not byte:
                    self.fail("a length that is longer than it need be")
                return value
        return self.fail("a length of more than four bytes")

    def properties(self, allowed):
        """Read properties [2.2.2]; return the numbers of those that are there."""
        length = self.length()
        end, seen = self.at + length, set()
        if end > len(self.data):
            self.fail("it is cut off")
        while self.at < end:
            number = self.number(1)
            kind = allowed.get(number)
            if kind is None:
                self.fail(f"property {number:#04x} does not belong here")
            if number in seen and number != USER_PROPERTY:
                self.fail(f"property {number:#04x} twice")
            seen.add(number)
            self.property(number, kind)
        if self.at != end:
            self.fail("a property beyond the others' end")
        return seen

    def property(self, number, kind):
        """Read one."""
        if kind in FIXED:
            value = self.number(FIXED[kind])
            if number in NOT_ZERO and not value or number in FLAGS and value > 1:
                self.fail(f"property {number:#04x} is {value}")
        elif kind == BINARY:
            self.binary()
        else:
            self.text()
            if kind == PAIR:
                self.text()


def read_connect(data):
    """Return the Connect of one whole packet; raises BadConnect."""
    at = 1
    while data[at] & 0x80:
        at += 1
    reader = Reader(data, at + 1)
    if reader.binary() not in (b"MQTT", b"MQIsdp"):
        reader.fail("expected the protocol's name MQTT")
    level = reader.number(1)
    if level not in (4, 5):
        reader.is_5 = level > 5
        reader.fail(f"level {level}: expected 4 (3.1.1) or 5", BAD_VERSION)
    reader.is_5 = level == 5
    flags = reader.number(1)
    _check_flags(reader, flags)
    reader.take(2)  # keep-alive: the server's concern
    if reader.is_5:
        seen = reader.properties(OF_CONNECT)
        if AUTH_DATA in seen and AUTH_METHOD not in seen:
            reader.fail("authentication data without a method")
    client_id = reader.text()
    if not client_id and not reader.is_5 and not flags & CLEAN:
        reader.fail("no client id for a session that is to be kept", BAD_ID)
    if flags & WILL:
        if reader.is_5:
            reader.properties(OF_WILL)
        reader.text()
        reader.binary()
    username = reader.text() if flags & USERNAME else b""
    if flags & PASSWORD:
        reader.binary()
    if reader.at != len(data):
        reader.fail("bytes behind its end")
    return Connect(level, client_id, username, bool(flags & CLEAN))


def _check_flags(reader, flags):
    """Refuse combinations that cannot be [3.1.2]."""
    if flags & RESERVED:
        reader.fail("the reserved flag is set")
    if flags & WILL_QOS == WILL_QOS:
        reader.fail("a will of quality 3")
    if not flags & WILL and flags & (WILL_QOS | WILL_RETAIN):
        reader.fail("a will's flags without a will")
    if not reader.is_5 and flags & PASSWORD and not flags & USERNAME:
        reader.fail("a password without a user's name")
