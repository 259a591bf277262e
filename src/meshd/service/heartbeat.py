"""Watchdog pings for systemd: only while the reactor is on time and the admin API answers a request of our own.

Strategy: half of ``WatchdogSec=`` after a ping the reactor's lateness is looked at and ``/healthz`` is asked for over
the admin API's socket, as a stranger would. Where either is bad nothing is sent and both are looked at again soon, so
that one slow moment costs nothing and only trouble that lasts ends in a restart. A blocked reactor sends nothing.
"""

import errno
from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred, TimeoutError
from twisted.internet.endpoints import TCP4ClientEndpoint, TCP6ClientEndpoint, UNIXClientEndpoint, connectProtocol
from twisted.internet.error import ConnectError
from twisted.internet.protocol import Protocol
from twisted.logger import Logger

from meshd.host.notify import Notify
from meshd.wire.address import split

log = Logger(namespace="meshd.systemd")

MAX_LATE_S = 5.0
"""The reactor is late, or the answer is, after this time or a quarter of ``WatchdogSec=``, whichever is less."""
AGAIN = 8
"""Trouble is looked at again after this part of ``WatchdogSec=``."""
ASKED = b"GET /healthz HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n"
SHORT = frozenset((errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM, errno.EADDRNOTAVAIL))
"""What fails for want of descriptors, memory or ports says nothing of the reactor, and a restart would mend none."""
HEAD = b"HTTP/1.1 "


class Unwell(Exception):
    """What is wrong."""


class Question(Protocol):
    """Asks once; ``done`` gets True for the answer 200, False where the connection was closed unanswered."""

    def __init__(self) -> None:
        self.done: Deferred[bool] = Deferred(lambda _: self.transport.abortConnection())
        self._received = b""

    def connectionMade(self) -> None:
        """Ask (IProtocol)."""
        self.transport.write(ASKED)

    def dataReceived(self, data: bytes) -> None:
        """Judge the status line (IProtocol)."""
        self._received = (self._received + data)[:len(HEAD) + 3]
        if len(self._received) == len(HEAD) + 3 and not self.done.called:
            self.transport.loseConnection()
            if self._received == HEAD + b"200":
                self.done.callback(True)
            else:
                self.done.errback(Unwell(f"the admin API answered {self._received.decode('latin-1')!r}"))

    def connectionLost(self, reason: Any) -> None:
        """No answer came (IProtocol)."""
        if not self.done.called:
            self.done.callback(False)


def ask(reactor: Any, where: str, limit_s: float) -> Deferred:
    """Return a Deferred of whether /healthz at ``where`` answered; fails where it cannot be reached, or in time."""
    if where.startswith("unix:"):
        endpoint: Any = UNIXClientEndpoint(reactor, where[5:], timeout=limit_s)
    else:
        host, port = split(where)
        kind = TCP6ClientEndpoint if ":" in host else TCP4ClientEndpoint
        endpoint = kind(reactor, host, port, timeout=limit_s)
    connected = connectProtocol(endpoint, Question())
    connected.addCallback(lambda question: question.done)
    return connected.addTimeout(limit_s, reactor)


class Heartbeat:
    """``where()`` is the admin API's address, ``is_full()`` says whether it turns connections away for their number."""

    def __init__(self, reactor: Any, notify: Notify, where: Callable[[], str], is_full: Callable[[], bool]) -> None:
        self._reactor = reactor
        self._notify = notify
        self._where = where
        self._is_full = is_full
        self._limit_s = min(MAX_LATE_S, notify.watchdog_s / 4)
        self._due = 0.0
        self._call: Any = None
        self._asking: Deferred | None = None

    def start(self) -> None:
        """Ping now, and look from now on; nothing where systemd wants no pings."""
        if self._notify.watchdog_s and self._call is None:
            self._ping()

    def stop(self) -> None:
        """Ping no more."""
        call, self._call = self._call, None
        asking, self._asking = self._asking, None
        if call is not None and call.active():
            call.cancel()
        if asking is not None:
            asking.cancel()

    def _ping(self) -> None:
        self._notify.watchdog()
        self._look_in(self._notify.watchdog_s / 2)

    def _look_in(self, seconds: float) -> None:
        self._due = self._reactor.seconds() + seconds
        self._call = self._reactor.callLater(seconds, self._look)

    def _look(self) -> None:
        late_s = self._reactor.seconds() - self._due
        if late_s > self._limit_s:
            self._held(Unwell(f"the reactor was {late_s:.1f} s late"))
            return
        self._asking = asking = ask(self._reactor, self._where(), self._limit_s)
        asking.addCallback(self._answered)
        asking.addErrback(self._failed, asking)

    def _answered(self, is_good: bool) -> None:
        if not is_good and not self._is_full():
            raise Unwell("the admin API closed the connection without an answer")
        self._asking = None
        self._ping()

    def _failed(self, failure: Any, asking: Deferred) -> None:
        if self._asking is not asking:
            return  # it was stopped
        self._asking = None
        error = failure.value
        if isinstance(error, ConnectError | OSError) and _number(error) in SHORT:
            self._ping()
        elif failure.check(TimeoutError):
            self._held(Unwell(f"the admin API did not answer within {self._limit_s:g} s"))
        else:
            self._held(error)

    def _held(self, error: Exception) -> None:
        log.warn("no watchdog ping for systemd: {why}", why=str(error) or type(error).__name__)
        self._look_in(self._notify.watchdog_s / AGAIN)


def _number(error: Any) -> int | None:
    return getattr(error, "osError", None) or getattr(error, "errno", None)
