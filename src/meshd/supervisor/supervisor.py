"""The supervisor: reads the configuration, keeps the team at work, changes it all or nothing, drains, hands over.

Read it top down: the start, a reload, an upgrade, the end. What workers say that concerns all of them arrives in
``_said``; each command of the admin API has a line in ``_COMMANDS``.
"""

import os
import signal
from collections.abc import Callable
from typing import Any

from meshd.host.channel import Message
from meshd.host.handover import Heir
from meshd.host.launch import Launch
from meshd.host.lineage import Lineage
from meshd.host.warm import Warm
from meshd.supervisor.change import Change
from meshd.supervisor.log import Log
from meshd.supervisor.loop import Loop
from meshd.supervisor.manager import ServiceManager
from meshd.supervisor.member import IDLE, LEAVING, PREPARING, READY, SERVING, STARTING, Member
from meshd.supervisor.reading import Reader, Reading, first_reading
from meshd.supervisor.relay import Relay
from meshd.supervisor.sockets import CannotBind, Shelf
from meshd.supervisor.succession import Succession, inherited_arena
from meshd.supervisor.team import Team

SPARE_S = 5.0
"""How long workers may take beyond the drain's deadline before they are killed."""
FAILED = 1
CONFIG = 78
DRAINING = {"accepted": False, "summary": "the daemon is draining", "text": "", "faults": []}
"""The outcome of a reload that is not made because the daemon ends."""

Told = Callable[[dict[str, Any]], Any]


