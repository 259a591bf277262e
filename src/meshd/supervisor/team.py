"""The workers of one generation: as many as are wanted, a spare, and a replacement for each that dies.

Strategy: a worker is started long before it is needed (its imports take most of a second): the spare waits with
everything loaded, takes a dead worker's place as soon as that is known, and is replaced itself. Listening sockets are
shared, so a client that waits in a queue is served by whichever worker is there.
"""

from collections.abc import Callable
from typing import Any

from meshd.host.arena import Arena
from meshd.host.channel import Message
from meshd.host.warm import Warm
from meshd.supervisor.log import Log
from meshd.supervisor.loop import Loop
from meshd.supervisor.member import IDLE, LEAVING, PREPARING, READY, SERVING, STARTING, Member
from meshd.supervisor.sockets import Key, Shelf, portions
from meshd.wire.datagram import index_of

LOOK_S = 0.5
"""How often it is looked whether every worker is alive; a worker tells it as often (``service/link.py``)."""
START_LIMIT_S = 60.0
"""How long a process may take to import everything."""
QUICK_S = 5.0
"""A worker that dies sooner counts as failing at once, and its place waits."""
LONGEST_WAIT_S = 30.0


class Team:
    """``arguments`` are what each worker is started with; ``wanted`` is how many carry traffic.

    ``current`` is (head, payload) of the configuration in force, for workers that come later; ``standing`` are the
    orders that hold for them too; ``warm`` are processes that have been forked for the first. ``is_held``: a change is
    about to begin, and who comes now takes part in it. ``arena`` holds what all count together: each worker has a slot
    in it, which is buried when it has ended. ``on_message`` gets what the team does not answer itself;
    ``on_gone(member)`` is called when a worker has ended.
    """

    def __init__(
        self, loop: Loop, log: Log, shelf: Shelf, arena: Arena, *, on_message: Callable[[Member, Message], Any],
        on_gone: Callable[[Member], Any],
    ) -> None:
        self.members: list[Member] = []
        self.arguments: dict[str, Any] = {}
        self.wanted = 0
        self.has_spare = True
        self.hang_s = 20.0
        self.current: tuple[dict[str, Any], bytes] | None = None
        self.restarts = 0
        self.standing: dict[str, dict[str, Any]] = {}
        self.warm: list[Warm] = []
        self.is_held = False
        self.is_ending = False
        self._loop = loop
        self._log = log
        self._shelf = shelf
        self._arena = arena
        self._on_message = on_message
        self._on_gone = on_gone
        self._failures = 0
        self._wait: Any = None
        loop.later(LOOK_S, self._look)

    # Who there is

    def placed(self) -> list[Member]:
        """Return the workers that have a place and do not leave, by index."""
        found = [one for one in self.members if one.index is not None and one.state != LEAVING]
        return sorted(found, key=lambda one: one.index)

    def serving(self) -> list[Member]:
        """Return those that carry traffic."""
        return [one for one in self.placed() if one.is_serving]

    def spares(self) -> list[Member]:
        """Return those that have no place yet."""
        return [one for one in self.members if one.index is None and one.state in (STARTING, IDLE)]

    def is_on_time(self, limit_s: float) -> bool:
        """Say whether every worker has shown itself within ``limit_s``, and as many carry traffic as are wanted."""
        now = self._loop.now()
        serving = self.serving()
        return len(serving) >= self.wanted and all(now - one.beat <= limit_s for one in serving)

    def facts(self) -> list[dict[str, Any]]:
        """Return what is known of each worker, as plain data."""
        now = self._loop.now()
        return [
            {"index": one.index, "pid": one.pid, "state": SERVING if one.is_serving else one.state,
             "uptime_s": round(now - one.began, 3), "connections": one.connections,
             "silent_s": round(now - one.beat, 3)} for one in self.members
        ]

    # Starting and replacing

    def fill(self) -> None:
        """Start what is missing: a worker for each place, and a spare."""
        if self.is_ending or self._wait is not None:
            return
        for index in sorted(set(range(self.wanted)) - {one.index for one in self.placed()}):
            spares = self.spares()
            self._place(spares[0] if spares else self._start(), index)
        if self.has_spare and not self.spares():
            self._start()

    def _start(self) -> Member:
        member = Member(
            self._loop, self._arena.reserve(), self.arguments, self._arena.fd, on_message=self._message,
            on_end=self._ended, warm=self.warm.pop() if self.warm else None)
        self.members.append(member)
        return member

    def _place(self, member: Member, index: int) -> None:
        member.index = index
        if member.state == IDLE:
            self._take_up(member)

    def prepare(self, member: Member, head: dict[str, Any], payload: bytes, sockets: dict[Key, Any]) -> None:
        """Give a worker a configuration, and the sockets that it has not got."""
        new = [key for key in sockets if key not in member.known and index_of(key[1]) in (None, member.index)]
        for keys in portions(new):
            member.tell({"do": "sockets", "rows": keys}, b"", tuple(sockets[key].fileno() for key in keys))
        member.known = set(sockets)
        member.state = PREPARING
        member.offered = payload
        speaks = member.index == min(one.index for one in self.placed())
        member.tell({**head, "do": "prepare", "index": member.index, "speaks": speaks}, payload)

    def replace(self, member: Member, why: str) -> None:
        """Let another worker take the place of one that serves, which then drains; nothing is lost."""
        if self.is_ending or not member.is_serving:
            return
        self._log.info(f"{member.label}: replaced: {why}")
        member.state, member.is_serving = LEAVING, False  # it accepts until another has taken its place
        self.fill()

    def _message(self, member: Member, message: Message) -> None:
        head = message[0]
        member.beat = self._loop.now()
        if head["do"] == "beat":
            member.connections = head["connections"]
        elif head["do"] == "hello":
            self._hello(member)
        elif head["do"] == "prepared" and head["change"] == 0:
            if member.state != LEAVING:
                member.state = READY
            member.tell({"do": "commit", "change": 0})
        elif head["do"] == "committed" and head["change"] == 0:
            self.serves(member)
            if member.offered is not self.current[1] and member.state == SERVING:  # a change has ended meanwhile
                self.prepare(member, *self.current, self._shelf.held)
            self._on_message(member, message)
        elif head["do"] == "refused" and head["change"] == 0:
            if member.state != LEAVING:
                member.kill(f"it cannot take the configuration in force: {head['outcome']['summary']}")
        else:
            self._on_message(member, message)

    def _hello(self, member: Member) -> None:
        member.state = IDLE
        for head in self.standing.values():
            member.tell(head)
        self._take_up(member)

    def _take_up(self, member: Member) -> None:
        """A worker waits: where it has a place it takes up what is in force, or the change that is about to begin."""
        if member.index is not None and self.current is not None and not self.is_held:
            self.prepare(member, *self.current, self._shelf.held)
        self._on_message(member, ({"do": "hello"}, b"", []))

    def serves(self, member: Member) -> None:
        """A worker carries traffic from now on; who was to be replaced by it may leave."""
        if member.state == LEAVING:
            return  # it has taken up a change that was on its way, and goes
        member.state = SERVING
        if not member.is_serving:
            member.is_serving, member.served_since = True, self._loop.now()
        for old in self.members:
            if old.state == LEAVING and old.index == member.index:
                old.tell({"do": "succeeded"})

    # The end of a worker

    def reap(self) -> None:
        """SIGCHLD: take the processes that have ended."""
        for member in list(self.members):
            if member.process.poll() is not None:
                member.ended()

    def _ended(self, member: Member) -> None:
        self.members.remove(member)
        self._arena.bury(member.slot)
        self._on_gone(member)
        if self.is_ending or member.state == LEAVING:
            return
        self.restarts += 1
        lost = "; its streams were lost" if member.is_serving else ""
        self._log.error(f"{member.label}: {member.fate}: another takes its place{lost}")
        is_quick = not member.is_serving or self._loop.now() - member.served_since < QUICK_S
        self._failures = self._failures + 1 if is_quick else 0
        if self._failures > self.wanted + 1:
            self._pause()
        self.fill()

    def _pause(self) -> None:
        """Workers die as soon as they begin: wait before the next one, longer each time."""
        if self._wait is None:
            seconds = min(LONGEST_WAIT_S, 0.1 * 2 ** min(self._failures, 10))
            self._log.error(f"workers die as soon as they begin: the next one in {seconds:g} s")
            self._wait = self._loop.later(seconds, self._go_on)

    def _go_on(self) -> None:
        self._wait = None
        self.fill()

    def _look(self) -> None:
        """End what hangs."""
        self._loop.later(LOOK_S, self._look)
        now = self._loop.now()
        for member in self.members:
            limit_s = START_LIMIT_S if member.state == STARTING else max(self.hang_s, LOOK_S * 4)
            if now - member.beat > limit_s and not member.why:
                self._log.error(f"{member.label}: its reactor has stood still for {limit_s:g} s: it is killed")
                member.kill("it hung")
