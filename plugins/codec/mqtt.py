"""The codec of MQTT 3.1.1 and 5 (OASIS): CONNECT is read strictly, what follows is passed on as it is.

Routed by client-id, username, protocol-level (4 or 5) and clean-start. The numbers in brackets are those of the
statements in the version 5 specification; 3.1.1 says the same where nothing else is noted.
"""

from meshd.api import NO_ROUTE, SESSION, Frame, ProtocolError, Size, config, option
from meshd_plugins.codec.mqtt_connect import read_connect

CONNECT = 0x10
ANSWER = {True: b"\x20\x03\x00%c\x00", False: b"\x20\x02\x00%c"}
"""CONNACK of version 5 or not, without a session; the byte is the reason."""
UNAVAILABLE = {True: 0x88, False: 3}
NOT_AUTHORIZED = {True: 0x87, False: 5}
MALFORMED, BAD_VERSION, BAD_ID = 0x81, 0x84, 0x85
OLD = {BAD_VERSION: 1, BAD_ID: 2}
"""What 3.1.1 calls them; it has no word for malformed packets."""


@config
class Mqtt:
    """MQTT 3.1.1 and 5."""

    max_connect_bytes: int = option(
        Size(minimum=64, maximum=2**28), default=65536, doc="longest CONNECT packet (it may bring a will)"
    )


class MqttCodec:
    """See ``IProtocolCodec``."""

    is_multiplexed = False

    def __init__(self, config, site):
        self.max_frame_bytes = config.max_connect_bytes

    def decode(self, data):
        """Return ([the CONNECT], what follows it)."""
        size = self.frame_bytes(data)
        if not size or len(data) < size:
            return [], data
        found = read_connect(data[:size])
        return [Frame(SESSION, data[:size], status=f"{found.level}")], data[size:]

    def frame_bytes(self, start):
        """Return how long the CONNECT is; nothing else may come first [MQTT-3.1.0-1]."""
        if start and start[0] != CONNECT:
            raise ProtocolError("mqtt: expected CONNECT first")
        size = value = 0
        for place, byte in enumerate(start[1:5]):
            value |= (byte & 0x7F) << 7 * place
            if not byte & 0x80:
                if place and not byte:
                    raise ProtocolError("mqtt: a length that is longer than it need be")
                size = 2 + place + value
                break
            if place == 3:
                raise ProtocolError("mqtt: a length of more than four bytes")
        if size > self.max_frame_bytes:
            raise ProtocolError(f"mqtt: a CONNECT of {size} bytes: expected at most {self.max_frame_bytes}")
        return size

    def encode(self, frame):
        """Return the bytes as they are."""
        return frame.data

    def fields(self, frame):
        """Return what the CONNECT says of its client."""
        found = read_connect(frame.data)
        level = b"%d" % found.level
        return ((b"client-id", found.client_id), (b"username", found.username), (b"protocol-level", level),
                (b"clean-start", b"true" if found.is_clean else b"false"))

    def heartbeat_answer(self, frame):
        """PINGREQ goes to the server, who counts it (none is a HEARTBEAT here)."""
        return frame

    def refusal(self, frame, reason):
        """Return the CONNACK that says why."""
        is_5 = read_connect(frame.data).level == 5
        return ANSWER[is_5] % (NOT_AUTHORIZED if reason == NO_ROUTE else UNAVAILABLE)[is_5]

    def malformed(self, data):
        """Return the CONNACK for a CONNECT that is wrong in what its version has a word for; else b""."""
        try:
            size = self.frame_bytes(data)
            if size and len(data) >= size:
                read_connect(data[:size])
        except ProtocolError as error:
            is_5, reason = getattr(error, "is_5", False), getattr(error, "reason", MALFORMED)
            if is_5:
                return ANSWER[True] % reason
            return ANSWER[False] % OLD[reason] if reason in OLD else b""
        return b""
