"""One change of configuration across all workers, all or nothing: everybody prepares, then everybody commits.

Strategy: two phases. In the first each worker reads, builds and starts what comes, beside what it serves, and says that
it is ready or why not. Only when all are ready are they told to swap; one that refuses or is late ends the change for
all, with nothing changed. A worker that dies after the word was given is replaced by one with the new configuration.
"""

from collections.abc import Callable
from typing import Any

from meshd.supervisor.loop import Loop
from meshd.supervisor.member import IDLE, LEAVING, PREPARING, READY, SERVING, Member
from meshd.supervisor.reading import Reading
from meshd.supervisor.sockets import Key, Shelf
from meshd.supervisor.team import Team

LIMIT_S = 60.0
"""How long the workers may take to build a configuration, and to take it up."""


class Change:
    """``number`` tells it from others; ``everybody`` are the workers that take part.

    ``done(outcome, is_accepted)`` is called once, with a worker's own outcome or one that ``refusal(text)`` makes.
    """

    def __init__(
        self, number: int, loop: Loop, team: Team, shelf: Shelf, *, refusal: Callable[[str], dict[str, Any]],
        done: Callable[[dict[str, Any], bool], Any],
    ) -> None:
        self.number = number
        self._loop = loop
        self._team = team
        self._shelf = shelf
        self._refusal = refusal
        self._done = done
        self._sockets: dict[Key, Any] = {}
        self._waiting: set[Member] = set()
        self.everybody: set[Member] = set()
        self._outcome: dict[str, Any] | None = None
        self._is_committing = False
        self._late: Any = None

    def begin(self, reading: Reading, sockets: dict[Key, Any], generation: int, members: list[Member]) -> None:
        """Tell ``members`` to prepare what was read."""
        self._sockets = sockets
        self.everybody = set(members)
        self._waiting = set(members)
        self._late = self._loop.later(LIMIT_S, self._too_late)
        head = {"change": self.number, "key": reading.key.hex(), "generation": generation,
                "error": reading.error, "affinity": (reading.outline or {}).get("affinity", False)}
        for member in members:
            self._team.prepare(member, head, reading.data, sockets or self._shelf.held)

    def answered(self, member: Member, head: dict[str, Any]) -> None:
        """A worker has answered: ``prepared``, ``committed`` or ``refused``."""
        if member not in self._waiting:
            return
        self._waiting.discard(member)
        if head["do"] == "refused":
            self._refuse(head["outcome"])
            return
        if head["do"] == "committed":
            self._outcome = self._outcome or head["outcome"]
            self._team.serves(member)
        elif member.state != LEAVING:
            member.state = READY
        self._look()

    def lost(self, member: Member) -> None:
        """A worker has died."""
        self.everybody.discard(member)
        self._waiting.discard(member)
        if self._is_committing or self.everybody:
            self._look()
        else:
            self._refuse(self._refusal(f"every worker {member.fate}"))

    def _look(self) -> None:
        if self._waiting:
            return
        if self._is_committing:
            self._finish(self._outcome or self._refusal("the workers died as they took it up"), True)
            return
        self._is_committing = True
        self._late.cancel()
        self._late = self._loop.later(LIMIT_S, self._too_late)
        self._waiting = set(self.everybody)
        for member in self.everybody:
            member.tell({"do": "commit", "change": self.number})

    def _refuse(self, outcome: dict[str, Any]) -> None:
        """End it for all; who has not refused by itself is told why."""
        for member in self.everybody:
            if member.state in (PREPARING, READY, LEAVING):
                member.tell({"do": "abort", "change": self.number, "text": outcome["summary"]})
            if member.state in (PREPARING, READY):
                member.state = SERVING if member.is_serving else IDLE
                member.known = set(self._shelf.held if member.is_serving else ())
        self._shelf.undo(self._sockets)
        self._finish(outcome, False)

    def _too_late(self) -> None:
        """Time is up; once the word was given there is no way back, and who does not take it up is replaced."""
        if self._is_committing:
            for member in list(self._waiting):
                member.kill(f"it has not committed in {LIMIT_S:g} s")
            return
        self._refuse(self._refusal(f"the workers were not ready after {LIMIT_S:g} s"))

    def _finish(self, outcome: dict[str, Any], is_accepted: bool) -> None:
        self._late.cancel()
        if is_accepted:
            self._shelf.keep(self._sockets)
        self._waiting.clear()
        self._done(outcome, is_accepted)
