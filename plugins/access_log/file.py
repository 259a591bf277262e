"""The file under an access log: lines are appended on the reactor, written by one thread; all sinks of a path share it.

Strategy: the reactor only appends to a deque and adds to ``_given``; the thread only takes from it and adds to
``_taken``. What lies between the two is bounded: beyond it a line is dropped and counted. The thread alone opens,
writes, waits and reopens, so a full disk or a pipe that nobody reads never holds up the reactor. Every wait of the
thread ends in time for the deadline of ``end``.
"""

import errno
import os
import select
import stat
import threading
import time
from collections import deque
from typing import Any

STREAMS = {"-": 1, "stdout": 1, "stderr": 2}
MODE = 0o640
RETRY_S = 1.0
END_S = 2.0
"""How long the last lines may take to be written when the file is given up."""

_JOIN_S = 0.01
_PIPE_BYTES = select.PIPE_BUF
_OPEN = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY


class LogFile:
    """``write`` is for the reactor's thread. ``begin`` and ``end`` are called once by each user of the file.

    ``limit_bytes`` bounds what waits, ``flush_bytes`` wakes the writer, ``flush_s`` is the longest that a line waits
    for it.
    """

    def __init__(self, path: str, counts: Any, log: Any) -> None:
        self.path = path
        self.limit_bytes = 4 << 20
        self.flush_bytes = 1 << 16
        self.flush_s = 1.0
        self._counts = counts
        self._log = log
        self._lines: deque[bytes] = deque()
        self._given = 0
        self._taken = 0
        self._rest = b""
        self._users = 0
        self._thread: threading.Thread | None = None
        self._is_running = False
        self._turn = threading.Lock()
        self._wake = threading.Event()
        self._full = threading.Event()
        self._must_reopen = False
        self._end_at: float | None = None
        self._descriptor = -1
        self._is_stream = False
        self._is_mid_line = False
        self._failure = ""
        self._retry_at = 0.0

    # on the reactor's thread

    def write(self, line: bytes) -> None:
        """Append one line, ended by a line feed; drop it where too much waits already."""
        size = len(line)
        given = self._given + size
        waiting = given - self._taken
        if waiting > self.flush_bytes or waiting > self.limit_bytes:
            self._write_much(line, waiting)
            return
        self._lines.append(line)
        self._given = given
        if given - self._taken <= size:  # read anew: the thread may have taken all the rest meanwhile, and sleep now
            self._wake.set()

    def _write_much(self, line: bytes, waiting: int) -> None:
        """Append one line where that makes ``waiting`` bytes: enough for the writer to begin, or too many."""
        if waiting > self.limit_bytes:
            self._counts.overflow.value += 1
            return
        self._lines.append(line)
        self._given += len(line)
        if waiting - len(line) >= self.flush_bytes:
            if not self._full.is_set():
                self._full.set()
        elif self._given - self._taken <= len(line):
            self._wake.set()

    def begin(self) -> None:
        """Count one more user; the first one starts the thread."""
        self._users += 1
        with self._turn:  # the thread may be about to end: it is kept, or has said that it is gone
            self._end_at = None
            if self._is_running:
                return
            self._is_running = True
        self._thread = threading.Thread(target=self._run, name=f"meshd-access-log {self.path}", daemon=True)
        self._thread.start()

    def end(self) -> bool:
        """Count one user less; the last one has the rest written. Say whether it is done (``join`` waits for it)."""
        self._users -= 1
        if self._users > 0:
            return True
        self._end_at = time.monotonic() + END_S
        self._full.set()
        self._wake.set()
        return self.join(_JOIN_S)

    def join(self, seconds: float = END_S + 1.0) -> bool:
        """Wait at most ``seconds`` for the thread of a file that has ended; say whether it is gone."""
        thread = self._thread
        if thread is not None:
            thread.join(seconds)
        return thread is None or not thread.is_alive()

    def reopen(self) -> None:
        """Close and open the path again, after what waits has been written (log rotation)."""
        self._must_reopen = True
        self._full.set()
        self._wake.set()

    # on the writer's thread

    def _run(self) -> None:
        while True:
            self._sleep()
            self._drain()
            if self._must_reopen:
                self._must_reopen = False
                self._retry_at = 0.0
                self._close()
                self._open()
            with self._turn:
                if self._end_at is not None and self._is_done():
                    self._abandon()
                    self._close()
                    self._is_running = False
                    return

    def _sleep(self) -> None:
        """Wait for a first line, then for as many as are worth a write, at most ``flush_s``."""
        if not (self._lines or self._rest or self._must_reopen or self._end_at is not None):
            self._wake.wait()
        self._wake.clear()
        if self._end_at is None and not self._must_reopen:
            self._full.wait(self.flush_s)
        self._full.clear()

    def _is_done(self) -> bool:
        return not (self._lines or self._rest) or time.monotonic() >= self._end_at

    def _drain(self) -> None:
        """Write what a stalled reader left over, or all lines that are there now."""
        lines = self._lines
        batch = self._rest or b"".join([lines.popleft() for _ in range(len(lines))])
        self._rest = b""
        if not batch:
            return
        written, is_stalled = self._put(batch) if self._open() else (0, False)
        self._counts.written.value += batch.count(b"\n", 0, written)
        if is_stalled:
            self._rest = batch[written:]
            self._taken += written
        else:
            self._counts.lost.value += batch.count(b"\n", written)
            self._taken += len(batch)

    def _abandon(self) -> None:
        """Count what can no longer be written."""
        left = self._rest + b"".join([self._lines.popleft() for _ in range(len(self._lines))])
        self._rest = b""
        self._counts.lost.value += left.count(b"\n")
        self._taken += len(left)

    def _open(self) -> bool:
        """Have an open descriptor, if that is possible now; a failed try is not repeated within a second."""
        if self._descriptor >= 0:
            return True
        if time.monotonic() < self._retry_at:
            return False
        try:
            if self.path in STREAMS:
                self._descriptor = os.dup(STREAMS[self.path])
                self._is_stream = not stat.S_ISREG(os.fstat(self._descriptor).st_mode)
            else:
                self._descriptor = os.open(self.path, _OPEN, MODE)
        except OSError as error:
            self._fail(error)
        return self._descriptor >= 0

    def _close(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1
            self._is_mid_line = False

    def _put(self, batch: bytes) -> tuple[int, bool]:
        """Write ``batch``; return how many bytes of it were taken, and whether the rest is worth another try."""
        view = memoryview(batch)
        position = 0
        try:
            if self._is_mid_line:  # a line was cut by an earlier fault: begin on a new one
                self._write_some(memoryview(b"\n"))
                self._is_mid_line = False
            while position < len(view):
                position += self._write_some(view[position:])
        except BlockingIOError:
            self._fail(TimeoutError(errno.ETIMEDOUT, "nobody reads it"))
            return position, True
        except OSError as error:
            self._is_mid_line = position > 0 and batch[position - 1] != 10
            self._fail(error)
            self._close_broken(error)
            return position, False
        self._recover()
        return position, False

    def _write_some(self, view: memoryview) -> int:
        """Write what fits now; wait for a pipe's reader as long as a flush may wait, then raise BlockingIOError."""
        if self._is_stream:  # not ours alone, so it stays blocking: a pipe that polls writable takes PIPE_BUF at once
            self._await()
            return os.write(self._descriptor, view[:_PIPE_BYTES])
        try:
            return os.write(self._descriptor, view)
        except BlockingIOError:
            self._await()
            return os.write(self._descriptor, view)

    def _await(self) -> None:
        """Wait until the descriptor takes bytes; raises BlockingIOError when it does not within ``flush_s``."""
        patience_s = self.flush_s
        if self._end_at is not None:
            patience_s = min(patience_s, max(0.0, self._end_at - time.monotonic()))
        poll = select.poll()
        poll.register(self._descriptor, select.POLLOUT)
        if not poll.poll(patience_s * 1000):
            raise BlockingIOError(errno.EAGAIN, "not writable")

    def _close_broken(self, error: OSError) -> None:
        """Let the next line try a new descriptor where this one cannot come back."""
        if error.errno in (errno.EPIPE, errno.EBADF, errno.EIO, errno.ESTALE):
            self._close()
            self._retry_at = time.monotonic() + RETRY_S

    def _fail(self, error: OSError) -> None:
        """Count a failed write or open; log the first of a burst."""
        self._counts.errors.value += 1
        self._retry_at = time.monotonic() + RETRY_S if self._descriptor < 0 else 0.0
        text = error.strerror or str(error)
        if text != self._failure:
            self._failure = text
            self._log.error(
                "access log {path}: {cause}: lines may be lost until it can be written", path=self.path, cause=text
            )

    def _recover(self) -> None:
        if self._failure:
            self._failure = ""
            self._log.info("access log {path}: written again", path=self.path)
