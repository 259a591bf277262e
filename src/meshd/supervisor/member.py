"""One worker process as its supervisor sees it: its state, its channel, its last sign of life."""

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from typing import Any

from meshd.host.channel import Channel, ChannelEnded, Message
from meshd.host.warm import Warm
from meshd.supervisor.loop import READ, WRITE, Loop

STARTING = "starting"
IDLE = "idle"
PREPARING = "preparing"
READY = "ready"
SERVING = "serving"
LEAVING = "leaving"
"""imports -> waits for a configuration -> builds -> waits for the word -> carries traffic -> drains."""


class Member:
    """``index`` is its place among the workers, None for a spare; ``slot`` that in the shared memory, whose descriptor
    is ``arena``. ``warm`` is a process that waits to be told; without one it is started.

    ``offered`` is the configuration that it was given last.

    ``is_serving``: it carries traffic and is to go on with that, also while it prepares another configuration.

    ``on_message(member, message)`` and ``on_end(member)`` are called from the loop; the latter once.
    """

    def __init__(
        self, loop: Loop, slot: int, arguments: dict[str, Any], arena: int, *,
        on_message: Callable[["Member", Message], Any], on_end: Callable[["Member"], Any], warm: Warm | None = None,
    ) -> None:
        self.slot = slot
        self.index: int | None = None
        self.state = STARTING
        self.is_serving = False
        self.began = self.beat = loop.now()
        self.served_since = 0.0
        self.connections = 0
        self.known: set[tuple[str, str]] = set()
        self.why = ""
        self.offered: Any = None
        self._loop = loop
        self._on_message = on_message
        self._on_end = on_end
        self.process: subprocess.Popen[bytes] | Warm
        if warm is not None and warm.tell({**arguments, "slot": slot}, arena):
            self.process, ours = warm, warm.channel
        else:
            self.process, ours = started({**arguments, "slot": slot, "arena": arena})
        self.channel = Channel(ours)
        loop.watch(self.channel, READ, self._ready)

    @property
    def pid(self) -> int:
        """Its process."""
        return self.process.pid

    @property
    def label(self) -> str:
        """Name it for the log."""
        return f"worker {'spare' if self.index is None else self.index} (process {self.pid})"

    def tell(self, head: dict[str, Any], payload: bytes = b"", fds: tuple[int, ...] = ()) -> None:
        """Send a message; a worker that cannot be told any more is ended."""
        try:
            self.channel.send(head, payload, fds)
        except ChannelEnded as error:
            self.kill(f"cannot be told anything: {error}")
        else:
            self._watch()

    def _watch(self) -> None:
        self._loop.watch(self.channel, READ | WRITE if self.channel.wants_write else READ, self._ready)

    def _ready(self) -> None:
        try:
            self.channel.flush()
            messages = self.channel.receive()
        except ChannelEnded:
            self._loop.forget(self.channel)
            if self.process.poll() is not None:
                self.ended()
            return  # SIGCHLD tells the end
        self._watch()
        for message in messages:
            self._on_message(self, message)

    def kill(self, why: str) -> None:
        """End it now; its end is told later."""
        self.why = self.why or why
        if self.process.poll() is None:
            os.kill(self.pid, signal.SIGKILL)

    def ended(self) -> None:
        """The process has ended: take what it had still to say, and tell."""
        if self.channel.sock.fileno() < 0:
            return
        self._last_words()
        self._loop.forget(self.channel)
        self.channel.close()
        self._on_end(self)

    def _last_words(self) -> None:
        try:
            while messages := self.channel.receive():
                for message in messages:
                    self._on_message(self, message)
        except ChannelEnded:
            pass

    @property
    def fate(self) -> str:
        """Say how it ended."""
        code = self.process.returncode
        if code is not None and code < 0:
            how = f"ended by {signal.Signals(-code).name}"
        else:
            how = f"ended with {code}"
        return f"{how} ({self.why})" if self.why else how


def started(told: dict[str, Any]) -> tuple["subprocess.Popen[bytes]", socket.socket]:
    """Start a process of its own for a worker; return it and our end of its channel."""
    ours, theirs = socket.socketpair()
    with theirs:
        told = {**told, "channel": theirs.fileno()}
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", "meshd.cli.worker", json.dumps(told)], stdin=subprocess.DEVNULL,
            pass_fds=[theirs.fileno(), told["arena"]], process_group=0)
    return process, ours
