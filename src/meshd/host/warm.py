"""Workers that are forked off the main process after it has read its configuration, with everything imported.

``cli/run.py`` forks them just before it executes itself as the supervisor, whose children they stay. Each waits for a
datagram with what a worker is told on its command line otherwise, and the descriptor of the shared memory with it.
The imports of a worker take as long as all the rest of a start: with several workers this halves it.
"""

import json
import os
import signal
import socket
import sys
from collections.abc import Callable
from typing import Any

MAX_TOLD_BYTES = 1 << 20
"""More than a datagram can carry: where that is not enough, the worker is started by a command line."""


def fork(work: Callable[[dict[str, Any]], int]) -> list[int]:
    """Fork a process that does ``work(told)`` when it is told; return [pid, descriptor to tell it, its channel].

    The caller has no threads, has blocked all signals, and hands both descriptors to ``Warm``.
    """
    ask, answer = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    ours, theirs = socket.socketpair()
    pid = os.fork()
    if pid == 0:
        _live(work, answer, theirs)
    answer.close()
    theirs.close()
    for sock in (ask, ours):
        sock.set_inheritable(True)
    return [pid, ask.detach(), ours.detach()]


def _live(work: Callable[[dict[str, Any]], int], answer: socket.socket, channel: socket.socket) -> None:
    """The forked process, from its beginning to its end; nothing of the caller's is cleaned up by it."""
    code = 1
    try:
        os.setpgid(0, 0)
        _keep_only(answer.fileno(), channel.fileno())
        data, fds, _, _ = socket.recv_fds(answer, MAX_TOLD_BYTES, 1)
        answer.close()
        code = work({**json.loads(data), "channel": channel.detach(), "arena": fds[0]}) if data else 0
    except BaseException:
        sys.excepthook(*sys.exc_info())
    finally:
        sys.stderr.flush()
        os._exit(code)


def _keep_only(*kept: int) -> None:
    """Close what is not for a worker, as a program that is executed would find it."""
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    low = 3
    for fd in sorted(kept):
        os.closerange(low, fd)
        low = fd + 1
    os.closerange(low, os.sysconf("SC_OPEN_MAX"))


class Warm:
    """Such a process as its supervisor sees it: what ``subprocess.Popen`` is for one that it has started itself."""

    def __init__(self, pid: int, ask: int, channel: int) -> None:
        self.pid = pid
        self.returncode: int | None = None
        self.channel = socket.socket(fileno=channel)
        self.channel.set_inheritable(False)
        self._ask = socket.socket(fileno=ask)
        self._ask.set_inheritable(False)

    def tell(self, told: dict[str, Any], arena: int) -> bool:
        """Let it begin; say whether it could be told. One that could not is ended, and gone when this returns."""
        with self._ask:
            try:
                socket.send_fds(self._ask, [json.dumps(told).encode()], [arena])
            except OSError:
                self._end()
                return False
        return True

    def _end(self) -> None:
        self.channel.close()
        if self.poll() is None:
            os.kill(self.pid, signal.SIGKILL)
            self.returncode = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])

    def poll(self) -> int | None:
        """Return how it has ended (a signal as a negative number), None while it has not."""
        if self.returncode is None:
            try:
                pid, status = os.waitpid(self.pid, os.WNOHANG)
            except ChildProcessError:
                self.returncode = 1
            else:
                if pid:
                    self.returncode = os.waitstatus_to_exitcode(status)
        return self.returncode
