"""Undoes a change that nobody confirms: a process of its own, which outlives the session of who has made the change.

``python -m meshd.capture.watch`` reads from its input how long to wait and the steps that undo, says ``ready``, and
waits on an abstract unix socket, of which each network namespace has its own. ``confirm`` and ``cancel`` end it;
SIGTERM makes it undo at once.
"""

import contextlib
import json
import os
import signal
import socket
import struct
import subprocess
import sys
import syslog
import time
from collections.abc import Sequence

from meshd.capture.kernel import Step, call
from meshd.errors import MeshdError

NAME = "\0meshd/capture"
CGROUP = "/sys/fs/cgroup/cgroup.procs"
MOST = 1 << 20
TALK_S = 5.0
SHORTEST_S, LONGEST_S = 1.0, 3600.0


def start(seconds: float, undo: Sequence[Step]) -> None:
    """Start to watch; raises MeshdError where that cannot be."""
    child = subprocess.Popen(
        [sys.executable, "-P", "-m", "meshd.capture.watch"], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL, start_new_session=True, cwd="/", text=True)
    order = {"seconds": seconds, "steps": [[list(one.words), one.text, one.may_fail] for one in undo]}
    with contextlib.suppress(BrokenPipeError):
        child.stdin.write(json.dumps(order))
        child.stdin.close()
    if child.stdout.readline() != "ready\n":
        raise MeshdError("capture: cannot watch for the confirmation: is another change waiting for it?")
    child.stdout.close()
    child.returncode = 0  # it is nobody's to wait for


def ask(word: str) -> float | None:
    """Say ``confirm``, ``cancel`` or ``left`` to who watches; return the seconds left, None where nobody watches."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock:
        sock.settimeout(TALK_S)
        try:
            sock.connect(NAME)
            if peer(sock) != os.geteuid():
                return None
            sock.sendall(word.encode() + b"\n")
            return float(sock.makefile().readline())
        except (OSError, ValueError):
            return None


def peer(sock: socket.socket) -> int:
    """Return the user at the other end."""
    return struct.unpack("3i", sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))[1]


def main() -> None:
    """Watch."""
    order = json.loads(sys.stdin.read(MOST))
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    sock.bind(NAME)
    sock.listen(4)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, _stop)
    with contextlib.suppress(OSError), open(CGROUP, "w") as file:
        file.write("0")  # out of the session's scope, which may be ended with the session
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    os.dup2(os.open(os.devnull, os.O_RDWR), 1)
    try:
        is_confirmed = wait(sock, time.monotonic() + order["seconds"])
    except InterruptedError:
        is_confirmed = False
    if not is_confirmed:
        undo([Step(words, text, may_fail) for words, text, may_fail in order["steps"]])


def _stop(number: int, frame: object) -> None:
    raise InterruptedError


def wait(sock: socket.socket, deadline: float) -> bool:
    """Return True as soon as somebody of our own confirms, False at the deadline (of the monotonic clock)."""
    while (left := deadline - time.monotonic()) > 0:
        sock.settimeout(left)
        try:
            client, _ = sock.accept()
        except TimeoutError:
            return False
        with client:
            client.settimeout(min(1.0, left))
            with contextlib.suppress(OSError):
                word = client.recv(16).strip() if peer(client) == os.geteuid() else b""
                client.sendall(f"{deadline - time.monotonic():.1f}\n".encode())
                if word in (b"confirm", b"cancel"):
                    return True
    return False


def undo(steps: Sequence[Step]) -> None:
    """Do all steps, whatever becomes of one, and say so in the system's log."""
    syslog.openlog("meshctl", syslog.LOG_PID, syslog.LOG_DAEMON)
    failed = []
    for step in steps:
        try:
            done = call(step)
            if done.returncode and not step.may_fail:
                failed.append(done.stderr.strip())
        except MeshdError as error:
            failed.append(str(error))
    syslog.syslog(f"capture: not confirmed in time: {'; '.join(failed) or 'undone'}")


if __name__ == "__main__":
    main()
