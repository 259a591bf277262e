"""``python -m meshd.host.waiter PID FD``: what the first process becomes when its heirs serve.

A program that started meshd knows one process: where it is not systemd (which is told the new main process), that
process must stay, pass on signals and end as the last generation ends. So after its drain it executes this, a few MiB
of standard library. Generations that come later are children of children; this process is made their reaper
(prctl(2), PR_SET_CHILD_SUBREAPER), and each writes its pid to the pipe FD as it takes over.
"""

import ctypes
import os
import signal
import sys
from typing import Any

PASSED_ON = (signal.SIGHUP, signal.SIGTERM, signal.SIGINT, signal.SIGUSR1, signal.SIGUSR2, signal.SIGQUIT)
PR_SET_CHILD_SUBREAPER = 36
RECORD_BYTES = 8


def adopt_orphans() -> None:
    """Become the parent of processes below us whose own parent ends; kept by execve(2)."""
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def announce(fd: int | None, pid: int) -> None:
    """Write the pid of a generation that has taken over, for the process that waits."""
    if fd is not None:
        try:
            os.write(fd, pid.to_bytes(RECORD_BYTES, "big"))
        except OSError:
            pass  # nobody waits any more


class Waiter:
    """``pid`` is the main process of the generation in force."""

    def __init__(self, pid: int, fd: int) -> None:
        self.pid = pid
        self._fd = fd
        os.set_blocking(fd, False)

    def look(self) -> None:
        """Learn which generation is in force. A signal between the two steps would learn more than is kept here."""
        before = signal.pthread_sigmask(signal.SIG_BLOCK, PASSED_ON)
        try:
            while data := os.read(self._fd, RECORD_BYTES):
                self.pid = int.from_bytes(data, "big")
        except BlockingIOError:
            pass
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)

    def pass_on(self, number: int, frame: Any) -> None:
        """Give a signal to the generation in force."""
        self.look()
        try:
            os.kill(self.pid, number)
        except ProcessLookupError:
            pass

    def run(self) -> int:
        """Wait for the last generation; return its exit code, 128 and the signal's number where one ended it."""
        code = 1
        while True:
            try:
                pid, status = os.waitpid(-1, 0)
            except ChildProcessError:
                return code
            self.look()
            if pid == self.pid:
                code = os.waitstatus_to_exitcode(status)
                return code if code >= 0 else 128 - code


def main(arguments: list[str]) -> int:
    """Wait; return the exit code."""
    waiter = Waiter(int(arguments[0]), int(arguments[1]))
    for number in PASSED_ON:
        signal.signal(number, waiter.pass_on)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, PASSED_ON)
    return waiter.run()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
