"""The health checker ``tcp``: a connection that opens, or one that also answers as expected."""

from twisted.internet.defer import Deferred
from zope.interface import implementer

from meshd.api import Checked, IHealthChecker, Integer, ListOf, Text, config, option
from meshd_plugins.health_checker.part import address_of, has_all

HEX = r"([0-9A-Fa-f]{2})*"
MAX_BYTES = 65536
CONNECT_S = 3600.0  # the check's timeout comes first


@config
class TcpCheckOptions:
    """What is sent and expected (Envoy's HealthCheck.TcpHealthCheck); with nothing to expect, to connect is enough."""

    send: str = option(Text(), default="", doc="text that is sent")
    send_hex: str = option(Text(pattern=HEX), default="", doc="bytes that are sent, in hexadecimal digits")
    receive: tuple[str, ...] = option(
        ListOf(item=Text(minimum=1), maximum=100), default=(), doc="texts that must come, in this order")
    receive_hex: tuple[str, ...] = option(
        ListOf(item=Text(minimum=2, pattern=HEX), maximum=100), default=(), doc="the same in hexadecimal digits")
    alt_port: int = option(Integer(maximum=65535), default=0, doc="ask this port of the endpoint (0: its own)")

    def check(self):
        """Yield faults between fields."""
        if self.send and self.send_hex:
            yield "send_hex", "expected either send or send_hex"
        if self.receive and self.receive_hex:
            yield "receive_hex", "expected either receive or receive_hex"


@implementer(IHealthChecker)
class TcpChecker:
    """Connects, and asks where it is told what."""

    def __init__(self, options, site):
        self._dial = site.dial
        self._port = options.alt_port
        self._send = options.send.encode() or bytes.fromhex(options.send_hex)
        expected = [text.encode() for text in options.receive]
        self._expected = expected or [bytes.fromhex(text) for text in options.receive_hex]

    def check(self, endpoint):
        """Return a Deferred of Checked."""
        address = address_of(endpoint.address, self._port)
        return Connecting(self._dial, address, self._send, self._expected).answer


class Connecting:
    """One check: the receiver of its connection."""

    def __init__(self, dial, address, send, expected):
        self.answer = Deferred(lambda _: self._close())
        self._send = send
        self._expected = expected
        self._data = b""
        self._stream = None
        stream = dial(address, self, CONNECT_S)
        if not self.answer.called:
            self._stream = stream
        else:
            stream.close()

    def opened(self):
        """It opens."""
        if not self._expected and not self._send:
            self._finish(Checked(is_well=True))
            return
        self._stream.send(self._send)
        if not self._expected:
            self._finish(Checked(is_well=True))

    def received(self, data):
        """It says something."""
        self._data += data
        if has_all(self._data, self._expected):
            self._finish(Checked(is_well=True))
        elif len(self._data) > MAX_BYTES:
            self._finish(Checked(is_well=False, is_final=True, reason="it does not say what is expected"))

    def lost(self, reason):
        """It ends."""
        self._finish(Checked(is_well=False, reason=reason))

    def _close(self):
        stream, self._stream = self._stream, None
        if stream is not None:
            stream.close()

    def _finish(self, found):
        if not self.answer.called:
            self._close()
            self.answer.callback(found)
