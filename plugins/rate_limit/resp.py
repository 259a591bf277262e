"""Redis' protocol (RESP2) without I/O: commands to bytes, bytes to replies; called by ``redis``.

Strategy: strict and bounded. A reply that is larger than anything that is asked for here, nested deeper, or not of the
protocol, raises RespError; the connection is given up then, since nobody knows where the next reply begins.
"""

MAX_LINE_BYTES = 4096
MAX_BULK_BYTES = 65536
MAX_ITEMS = 1024
MAX_DEPTH = 4
CRLF = b"\r\n"


class RespError(Exception):
    """The peer does not speak RESP2, or says more than expected."""


class ErrorReply:
    """An error that Redis answered; ``text`` is its first word and what follows (``NOSCRIPT No matching script``)."""

    __slots__ = ("text",)

    def __init__(self, text):
        self.text = text

    @property
    def code(self):
        """The first word."""
        return self.text.partition(" ")[0]

    def __eq__(self, other):
        return isinstance(other, ErrorReply) and self.text == other.text

    def __repr__(self):
        return f"ErrorReply({self.text!r})"


def command(*words):
    """Return a command's bytes; ``words`` are bytes, str or int."""
    parts = [b"*%d\r\n" % len(words)]
    for word in words:
        data = word if isinstance(word, bytes) else str(word).encode()
        parts.append(b"$%d\r\n%b\r\n" % (len(data), data))
    return b"".join(parts)


class Need(Exception):
    """More bytes are needed."""


class Parser:
    """``receive(data)`` returns the replies that are whole: bytes, int, None, ErrorReply, or a list of these.

    What is kept between calls is at most one reply, which has a bound.
    """

    def __init__(self):
        self._kept = b""

    def receive(self, data):
        """Return a list of replies; raises RespError."""
        data = self._kept + data if self._kept else data
        replies, at = [], 0
        while at < len(data):
            try:
                reply, at = read(data, at, 0)
            except Need:
                break
            replies.append(reply)
        self._kept = data[at:]
        if len(self._kept) > MAX_BULK_BYTES + 2 * MAX_LINE_BYTES:
            raise RespError(f"reply: expected at most {MAX_BULK_BYTES} bytes")
        return replies


def read(data, at, depth):
    """Return (reply, where the next one begins) of what stands at ``at``; raises Need and RespError."""
    kind = data[at:at + 1]
    if not kind:
        raise Need
    if kind not in b"+-:$*":
        raise RespError(f"reply: expected one of + - : $ *, got {kind!r}")
    line, after = read_line(data, at + 1)
    if kind == b"+":
        return line, after
    if kind == b"-":
        return ErrorReply(line.decode("utf-8", "replace")), after
    if kind == b":":
        return whole(line, -(2**63)), after
    if kind == b"$":
        return read_bulk(data, whole(line, -1), after)
    return read_items(data, whole(line, -1), after, depth)


def read_line(data, at):
    """Return (line, what follows it)."""
    end = data.find(CRLF, at, at + MAX_LINE_BYTES + 2)
    if end >= 0:
        return data[at:end], end + 2
    if len(data) - at > MAX_LINE_BYTES:
        raise RespError(f"reply: expected a line of at most {MAX_LINE_BYTES} bytes")
    raise Need


def whole(line, minimum):
    """Return the number of a line."""
    digits = line[1:] if line[:1] == b"-" else line
    if not digits.isdigit() or len(digits) > 19 or (value := int(line)) < minimum:
        raise RespError(f"reply: expected a whole number of at least {minimum}, got {line[:30]!r}")
    return value


def read_bulk(data, length, at):
    """Return (bytes or None, what follows)."""
    if length < 0:
        return None, at
    if length > MAX_BULK_BYTES:
        raise RespError(f"reply: expected at most {MAX_BULK_BYTES} bytes, got {length}")
    end = at + length
    if len(data) < end + 2:
        raise Need
    if data[end:end + 2] != CRLF:
        raise RespError("reply: expected a line's end after a bulk string")
    return data[at:end], end + 2


def read_items(data, count, at, depth):
    """Return (list or None, what follows)."""
    if count < 0:
        return None, at
    if count > MAX_ITEMS or depth >= MAX_DEPTH:
        raise RespError(f"reply: expected at most {MAX_ITEMS} items, {MAX_DEPTH} deep")
    items = []
    for _ in range(count):
        item, at = read(data, at, depth + 1)
        items.append(item)
    return items, at
