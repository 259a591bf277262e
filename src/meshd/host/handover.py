"""From one generation of processes to the next: listening sockets pass on, the old one ends after its last request.

Strategy: the generation in force starts its *heir* with the same command. The heir inherits the listening sockets and
a few pipes, which a file in memory describes (``VARIABLE`` holds its descriptor). It loads, builds and accepts, then
says so on the *ready* pipe; only then the old one stops accepting, so that there is always somebody who does. An heir
that fails says why on the same pipe, or just ends; the old generation then serves on. The *life* pipe is held by the
old generation until its end: while it is open, the heir starts no heir of its own, so that there are never three.
"""

import json
import os
import socket
import subprocess
from collections.abc import Iterable, Mapping, MutableMapping
from typing import Any

VARIABLE = "MESHD_HANDOVER"
MAX_ANSWER_BYTES = 65536
READY_TIMEOUT_S = 60.0
"""How long an heir may take until it serves; as systemd's units give a start (TimeoutStartSec)."""

Listening = Iterable[tuple[int, str, str, bool]]
"""(descriptor, name of the listener, address as the configuration has it, whether systemd holds the socket too)."""


class Heir:
    """The next generation, as seen by the one that started it. ``ready_fd`` becomes readable with its answer."""

    def __init__(self, process: subprocess.Popen, ready_fd: int, life_fd: int) -> None:
        self.process = process
        self.ready_fd = ready_fd
        self._life_fd = life_fd
        self._answer = b""

    @property
    def pid(self) -> int:
        """Its main process."""
        return self.process.pid

    def read(self) -> bool:
        """Take what it says; True when it has said all."""
        try:
            data = os.read(self.ready_fd, MAX_ANSWER_BYTES)
        except BlockingIOError:
            return False
        self._answer = (self._answer + data)[:MAX_ANSWER_BYTES]
        return not data or self._answer.endswith(b"\n")

    @property
    def fault(self) -> str:
        """Why it does not serve, "" where it does; known once ``read`` was True."""
        try:
            answer = json.loads(self._answer)
        except ValueError:
            code = self.process.poll()
            return f"it ended with {code} before it served" if code is not None else "it ended before it served"
        return str(answer.get("fault") or "")

    def give_up(self) -> None:
        """End it; the generation in force serves on."""
        self.process.kill()
        self.process.wait()
        self.close()
        os.close(self._life_fd)

    def close(self) -> None:
        """Listen to it no more."""
        os.close(self.ready_fd)


def begin(
    command: list[str], sockets: Listening, fds: Mapping[str, int | None], environment: Mapping[str, str]
) -> Heir:
    """Start the heir by ``command``; ``fds`` are further descriptors by name. Raises OSError."""
    ready, ready_write = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
    life_read, life = os.pipe2(os.O_CLOEXEC)
    rows = [list(row) for row in sockets]
    known = {name: fd for name, fd in fds.items() if fd is not None}
    testament = {"sockets": rows, "ready": ready_write, "life": life_read, **known}
    memory = os.memfd_create("meshd-handover")
    inherited = [memory, ready_write, life_read, *(row[0] for row in rows), *known.values()]
    try:
        os.write(memory, json.dumps(testament).encode())
        process = subprocess.Popen(
            command, pass_fds=inherited, env={**environment, VARIABLE: str(memory)}, stdin=subprocess.DEVNULL,
            process_group=0)  # a terminal's ^C goes to the first process, which passes it on
    except OSError:
        os.close(ready)
        os.close(life)
        raise
    finally:
        for fd in (memory, ready_write, life_read):
            os.close(fd)
    return Heir(process, ready, life)


class Testament:
    """What a process inherited; empty where it is the first generation. ``fd(name)`` are further descriptors."""

    def __init__(self, found: dict[str, Any]) -> None:
        self._found = found
        self._ready: int | None = found.get("ready")
        self.life_fd: int | None = found.get("life")

    @classmethod
    def read(cls, environment: MutableMapping[str, str]) -> "Testament":
        """Take it out of the environment, so that no child of ours sees it."""
        number = environment.pop(VARIABLE, "")
        if not number.isdecimal():
            return cls({})
        with open(int(number), "rb") as file:
            file.seek(0)
            found = json.load(file)
        made = cls(found)
        for fd in made.fds():
            os.set_inheritable(fd, False)
        return made

    def fds(self) -> list[int]:
        """Return every descriptor of it."""
        others = [value for name, value in self._found.items() if name != "sockets"]
        return [row[0] for row in self._found.get("sockets", ())] + others

    def fd(self, name: str) -> int | None:
        """Return the descriptor that was handed over as ``name``."""
        return self._found.get(name)

    def sockets(self) -> list[tuple[socket.socket, str, str, bool]]:
        """Return the listening sockets with what ``Listening`` says of each; they belong to the caller."""
        rows = self._found.pop("sockets", ())
        return [(socket.socket(fileno=fd), name, address, is_foreign) for fd, name, address, is_foreign in rows]

    def say(self, fault: str = "") -> None:
        """Tell the generation before that this one serves, or why it does not. The first word counts."""
        if self._ready is None:
            return
        fd, self._ready = self._ready, None
        try:
            os.write(fd, json.dumps({"fault": fault[:4096]}).encode() + b"\n")
        except OSError:
            pass  # it has given us up
        os.close(fd)

    def is_alone(self) -> bool:
        """Say whether the generation before has ended."""
        if self.life_fd is None:
            return True
        os.set_blocking(self.life_fd, False)
        try:
            ended = not os.read(self.life_fd, 1)
        except BlockingIOError:
            return False
        if ended:
            os.close(self.life_fd)
            self.life_fd = None
        return ended
