"""The daemon's log: twisted.logger events as text or JSON lines on stderr, with levels that can be set at run time.

Strategy: a reader of stderr that stopped must never stop the daemon. Each piece written is at most PIPE_BUF bytes and
goes out only when poll(2) says that there is room (a pipe then takes it whole, pipe(7)); else the line is dropped and
counted, and the next line that goes out says how many were lost.
"""

import json
import os
import select
import stat
from datetime import UTC, datetime
from typing import Any

from twisted.logger import (
    FilteringLogObserver, LogLevel, LogLevelFilterPredicate, formatEvent, globalLogBeginner,
)

LEVELS = ("debug", "info", "warn", "error")
PIECE_BYTES = 4096
"""PIPE_BUF of Linux: the longest write to a pipe that is all or nothing."""

MAX_NAMESPACES = 1000
QUIET = ("twisted", "log_legacy")

_ALIASES = {"warning": "warn", "critical": "error", "trace": "debug"}


def level_of(word: str) -> Any:
    """Return twisted's level of ``word``; raises ValueError with what was expected."""
    word = _ALIASES.get(word.lower(), word.lower())
    if word not in LEVELS:
        raise ValueError(f"level {word!r}: expected one of {', '.join(LEVELS)}")
    return LogLevel.levelWithName(word)


def stamp(event: dict) -> str:
    """Return the event's time as RFC 3339 in UTC, with milliseconds."""
    moment = datetime.fromtimestamp(event.get("log_time") or 0.0, UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{moment.microsecond // 1000:03d}Z"


def text_line(event: dict) -> str:
    """Return ``TIME LEVEL NAMESPACE: MESSAGE``; a failure's traceback follows, indented."""
    message = _message(event).replace("\n", "\n    ")
    line = f"{stamp(event)} {_level(event)} {event.get('log_namespace', '-')}: {message}\n"
    trace = _traceback(event)
    return line + "".join(f"    {part}\n" for part in trace.splitlines()) if trace else line


def json_line(event: dict) -> str:
    """Return one JSON object: time, level, namespace, message, the event's own plain fields, traceback."""
    fields = {"time": stamp(event), "level": _level(event), "namespace": event.get("log_namespace", "-")}
    fields["message"] = _message(event)
    for key, value in event.items():
        if not key.startswith("log_") and key not in fields and type(value) in (str, int, float, bool):
            fields[key] = value
    trace = _traceback(event)
    if trace:
        fields["traceback"] = trace
    return json.dumps(fields, ensure_ascii=False) + "\n"


def _level(event: dict) -> str:
    level = event.get("log_level")
    return "info" if level is None else _ALIASES.get(level.name, level.name)


def _message(event: dict) -> str:
    return formatEvent(event) or ""


def _traceback(event: dict) -> str:
    failure = event.get("log_failure")
    if failure is None:
        return ""
    try:
        return failure.getTraceback()
    except Exception:  # the failure holds an object whose repr fails
        return repr(failure.type)


class LogFile:
    """Writes lines to a descriptor without ever waiting for its reader."""

    def __init__(self, fd: int, form: str) -> None:
        self.fd = fd
        self.lost = 0
        self._line = json_line if form == "json" else text_line
        self._poll = None
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            self._poll = select.poll()
            self._poll.register(fd, select.POLLOUT)

    def __call__(self, event: dict) -> None:
        """Write one event (ILogObserver)."""
        lost, self.lost = self.lost, 0
        if lost and not self._write(self._line(_lost_event(event, lost))):
            self.lost = lost + 1
            return
        self.lost += not self._write(self._line(event))

    def _write(self, line: str) -> bool:
        data = line.encode("utf-8", "backslashreplace")
        for start in range(0, len(data), PIECE_BYTES):
            if self._poll is not None and not self._poll.poll(0):
                return False
            try:
                os.write(self.fd, data[start:start + PIECE_BYTES])
            except OSError:
                return False
        return True


def _lost_event(event: dict, lost: int) -> dict:
    return {
        "log_time": event.get("log_time"), "log_level": LogLevel.warn, "log_namespace": "meshd.log",
        "log_format": "{lost} log lines were lost: the log's reader is too slow", "lost": lost,
    }


class Log:
    """The log of a process: levels by namespace, one output."""

    def __init__(self, level: str = "info", form: str = "text", fd: int = 2) -> None:
        self.file = LogFile(fd, form)
        self.default = level_of(level)
        self.namespaces: dict[str, Any] = {}
        self._predicate = LogLevelFilterPredicate(defaultLogLevel=self.default)
        self._hush()
        self.observer = FilteringLogObserver(self._named, [self._predicate])
        self._worker: int | None = None

    def begin(self) -> None:
        """Take over the process's log."""
        globalLogBeginner.beginLoggingTo([self.observer], redirectStandardIO=False)

    def name(self, worker: int) -> None:
        """Say in each line which worker it is from."""
        self._worker = worker

    def _named(self, event: dict) -> None:
        if self._worker is not None:
            name = f"{event.get('log_namespace', '-')}[{self._worker}]"
            event = {**event, "log_namespace": name, "worker": self._worker}
        self.file(event)

    def set_level(self, word: str, namespace: str = "") -> None:
        """Set the level of ``namespace`` and all below it, of everything when empty. Raises ValueError."""
        level = level_of(word)
        if not namespace:
            self.default = self._predicate.defaultLogLevel = level
            self.namespaces.clear()
            self._predicate.clearLogLevels()
            self._hush()
            return
        if namespace not in self.namespaces and len(self.namespaces) >= MAX_NAMESPACES:
            raise ValueError(f"level of {namespace!r}: {MAX_NAMESPACES} namespaces have one: expected no more")
        self._predicate.setLogLevelForNamespace(namespace, level)
        self.namespaces[namespace] = level

    def _hush(self) -> None:
        """Twisted tells of each port and factory that starts; that is not news."""
        for name in QUIET:
            self._predicate.setLogLevelForNamespace(name, max(self.default, LogLevel.warn))

    def levels(self) -> dict[str, str]:
        """Return the level of each namespace that has its own; ``""`` is everything else."""
        return {"": self.default.name} | {name: level.name for name, level in sorted(self.namespaces.items())}
