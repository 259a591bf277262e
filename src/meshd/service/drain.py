"""How the daemon ends: readiness fails first, then listeners stop, requests finish, a deadline cuts the rest."""

from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred
from twisted.logger import Logger

log = Logger(namespace="meshd.drain")
LOOK_S = 0.05


class Shutdown:
    """Runs once. ``done`` is called at its end; ``begin`` again cuts what is left at once.

    ``finish_admin()`` says whether the admin API owes no answer; where others go on with its socket it lets nobody in
    from then on.
    """

    def __init__(
        self, reloader: Any, world: Any, done: Callable[[], Any], finish_admin: Callable[[], bool] = lambda: True
    ) -> None:
        self._reloader = reloader
        self._world = world
        self._done = done
        self._finish_admin = finish_admin
        self._next: Any = None  # the timer of what comes next
        self._deadline = 0.0
        self.is_running = False
        self._is_over = False

    def begin(self, *, is_succeeded: bool = False) -> None:
        """Drain; the second time, cut. ``is_succeeded``: others serve already, so there is nothing to wait for."""
        if self.is_running:
            self.cut()
            return
        self.is_running = self._world.is_leaving = True
        drain = self._reloader.loaded.snapshot.drain if self._reloader.loaded is not None else None
        grace_s, deadline_s = (drain.grace_s, drain.deadline_s) if drain is not None else (0.0, 0.0)
        if is_succeeded:
            log.info("draining: others serve on; what is left here is cut in {deadline} s", deadline=deadline_s)
        else:
            log.info(
                "draining: readiness fails now, listeners stop in {grace} s, what is left is cut {deadline} s later",
                grace=grace_s, deadline=deadline_s)
        grace_s = 0.0 if is_succeeded else grace_s
        self._next = self._world.call_later(grace_s, self._stop_listening, deadline_s, is_succeeded)

    def _stop_listening(self, deadline_s: float, is_succeeded: bool) -> None:
        self._deadline = self._world.clock.now() + deadline_s
        drained: Deferred = self._reloader.drain(deadline_s)
        drained.addErrback(lambda failure: log.failure("bug: the drain failed", failure))
        if is_succeeded:
            self._next = self._world.call_later(LOOK_S, self._look)  # the admin API's answer about that is on its way
        else:
            self._look()

    def _look(self) -> None:
        """Wait for the last connection, also those on runtimes before the last reload, until the deadline.

        What is there is looked at again and again, because a reload that was on its way may still change it.
        """
        listeners = self._reloader.listeners.values()
        is_busy = self._reloader.retiring or any(listener.connections for listener in listeners)
        if (is_busy or not self._finish_admin()) and self._world.clock.now() < self._deadline:
            self._next = self._world.call_later(LOOK_S, self._look)
        else:
            self._end()

    def cut(self) -> None:
        """End at once."""
        if self._is_over:
            return
        log.warn("told again to end: connections are cut")
        for listener in list(self._reloader.listeners.values()):
            listener.close()
            listener.cut()
        self._end()

    def _end(self) -> None:
        if not self._is_over:
            self._is_over = True
            if self._next is not None and self._next.active():
                self._next.cancel()
            stopped: Deferred = self._reloader.stop()
            stopped.addErrback(lambda failure: log.failure("bug: the runtime did not end", failure))
            stopped.addBoth(lambda _: self._done())
