"""The supervisor's log: the lines of ``meshd.cli.log``, written without twisted."""

import json
import os
import select
import stat
import time
import traceback
from collections.abc import Callable

LEVELS = ("debug", "info", "warn", "error")
ALIASES = {"warning": "warn", "critical": "error", "trace": "debug"}
PIECE_BYTES = 4096
"""PIPE_BUF of Linux: the longest write to a pipe that is all or nothing."""
NAMESPACE = "meshd.supervisor"


class Log:
    """Lines at or above ``level`` go to standard error; a reader that stopped loses lines and never holds us up.

    ``wall()`` is the time in seconds of the epoch.
    """

    def __init__(self, level: str, form: str, wall: Callable[[], float], fd: int = 2) -> None:
        self._wall = wall
        self._lowest = LEVELS.index(level)
        self._is_json = form == "json"
        self._fd = fd
        self._poll = None if stat.S_ISREG(os.fstat(fd).st_mode) else select.poll()
        if self._poll is not None:
            self._poll.register(fd, select.POLLOUT)

    def info(self, text: str) -> None:
        """Log what happens."""
        self._write("info", text)

    def warn(self, text: str) -> None:
        """Log what somebody should look at."""
        self._write("warn", text)

    def error(self, text: str) -> None:
        """Log what went wrong."""
        self._write("error", text)

    def bug(self, error: BaseException) -> None:
        """Log an unexpected error with its traceback."""
        trace = "".join(traceback.format_exception(error)).rstrip()
        self.error(f"bug: unexpected error: {error!r}\n{trace}")

    def set_level(self, level: str) -> None:
        """Log from ``level`` on."""
        self._lowest = LEVELS.index(ALIASES.get(level.lower(), level.lower()))

    def _write(self, level: str, text: str) -> None:
        if LEVELS.index(level) < self._lowest:
            return
        now = self._wall()
        stamp = f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(now))}.{int(now * 1000) % 1000:03d}Z"
        if self._is_json:
            line = json.dumps({"time": stamp, "level": level, "namespace": NAMESPACE, "message": text})
        else:
            line = f"{stamp} {level} {NAMESPACE}: " + text.replace("\n", "\n    ")
        data = line.encode("utf-8", "backslashreplace") + b"\n"
        for start in range(0, len(data), PIECE_BYTES):
            if self._poll is not None and not self._poll.poll(0):
                return
            try:
                os.write(self._fd, data[start : start + PIECE_BYTES])
            except OSError:
                return
