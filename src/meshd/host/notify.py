"""Messages to the service manager: readiness, reload, status, watchdog, stored sockets; sent by the main process.

Protocol: datagrams of ``NAME=VALUE`` lines to the unix socket that ``$NOTIFY_SOCKET`` names (sd_notify(3)). Strategy:
nothing raises and nothing blocks. What systemd is too busy to take waits in order, in a bounded queue, and goes out
before the next message; whoever runs a loop calls ``flush`` now and then. Watchdog pings and status texts do not
wait: the next one says it better. Without a socket everything does nothing and returns False.
"""

import array
import os
import socket
import time
from collections import deque
from collections.abc import MutableMapping

SOCKET = "NOTIFY_SOCKET"
WATCHDOG = "WATCHDOG_USEC"
WATCHDOG_PID = "WATCHDOG_PID"
MAX_WAITING = 1024
"""Messages that wait for systemd at most; what comes then is lost."""
MAX_STATUS_CHARACTERS = 1000
MICROSECONDS = 1_000_000


class Notify:
    """``address`` is that of systemd's socket, "" for none; ``watchdog_s`` is how often it wants to hear of us, or 0.0.

    Each method returns whether systemd has the message (the kernel has it, to be exact).
    """

    def __init__(self, address: str = "", watchdog_s: float = 0.0) -> None:
        self.address = address
        self.watchdog_s = watchdog_s if address else 0.0
        self._target = "\0" + address[1:] if address.startswith("@") else address
        self._waiting: deque[tuple[bytes, socket.socket | None]] = deque()
        self._socket = _open() if address else None

    @classmethod
    def take(cls, environment: MutableMapping[str, str], pid: int | None = None) -> "Notify":
        """Return what the environment asks for and take it out, so that no child speaks for us.

        Addresses of other kinds than a path or an abstract name (``vsock:``) are passed over.
        """
        address = environment.pop(SOCKET, "")
        watchdog = environment.pop(WATCHDOG, "")
        owner = environment.pop(WATCHDOG_PID, "")
        if address[:1] not in ("/", "@"):
            address = ""
        is_ours = not owner or owner == str(os.getpid() if pid is None else pid)
        return cls(address, _seconds(watchdog) if is_ours else 0.0)

    def environment(self) -> dict[str, str]:
        """Return the variables for a process that becomes the main one (after ``main_pid``)."""
        found = {SOCKET: self.address} if self.address else {}
        if self.watchdog_s:
            found[WATCHDOG] = str(round(self.watchdog_s * MICROSECONDS))
        return found

    @property
    def is_on(self) -> bool:
        """Say whether anybody listens."""
        return self._socket is not None

    @property
    def is_waiting(self) -> bool:
        """Say whether ``flush`` has something to do."""
        return bool(self._waiting)

    # What can be said

    def ready(self, status: str = "") -> bool:
        """The start, or a reload, has ended; for a reload that was refused too, or it would never end for systemd."""
        return self._send(_lines("READY=1", STATUS=status))

    def reloading(self, status: str = "") -> bool:
        """A reload begins. The time is in the same datagram, or ``Type=notify-reload`` would wait for ever."""
        now_us = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
        return self._send(_lines("RELOADING=1", MONOTONIC_USEC=str(now_us), STATUS=status))

    def status(self, text: str) -> bool:
        """Show ``text`` in ``systemctl status``."""
        return self._send(_lines(STATUS=text), is_kept=False)

    def stopping(self, status: str = "") -> bool:
        """The end begins."""
        return self._send(_lines("STOPPING=1", STATUS=status))

    def watchdog(self) -> bool:
        """We are well."""
        return self._send(b"WATCHDOG=1", is_kept=False)

    def extend(self, seconds: float) -> bool:
        """Start or stop takes longer: give us ``seconds`` from now; to be repeated before they are over."""
        return self._send(f"EXTEND_TIMEOUT_USEC={round(seconds * MICROSECONDS)}".encode(), is_kept=False)

    def main_pid(self, pid: int) -> bool:
        """Another process of ours is the main one from now on, the only one that systemd listens to."""
        return self._send(f"MAINPID={pid:d}".encode())

    def store(self, name: str, sock: socket.socket) -> bool:
        """Keep a socket over a restart, to be handed back as ``name`` (``meshd.host.store`` makes names)."""
        return self._send(_lines("FDSTORE=1", FDNAME=name), sock)

    def forget(self, name: str) -> bool:
        """Keep the sockets of this name no longer."""
        return self._send(_lines("FDSTOREREMOVE=1", FDNAME=name))

    # How it is said

    def flush(self) -> bool:
        """Send what waits; return whether nothing does any more."""
        while self._waiting:
            if not self._pass(*self._waiting[0]):
                return False
            self._waiting.popleft()
        return True

    def close(self) -> None:
        """Say nothing more."""
        sock, self._socket = self._socket, None
        self._waiting.clear()
        if sock is not None:
            sock.close()

    def _send(self, data: bytes, sock: socket.socket | None = None, is_kept: bool = True) -> bool:
        if self._socket is None:
            return False
        if self.flush() and self._pass(data, sock):
            return True
        if is_kept and len(self._waiting) < MAX_WAITING:
            self._waiting.append((data, sock))
        return False

    def _pass(self, data: bytes, sock: socket.socket | None) -> bool:
        """Give one datagram to the kernel; False where it must wait. What can never be sent is done with."""
        rights = [] if sock is None else [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [sock.fileno()]))]
        try:
            self._socket.sendmsg([data], rights, socket.MSG_NOSIGNAL | socket.MSG_DONTWAIT, self._target)
        except (BlockingIOError, InterruptedError):
            return False
        except OSError:
            pass  # nobody listens there, or the socket to be stored was closed meanwhile
        return True


def _open() -> socket.socket | None:
    try:
        return socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK)
    except OSError:
        return None


def _seconds(text: str) -> float:
    """Return the seconds of a number of microseconds, 0.0 where it is none."""
    return int(text) / MICROSECONDS if text.isascii() and text.isdigit() and len(text) < 19 else 0.0


def _lines(*words: str, **values: str) -> bytes:
    """Return a datagram; values that are empty are left out, and none can begin a line of its own."""
    lines = [*words, *(f"{name}={_line(value)}" for name, value in values.items() if value)]
    return "\n".join(lines).encode("utf-8", "replace")


def _line(text: str) -> str:
    shown = "".join(char if char.isprintable() else " " for char in text)
    return shown if len(shown) <= MAX_STATUS_CHARACTERS else shown[:MAX_STATUS_CHARACTERS - 3] + "..."
