"""The health checker ``grpc``: a call of ``grpc.health.v1.Health/Check``, which must answer SERVING (Envoy's rules)."""

from twisted.internet.defer import Deferred
from zope.interface import implementer

from meshd.api import (
    Boolean, Channel, Checked, IHealthChecker, Integer, MapOf, Text, call_head, config, message, option,
)
from meshd_plugins.health_checker.part import address_of

METHOD = b"/grpc.health.v1.Health/Check"
ALPN = ("h2",)
STATES = ("UNKNOWN", "SERVING", "NOT_SERVING", "SERVICE_UNKNOWN")
SERVING = 1
CONNECT_S = 3600.0  # the check's timeout comes first


@config
class GrpcCheckOptions:
    """What is asked for (Envoy's HealthCheck.GrpcHealthCheck)."""

    service_name: str = option(
        Text(maximum=512), default="", doc="service whose health is asked for (the server's as a whole when empty)")
    authority: str = option(
        Text(maximum=253, pattern=r"[!-~]*"), default="", doc=":authority of the call (absent: the cluster's name)")
    initial_metadata: tuple[tuple[str, str], ...] = option(
        MapOf(value=Text(), key=Text(pattern=r"[A-Za-z0-9_.-]+")), default=(), doc="more fields of the call")
    reuse_connection: bool = option(Boolean(), default=True, doc="keep the connection for the next check")
    alt_port: int = option(Integer(maximum=65535), default=0, doc="ask this port of the endpoint (0: its own)")


def state_of(messages):
    """Return what the answer says, a number of ``STATES``; None where it is no answer to the question."""
    if len(messages) != 1:
        return None
    try:
        fields = message.read(messages[0])
    except ValueError:
        return None
    return fields.number(1)


@implementer(IHealthChecker)
class GrpcChecker:
    """Asks; keeps one connection for each endpoint."""

    def __init__(self, options, site):
        self.options = options
        self.dial = site.dial
        self.kept = {}
        fields = ((b"user-agent", b"meshd/HealthCheck"),)
        fields += tuple((name.lower().encode(), value.encode()) for name, value in options.initial_metadata)
        self.head = call_head(METHOD, (options.authority or site.name).encode(), fields)
        self.question = message.text(1, options.service_name)

    def check(self, endpoint):
        """Return a Deferred of Checked."""
        address = address_of(endpoint.address, self.options.alt_port)
        line = self.kept.pop(address, None)
        if line is None or not line.channel.is_usable:
            line = Line(self, address)
        return line.ask()

    def stop(self):
        """Close what was kept."""
        while self.kept:
            self.kept.popitem()[1].close()

    def judge(self, ended):
        """Return what a call has found."""
        if ended.status is None:
            return Checked(is_well=False, reason=ended.reason)
        if ended.status:
            return Checked(is_well=False, is_final=True, reason=ended.reason)
        state = state_of(ended.messages)
        if state == SERVING:
            return Checked(is_well=True)
        known = state is not None and state < len(STATES)
        reason = f"it is {STATES[state]}" if known else "the answer is not one of grpc.health.v1"
        return Checked(is_well=False, is_final=True, reason=reason)


class Line:
    """One connection to an endpoint: the receiver of its bytes."""

    def __init__(self, checker, address):
        self.channel = Channel(self._send)
        self._checker = checker
        self._address = address
        self._stream = None
        self._is_open = self._is_closed = False
        self._waiting = []
        self._answer = None

    def ask(self):
        """Return a Deferred of Checked."""
        self._answer = Deferred(self._give_up)
        answer = self._answer
        self.channel.call(self._checker.head, self._checker.question, self._ended)
        if self._stream is None:
            stream = self._checker.dial(self._address, self, CONNECT_S, self._checker.options.authority, ALPN)
            if not self._is_closed:
                self._stream = stream
        return answer

    def _send(self, data):
        if self._is_open and self._stream is not None:
            self._stream.send(data)
        else:
            self._waiting.append(data)

    def opened(self):
        """It stands: say what has waited."""
        self._is_open = True
        waiting, self._waiting = self._waiting, []
        self._stream.send(b"".join(waiting))

    def received(self, data):
        """Part of the answer, or what the server says between two checks."""
        self.channel.received(data)
        if self._answer is None and not self.channel.is_usable:
            self.close()

    def lost(self, reason):
        """The connection has ended."""
        self.close()
        self.channel.lost(reason)

    def _ended(self, ended):
        answer, self._answer = self._answer, None
        checker = self._checker
        if checker.options.reuse_connection and ended.status is not None and not self._is_closed:
            checker.kept[self._address] = self
        else:
            self.close()
        if answer is not None:
            answer.callback(checker.judge(ended))

    def _give_up(self, _):
        self._answer = None
        self.close()

    def close(self):
        """Nobody needs it any more."""
        self._is_closed = True
        if self._checker.kept.get(self._address) is self:
            del self._checker.kept[self._address]
        stream, self._stream = self._stream, None
        if stream is not None:
            stream.close()
