"""One child process: started as a fresh interpreter, watched, ended and reaped. Called by ``isolate``.

Strategy: ``Popen`` runs ``vfork`` and ``exec``; nothing of the reactor is copied, and only the two sockets are handed
over. The end of the child is seen as the end of its socket; its exit status is then looked for now and then, never
waited for.
"""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from typing import Any

from meshd.isolation.channel import Channel, Output

MODULE = "meshd.isolated.child"
"""What the child runs; named, for it stands above this package."""

STACK_SIGNAL = signal.SIGUSR2
"""Makes the child print the stack of its main thread, also while it blocks."""

REAP_FIRST_S = 0.005
REAP_KILL_S = 0.5
"""How long a child may live on after it has closed its socket."""

BUFFER_BYTES = 1024 * 1024


class Process:
    """``on_message(process, message)``, ``on_end(process, reason)`` when its socket has closed, and
    ``on_gone(process, text)`` with how it ended, once each at most and in this order; ``on_line(text)`` for what it
    prints. Raises OSError where there is none to be had. ``calls`` are in flight in it, ``heard`` and ``pinged`` (0.0:
    not now) are monotonic seconds, ``is_expected`` says that it was told to end.
    """

    def __init__(
        self, world: Any, *, on_message: Callable, on_end: Callable, on_gone: Callable, on_line: Callable[[str], Any],
        environment: Any = None,
    ) -> None:
        self._world = world
        self._on_gone = on_gone
        ours, theirs = socket.socketpair()
        printed, printing = socket.socketpair()
        with theirs, printing:
            try:
                self._popen = spawn(theirs, printing, environment)
            except BaseException:
                ours.close()
                printed.close()
                raise
        for sock in (ours, printed):
            sock.setblocking(False)
        ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, BUFFER_BYTES)
        self.pid = self._popen.pid
        self.began = self.heard = world.clock.now()
        self.pinged = 0.0
        self.calls = 0
        self.reason = ""
        self.is_expected = False
        self.is_gone = False
        self._looks = 0
        self._on_message, self._on_end = on_message, on_end
        self.output = Output(printed, world, on_line)
        self.channel = Channel(ours, world.poller, self._received, self._ended)

    def _received(self, message: Any) -> None:
        self.heard = self._world.poller.now
        self._on_message(self, message)

    def resident_bytes(self) -> int:
        """Return its resident memory, 0 where it is gone."""
        try:
            with open(f"/proc/{self.pid}/statm") as file:
                return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
        except (OSError, IndexError):
            return 0

    def show_stack(self) -> None:
        """Let it print where it stands."""
        if not self.is_gone:
            self._popen.send_signal(STACK_SIGNAL)

    def call_ended(self) -> None:
        """One call less is in it."""
        self.calls -= 1
        if self.is_expected and not self.calls:
            self.channel.finish()

    def retire(self) -> None:
        """Let it end after its last call."""
        self.is_expected = True
        if not self.calls:
            self.channel.finish()

    def kill(self, reason: str) -> None:
        """End it now; ``on_end`` and ``on_gone`` follow."""
        self.reason = self.reason or reason
        if not self.is_gone:
            self._popen.kill()
        if self.channel.descriptor.is_open:
            self.channel.close()
            self._ended("")

    def _ended(self, reason: str) -> None:
        self.reason = self.reason or reason
        self._on_end(self, self.reason)
        self._reap()

    def _reap(self) -> None:
        status = self._popen.poll()
        if status is None:
            delay_s = REAP_FIRST_S * 2**self._looks
            self._looks += 1
            if delay_s > REAP_KILL_S:
                self._popen.kill()
                delay_s = REAP_KILL_S
            self._world.call_later(delay_s, self._reap)
            return
        self.is_gone = True
        self.output.finish()
        self._on_gone(self, how(status))


def spawn(talks: socket.socket, prints: socket.socket, environment: Any) -> subprocess.Popen:
    """Start a child that talks and prints on these sockets and has no other descriptor of ours."""
    return subprocess.Popen(
        [sys.executable, "-m", MODULE, str(talks.fileno())], stdin=subprocess.DEVNULL, stdout=prints, stderr=prints,
        pass_fds=(talks.fileno(),), close_fds=True, process_group=0,
        env=None if environment is None else dict(environment),
    )


def how(status: int) -> str:
    """Say how a process ended."""
    if status >= 0:
        return f"exited with {status}"
    try:
        return f"killed by {signal.Signals(-status).name}"
    except ValueError:
        return f"killed by signal {-status}"
