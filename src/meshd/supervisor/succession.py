"""The supervisor's side of an upgrade: the heir is started, and waited for, while the workers go on."""

import os
from collections.abc import Callable
from typing import Any

from meshd.host.arena import Arena, ArenaError
from meshd.host.handover import READY_TIMEOUT_S, Heir
from meshd.host.lineage import Lineage
from meshd.supervisor.log import Log
from meshd.supervisor.loop import READ, Loop
from meshd.supervisor.sockets import Shelf

LOOK_S = 0.25
"""How often it is looked whether the generation before has ended."""


class Succession:
    """``served(text, heir)`` is called when the heir serves, ``failed(text)`` where it does not, ``retry()`` when what
    was refused because of an older generation can be asked again.
    """

    def __init__(
        self, loop: Loop, log: Log, lineage: Lineage, *, served: Callable[[str, Heir], Any],
        failed: Callable[[str], Any], retry: Callable[[], Any],
    ) -> None:
        self._loop = loop
        self._log = log
        self._lineage = lineage
        self._served = served
        self._failed = failed
        self._retry = retry
        self._is_retrying = False
        self._late: Any = None
        self._elder = os.getppid()

    def begin(self, why: str, shelf: Shelf, arena: Arena) -> None:
        """Start the next generation."""
        is_alone, refusal = self._lineage.testament.is_alone(), self._lineage.refusal
        if refusal:
            if not is_alone:
                self._wait()
            self._failed(refusal)
            return
        self._log.info(f"upgrade: {why}: starting a new generation")
        try:
            heir = self._lineage.start(shelf.rows(), {"arena": arena.fd})
        except OSError as error:
            self._failed(f"upgrade: the new generation cannot be started: {error.strerror}")
            return
        self._late = self._loop.later(READY_TIMEOUT_S, self._too_late, heir, why)
        self._loop.watch(heir.ready_fd, READ, lambda: self._says(heir, why))

    def _too_late(self, heir: Heir, why: str) -> None:
        if not self._says(heir, why):
            self._give_up(heir, f"it did not serve in {READY_TIMEOUT_S:g} s")

    def _says(self, heir: Heir, why: str) -> bool:
        """Say whether it has said all."""
        if not heir.read():
            return False
        self._late.cancel()
        self._loop.forget(heir.ready_fd)
        fault = self._lineage.answered()
        if fault:
            self._give_up(heir, fault)
        else:
            self._served(f"{why}: a new generation serves (process {heir.pid}), this one drains", heir)
        return True

    def _give_up(self, heir: Heir, fault: str) -> None:
        self._late.cancel()
        self._loop.forget(heir.ready_fd)
        self._lineage.give_up(heir)
        self._failed(f"upgrade: the new generation failed: {fault}")

    def cut(self) -> None:
        """End an heir that starts still."""
        if self._lineage.starting is not None:
            self._give_up(self._lineage.starting, "it did not end in time")

    def _wait(self) -> None:
        """Ask again when the generation before has ended."""
        if not self._is_retrying:
            self._is_retrying = True
            self._loop.later(LOOK_S, self._look)

    def _look(self) -> None:
        self._is_retrying = False
        if self._lineage.testament.is_alone():
            self._retry()
        else:
            self._wait()

    def bury_elder(self, arena: Arena) -> None:
        """Take away what workers of the generation before have left, should that end without having done so."""
        if self._lineage.testament.is_alone():
            for slot in arena.reserved(self._elder):
                arena.bury(slot)
        else:
            self._loop.later(LOOK_S, self.bury_elder, arena)


def inherited_arena(fd: int | None, locking: str, log: Log) -> Arena:
    """Return the arena of the generation before, so that its counts go on, or a new one where that cannot be."""
    if fd is None:
        return Arena.create()
    try:
        return Arena.open(fd, None, locking)
    except ArenaError as error:
        log.warn(f"{error}: limits and tokens begin anew")
        os.close(fd)
        return Arena.create()