class Supervisor:
    """``told`` is what the command line knows: paths, reading, log_level, log_format, settings...
    """

    def __init__(self, loop: Loop, log: Log, told: dict[str, Any], launch: Launch) -> None:
        self.code = 0
        self.generation = 0
        self.outline: dict[str, Any] = {}
        self.last_reload: dict[str, Any] | None = None
        self.is_draining = False
        self.lineage = Lineage(launch)
        self._succession = Succession(
            loop, log, self.lineage, served=self._upgraded, failed=self._not_upgraded, retry=self.hang_up)
        self.shelf = Shelf()
        self.manager = ServiceManager(self, loop, log, launch)
        self.arena = inherited_arena(launch.testament.fd("arena"), told["locking"], log)
        self.team = Team(loop, log, self.shelf, self.arena, on_message=self._said, on_gone=self._gone)
        self.relay = Relay(loop, self.team, self.facts)
        self._loop = loop
        self._log = log
        self._told = told
        self._settings = told["settings"]
        self._change: Change | None = None
        self._changes = 0
        self._reading: Reading | None = None
        self._offered: Reading | None = None
        self._is_busy = False
        self._askers: list[Told] = []
        self._next: list[Told] = []
        self._is_renewing = self._renews_next = False
        self._cut: Any = None

    def facts(self) -> dict[str, Any]:
        """Return what each answer of the admin API carries of the whole."""
        heir = self.lineage.heir.pid if self.lineage.heir is not None else None
        return {
            "workers": self.team.facts(), "restarts": self.team.restarts, "last_reload": self.last_reload,
            "generation": self.generation, "draining": self.is_draining, "heir": heir, "pid": os.getpid(),
        }

    # The start

    def begin(self) -> None:
        """Start the workers with what the command line has read already."""
        self.manager.adopt()
        for number, action in self._actions().items():
            self._loop.on_signal(number, action)
        told = self._told
        self.team.arguments = {
            "paths": told["paths"], "settings": told["settings"], "log_level": told["log_level"],
            "log_format": told["log_format"],
        }
        self._succession.bury_elder(self.arena)
        self.team.wanted = told["workers"]
        self.team.warm = [Warm(*row) for row in told["warm"]]
        self.team.has_spare = False  # until it serves: imports in parallel would only delay each other
        self.team.fill()
        self._is_busy = True
        self._have_read(first_reading(**told["reading"]))

    def _actions(self) -> dict[int, Callable[[], Any]]:
        return {
            signal.SIGCHLD: self.team.reap, signal.SIGHUP: self.hang_up, signal.SIGTERM: self.quit,
            signal.SIGINT: self.quit, signal.SIGUSR1: self.reopen, signal.SIGUSR2: self.dump,
        }

    # A reload

    def hang_up(self) -> None:
        """SIGHUP."""
        if not self.lineage.signal(signal.SIGHUP):
            self.reload(lambda outcome: None)

    def reload(self, told: Told, *, renews: bool = False) -> None:
        """Read the configuration anew; ``told`` gets the outcome of a reading that begins after this call."""
        if self.is_draining:
            told(DRAINING)
            return
        self._next.append(told)
        self._renews_next |= renews
        if not self._is_busy:
            self._read()

    def renew(self, told: Told) -> None:
        """Hand over to a new generation, whatever has changed."""
        self.reload(told, renews=True)

    def _read(self) -> None:
        """Read for all who have asked meanwhile."""
        self._is_busy = True
        self._askers, self._next = self._next, []
        self._is_renewing, self._renews_next = self._renews_next, False
        self.manager.reloading()
        Reader(self._loop, self._told["paths"], self._settings, self._have_read)

    def _have_read(self, reading: Reading) -> None:
        if self.is_draining:
            return
        reason = self._needs_heir(reading)
        if reason:
            self._upgrade(reason)
        else:
            self._reading = reading
            self._begin_change()

    def _needs_heir(self, reading: Reading) -> str:
        """Say why only a new generation can become what was read, "" where this one can."""
        was, now = self.outline, reading.outline
        if not was or now is None:
            return ""
        if was["fingerprint"] != now["fingerprint"]:
            old, new = ({tuple(row) for row in one["fingerprint"]} for one in (was, now))
            return f"installed code has changed: {', '.join(sorted({row[0] for row in old ^ new}))}"
        if was["workers"] != now["workers"]:
            return f"workers: {now['workers']} are wanted where {was['workers']} run"
        if any(was["settings"][key] != now["settings"][key] for key in ("load", "dir")):
            return "plugins: load or dir has changed"
        return "an upgrade was asked for" if self._is_renewing else ""

    def _begin_change(self) -> None:
        """All workers that should serve are told, as soon as they can hear."""
        members = self.team.placed()
        busy = (STARTING, PREPARING, READY)  # the last two: it takes up what is in force, and does one thing at a time
        is_early = any(member.state in busy for member in members) or len(members) < self.team.wanted
        self.team.is_held = is_early  # who cannot take up what is in force may be able to take up this
        if is_early:
            return  # ``_said`` comes back here
        reading, self._reading = self._reading, None
        sockets: dict = {}
        try:
            if reading.outline is not None:
                sockets = self.shelf.prepare(reading.outline)
        except CannotBind as error:
            reading.error = str(error)
        self._changes += 1
        self._change = Change(
            self._changes, self._loop, self.team, self.shelf, done=self._changed,
            refusal=lambda text: self._outcome(text, is_accepted=False))
        self._offered = reading
        self._change.begin(reading, sockets, self.generation + 1, members)

    def _changed(self, outcome: dict[str, Any], is_accepted: bool) -> None:
        change, self._change = self._change, None
        reading = self._offered
        if is_accepted and reading.outline is not None:
            self._accepted(reading)
            self._catch_up(change.everybody)
            self.manager.swapped()
        elif not self.outline:
            if not self.is_draining:  # else it was told to end meanwhile
                self._cannot_start(outcome)
            return
        else:
            self._catch_up(set(self.team.members))
        self._tell_outcome(outcome)

    def _accepted(self, reading: Reading) -> None:
        is_first = not self.outline
        self.outline = outline = reading.outline
        self._settings = outline["settings"]
        self.generation += 1
        self.team.current = (
            {"change": 0, "key": reading.key.hex(), "generation": self.generation, "affinity": outline["affinity"]},
            reading.data)
        self.team.arguments["settings"] = outline["settings"]
        self.team.wanted = outline["workers"]
        self.team.has_spare = outline["spare"]
        self.team.hang_s = outline["hang_s"]
        self.team.fill()
        if is_first:
            self._serves()

    def _catch_up(self, everybody: set[Member]) -> None:
        """Workers that took a dead one's place meanwhile have none, or began with the configuration before."""
        for member in self.team.placed():
            if member.state == IDLE or (member.state == SERVING and member not in everybody):
                self.team.prepare(member, *self.team.current, self.shelf.held)

    def _serves(self) -> None:
        if self.is_draining:  # it was told to end meanwhile
            return
        self.lineage.serves()
        self.manager.ready()
        places = ", ".join(f"{name} {address}" for name, address in self.shelf.held)
        self._log.info(f"{self.team.wanted} workers serve: {places}")

    def _cannot_start(self, outcome: dict[str, Any]) -> None:
        self._log.error(f"cannot start: {outcome['summary']}")
        self.lineage.testament.say(outcome["summary"])
        self.manager.failed(outcome["summary"])
        self.code = CONFIG if outcome.get("is_configuration") else FAILED
        self._kill_all()
        self._loop.stop()

    def _tell_outcome(self, outcome: dict[str, Any]) -> None:
        if outcome["previous_generation"]:  # the start is no reload
            self.last_reload = {key: value for key, value in outcome.items() if key != "text"}
            self.manager.reloaded(outcome)
        self._is_busy = False
        askers, self._askers = self._askers, []
        for told in askers:
            told(outcome)
        if self._next and not self.is_draining and self.lineage.heir is None:
            self._read()

    # An upgrade

    def _upgrade(self, why: str) -> None:
        """Start the next generation; workers go on until it serves."""
        self._succession.begin(why, self.shelf, self.arena)

    def _upgraded(self, text: str, heir: Heir) -> None:
        self._log.info(text)
        self._tell_outcome(self._outcome(text, is_accepted=True, heir=heir.pid))
        self.manager.succeeded(heir.pid)
        if self.is_draining:  # it was told to end meanwhile, and the heir too
            self._look_ended()
        else:
            self._drain(is_succeeded=True)

    def _not_upgraded(self, text: str) -> None:
        self._log.error(f"{text}: generation {self.generation} stays in force")
        self._tell_outcome(self._outcome(text, is_accepted=False))
        self._look_ended()

    def _outcome(self, text: str, *, is_accepted: bool, heir: int | None = None) -> dict[str, Any]:
        """Return an outcome as a worker's would be (``service/fact.py``)."""
        faults = [] if is_accepted else [{"code": "none", "text": text}]
        return {
            "accepted": is_accepted, "generation": self.generation, "previous_generation": self.generation,
            "digest": self.outline.get("digest", ""), "duration_s": 0.0, "faults": faults, "warnings": [],
            "time": self._loop.wall(), "changes": [], "summary": text,
            "text": "" if is_accepted else f"error: {text}\n", "node": self.outline.get("node", "-"),
            "closed_connections": 0, "heir": heir,
        }

    # What workers say

    def _said(self, member: Member, message: Message) -> None:
        head, payload, _ = message
        word = head["do"]
        if word in ("prepared", "committed", "refused") and head["change"]:
            if self._change is not None and head["change"] == self._change.number:
                self._change.answered(member, head)
        elif word in ("hello", "committed"):
            if self._reading is not None and self._change is None:
                self._begin_change()
        elif word == "ask":
            self.relay.ask(member, head)
        elif word == "answer":
            self.relay.answer(member, head, payload)
        elif word == "legacy":
            self.relay.legacy(member, payload)
        elif word == "tell":
            self.relay.tell(member, head["what"])
            self._overheard(head["what"])
        else:
            self._COMMANDS[word](self, member, head)

    def _overheard(self, what: dict[str, Any]) -> None:
        """Some of what workers tell one another concerns us too."""
        if what["do"] == "log" and not what["namespace"]:
            self._log.set_level(what["word"])
            self.team.arguments["log_level"] = what["word"]
        elif what["do"] == "drain_listeners":
            self.shelf.close()

    def _asked_reload(self, member: Member, head: dict[str, Any]) -> None:
        answer = {"do": "outcome", "id": head["id"]}
        ask = self.renew if head["do"] == "upgrade" else self.reload
        ask(lambda outcome: member.tell({**answer, "outcome": outcome}))

    def _asked_recycle(self, member: Member, head: dict[str, Any]) -> None:
        self.team.replace(member, head["why"])

    def _asked_quit(self, member: Member, head: dict[str, Any]) -> None:
        self.quit()

    _COMMANDS: dict[str, Callable[["Supervisor", Member, dict[str, Any]], None]] = {
        "reload": _asked_reload, "upgrade": _asked_reload, "recycle": _asked_recycle, "quit": _asked_quit,
    }

    def _gone(self, member: Member) -> None:
        """A worker has ended."""
        self.relay.gone(member)
        if self._change is not None:
            self._change.lost(member)
        self._look_ended()

    # Other signals

    def reopen(self) -> None:
        """SIGUSR1."""
        self.lineage.signal(signal.SIGUSR1)
        self._tell_all({"do": "reopen"})

    def dump(self) -> None:
        """SIGUSR2."""
        self.lineage.signal(signal.SIGUSR2)
        for row in self.team.facts():
            self._log.info("dump: worker " + " ".join(f"{key}={value}" for key, value in row.items()))
        self._tell_all({"do": "dump"})

    def _tell_all(self, head: dict[str, Any]) -> None:
        for member in list(self.team.members):
            member.tell(head)

    # The end

    def quit(self) -> None:
        """SIGTERM: drain and end; again: cut. With an heir, which ends too, this generation drains already."""
        if self.lineage.signal(signal.SIGTERM):
            return
        if self.is_draining:
            self._log.warn("told again to end: connections are cut")
            self._tell_all({"do": "cut"})
            self._cut_later(SPARE_S)
        else:
            self._drain(is_succeeded=False)
            self.manager.stopping()

    def _drain(self, *, is_succeeded: bool) -> None:
        """Let the workers finish; they close their sockets after ours, and the last one takes what is in the queue."""
        self.is_draining = self.team.is_ending = True
        self._refuse_reloads()
        grace_s = 0.0 if is_succeeded else self.outline.get("grace_s", 0.0)
        if is_succeeded:
            self.shelf.close(is_handed_over=True)
        else:
            self._loop.later(grace_s, self.shelf.close)
        self._tell_all({"do": "succeeded" if is_succeeded else "drain"})
        for member in list(self.team.members):
            if not member.is_serving and member.state != LEAVING:
                member.kill("not needed any more")
        self._cut_later(grace_s + self.outline.get("deadline_s", 0.0) + SPARE_S)
        self._look_ended()

    def _refuse_reloads(self) -> None:
        """Answer who waits for a reading; a change, or an heir, that is on its way answers by itself."""
        waiting, self._next, self._reading = self._next, [], None
        if self._change is None and self.lineage.starting is None:
            waiting += self._askers
            self._askers = []
        for told in waiting:
            told(DRAINING)

    def _look_ended(self) -> None:
        if self.is_draining and not self.team.members and self.lineage.starting is None:
            self._loop.stop()

    def _cut_later(self, seconds: float) -> None:
        if self._cut is not None:
            self._cut.cancel()
        self._cut = self._loop.later(seconds, self._kill_all)

    def _kill_all(self) -> None:
        self.team.is_ending = True
        for member in list(self.team.members):
            member.kill("it did not end in time")
        self._succession.cut()
