"""What a proxy under test logs: its lines for reading, its tracebacks apart, because a test must not pass over them.

Several proxies and the test share one process and Twisted's one log. A line belongs to the proxy in whose thread it was
written; those of other threads (a plugin's own, the reactor's pool) belong to every proxy that runs.
"""

import threading
import time
from collections import deque
import attrs
from twisted.logger import LogLevel, globalLogPublisher

from meshd.cli.log import text_line

MAX_EVENTS = 10_000
QUIET = ("twisted", "log_legacy")
UNHANDLED = "twisted.internet.defer"
LIMIT_S = 10.0

_reactor_threads: set[int] = set()


@attrs.frozen
class Raised:
    """An exception that was logged: its class, what was said, the traceback."""

    type: type
    text: str = attrs.field(repr=False)

    def __str__(self) -> str:
        return self.text


class ProxyLog:
    """``str(log)`` is the text, as the daemon writes it; ``"word" in log`` looks there. ``events`` are Twisted's."""

    def __init__(self, thread: int) -> None:
        self.events: deque[dict] = deque(maxlen=MAX_EVENTS)
        self.raised: list[Raised] = []
        self._thread = thread
        self._test = threading.get_ident()
        self._come = threading.Condition()
        _reactor_threads.add(thread)
        globalLogPublisher.addObserver(self)

    def close(self) -> None:
        """Listen no more."""
        globalLogPublisher.removeObserver(self)
        _reactor_threads.discard(self._thread)

    def __call__(self, event: dict) -> None:
        """Take in an event (ILogObserver)."""
        if not self._is_ours(event) or _is_noise(event):
            return
        with self._come:
            self.events.append(event)
            kind = _raised(event)
            if kind is not None:
                self.raised.append(Raised(kind, text_line(event)))
            self._come.notify_all()

    def _is_ours(self, event: dict) -> bool:
        ident = threading.get_ident()
        if ident == self._thread:
            return True
        if ident == self._test:  # the collector finds an unhandled Deferred in whatever thread it runs
            return event.get("log_namespace") == UNHANDLED
        return ident not in _reactor_threads

    def __str__(self) -> str:
        return "".join(text_line(event) for event in list(self.events))

    def __contains__(self, text: str) -> bool:
        return text in str(self)

    def wait(self, text: str, *, limit_s: float = LIMIT_S) -> None:
        """Wait until ``text`` has been logged; AssertionError with the log where it is not."""
        until = time.monotonic() + limit_s
        with self._come:
            while text not in self:
                if not self._come.wait(until - time.monotonic()):
                    raise AssertionError(f"log: {text!r} did not come in {limit_s:g} s; it has:\n{self}")

    def flush(self, *types: type) -> list[Raised]:
        """Return the exceptions of these classes (any where none is named) and forget them."""
        found = [one for one in self.raised if not types or issubclass(one.type, types)]
        self.raised = [one for one in self.raised if one not in found]
        return found


def _raised(event: dict) -> type | None:
    """Return the class of the exception that an event tells of, None where it tells of none."""
    if "log_failure" in event:
        return event["log_failure"].type
    return type(event["raised"]) if "raised" in event else None


def _is_noise(event: dict) -> bool:
    """Twisted tells of each port and factory that starts."""
    is_quiet = event.get("log_namespace", "").startswith(QUIET)
    return is_quiet and event.get("log_level", LogLevel.info) < LogLevel.warn
