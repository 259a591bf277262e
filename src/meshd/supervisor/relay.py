"""Questions of the admin API: any worker may be asked, asks them all through here, and puts the answers together.

A worker that does not answer in time (a plugin blocks it, say) is named as missing; for its counters, what it told last
stands in, so that no sum falls. What ended workers have counted is one more answer.
"""

import itertools
from typing import Any

from meshd.supervisor.ghost import Ghost
from meshd.supervisor.loop import Loop
from meshd.supervisor.member import LEAVING, Member
from meshd.supervisor.team import Team

LIMIT_S = 1.0
"""How long the others may take; the reactor of a healthy worker is never late by more than a few milliseconds."""
METRICS = "metrics"
STANDING = ("health", "log", "drain_listeners")
"""What holds until it is told otherwise."""


class Question:
    """One question on its way. ``answers`` are (index, payload)."""

    def __init__(self, asker: Member, head: dict[str, Any], waiting: set[Member]) -> None:
        self.asker = asker
        self.id = head["id"]
        self.what = head["what"]
        self.waiting = waiting
        self.answers: list[tuple[int | None, bytes]] = []
        self.timer: Any = None


class Relay:
    """``ghost`` is what ended workers have counted; ``facts()`` goes with every answer."""

    def __init__(self, loop: Loop, team: Team, facts: Any) -> None:
        self.ghost = Ghost()
        self._loop = loop
        self._team = team
        self._facts = facts
        self._numbers = itertools.count(1)
        self._questions: dict[int, Question] = {}
        self._last: dict[Member, bytes] = {}

    def ask(self, asker: Member, head: dict[str, Any]) -> None:
        """Ask all, the asker too: what it has counted must be known here should it end."""
        asked = {one for one in self._team.members if one is asker or one.is_serving or one.state == LEAVING}
        question = Question(asker, head, asked)
        number = next(self._numbers)
        self._questions[number] = question
        for member in list(asked):
            member.tell({"do": "ask", "id": number, "what": head["what"], "query": head["query"]})
        question.timer = self._loop.later(LIMIT_S, self._finish, number)
        self._look(number)

    def answer(self, member: Member, head: dict[str, Any], payload: bytes) -> None:
        """One has answered."""
        question = self._questions.get(head["id"])
        if question is None or member not in question.waiting:
            return
        question.waiting.discard(member)
        question.answers.append((member.index, payload))
        if question.what == METRICS:
            self._last[member] = payload
        self._look(head["id"])

    def tell(self, teller: Member, what: dict[str, Any]) -> None:
        """Pass on to all others what one was told, and to those that come later."""
        if what["do"] in STANDING:
            self._team.standing[f"{what['do']} {what.get('namespace', '')}"] = what
        for member in self._team.members:
            if member is not teller:
                member.tell(what)

    def legacy(self, member: Member, payload: bytes) -> None:
        """A worker that ends in order leaves all that it has counted."""
        self._last[member] = payload

    def gone(self, member: Member) -> None:
        """A worker has ended; nobody waits for it, and its counts stay."""
        self.ghost.add(self._last.pop(member, b""))
        for number, question in list(self._questions.items()):
            question.waiting.discard(member)
            if question.asker is member:
                question.timer.cancel()
                del self._questions[number]
            else:
                self._look(number)

    def _look(self, number: int) -> None:
        if not self._questions[number].waiting:
            self._finish(number)

    def _finish(self, number: int) -> None:
        question = self._questions.pop(number)
        question.timer.cancel()
        missing = [member.index for member in question.waiting]
        if question.what == METRICS:
            question.answers += [(member.index, self._last.get(member, b"")) for member in question.waiting]
            question.answers.append((None, self.ghost.text))
        head = {
            "do": "answers", "id": question.id, "who": [index for index, _ in question.answers], "missing": missing,
            "sizes": [len(payload) for _, payload in question.answers], **self._facts(),
        }
        question.asker.tell(head, b"".join(payload for _, payload in question.answers))
