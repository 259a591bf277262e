"""A reactor of its own in a thread of its own, for a proxy that a blocking test talks to.

Nothing here is Twisted's global reactor, so it does not matter whether the test's process has one, or runs it (trial).
"""

import sys
import threading
import traceback
from collections.abc import Callable
from concurrent import futures
from typing import Any

from twisted.internet.defer import maybeDeferred
from twisted.internet.epollreactor import EPollReactor

LIMIT_S = 20.0
"""How long a test waits for the reactor: long, for the machines that run tests are slow now and then."""
END_S = 5.0
REAP_S = 0.02


class PrivateReactor(EPollReactor):
    """A reactor that need not be in the main thread: it handles no signal and asks for its children's ends itself."""

    _registerAsIOThread = False  # Twisted's own switch for a reactor beside the main one

    def spawnProcess(self, *args: Any, **options: Any) -> Any:
        """Start a process (IReactorProcess)."""
        process = super().spawnProcess(*args, **options)
        self.reap(process)
        return process

    def reap(self, process: Any) -> None:
        """Take in the end of a child, once it has one; called again and again as long as it runs."""
        if process.pid is not None and not process.lostProcess:
            process.reapProcess()
            self.callLater(REAP_S, self.reap, process)

    def close(self) -> None:
        """Free the descriptors of a reactor that has stopped."""
        self.removeAll()
        self.waker.connectionLost(None)
        self._poller.close()


class ReactorThread:
    """Runs ``reactor`` from the start on; ``ident`` is the thread's, as ``threading.get_ident`` has it."""

    def __init__(self, name: str) -> None:
        self.reactor = PrivateReactor()
        self.name = name
        self._thread = threading.Thread(target=self.reactor.run, args=(False,), name=name, daemon=True)
        self._thread.start()

    @property
    def ident(self) -> int:
        """The thread's number."""
        return self._thread.ident

    @property
    def is_alive(self) -> bool:
        """Say whether the reactor runs."""
        return self._thread.is_alive()

    def call(self, function: Callable[..., Any], *args: Any, limit_s: float = LIMIT_S) -> Any:
        """Return what ``function(*args)`` returns in the reactor's thread, or what its Deferred comes to.

        Raises what it raises; TimeoutError, with the place where the thread is, when nothing comes in ``limit_s``.
        """
        if not self.is_alive:
            raise RuntimeError(f"{self.name}: has ended: expected a call before its end")
        answer: futures.Future = futures.Future()

        def begin() -> None:
            done = maybeDeferred(function, *args)
            done.addCallbacks(answer.set_result, lambda failure: answer.set_exception(failure.value))

        self.reactor.callFromThread(begin)
        futures.wait([answer], limit_s)
        if not answer.done():
            raise TimeoutError(f"{self.name}: no answer in {limit_s:g} s: {self.where()}")
        return answer.result()

    def where(self) -> str:
        """Return the innermost lines of what the thread does now."""
        frame = sys._current_frames().get(self.ident)
        if frame is None:
            return "its thread has ended"
        return "its thread is at\n" + "".join(traceback.format_stack(frame)[-5:])

    def end(self, limit_s: float = END_S) -> None:
        """Stop the reactor and its thread pool, and free what they hold; TimeoutError where something blocks them."""
        if self.is_alive:
            self.reactor.callFromThread(self.reactor.stop)
            self._thread.join(limit_s)
        if self.is_alive:
            raise TimeoutError(f"{self.name}: does not end in {limit_s:g} s: {self.where()}")
        self.reactor.close()
