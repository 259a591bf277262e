"""A worker: the daemon without sockets and files of its own, told by a supervisor what to serve.

What differs from the daemon that is one process: the configuration and the listening sockets come over the link, a
swap waits for the word of the supervisor (all workers or none), and what concerns the whole daemon is passed on to it.
"""

import os
import socket
from collections.abc import Iterator
from typing import Any

from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.task import LoopingCall
from zope.interface import implementer

from meshd.admin.page import Query
from meshd.admin.team import Answers, facts_of
from meshd.admin.view import IWorker
from meshd.config.transfer import Reader
from meshd.errors import MeshdError
from meshd.host.channel import Message
from meshd.runtime.outcome import Outcome
from meshd.runtime.pump import pump
from meshd.service.daemon import Daemon, log
from meshd.service.link import BEAT_S, Link
from meshd.telemetry.share import shared

FINISH_S = 2.0
"""How long the last words may take."""


class SharedLog:
    """The process's log; a level that is set here is set in every worker."""

    def __init__(self, levels: Any, link: Link) -> None:
        self.levels = levels.levels
        self._set = levels.set_level
        self._link = link

    def set_level(self, word: str, namespace: str = "") -> None:
        """Set a level in all workers; raises ValueError."""
        self._set(word, namespace)
        self._link.tell({"do": "tell", "what": {"do": "log", "word": word, "namespace": namespace}})


@implementer(IWorker)
class Worker(Daemon):
    """``sock`` leads to the supervisor. ``index`` is its place, None for a spare."""

    def __init__(self, *args: Any, sock: socket.socket, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.index: int | None = None
        self._levels = self.log
        self.link = Link(self.world, sock, self._told, self._orphaned)
        self.log = SharedLog(self._levels, self.link)
        self._allowed = sorted(os.sched_getaffinity(0))
        self._offer: tuple[dict[str, Any], bytes] = ({}, b"")
        self._sockets: list[tuple[int, str, str]] = []  # those of the offer
        self._change = 0  # the one that is built; another may be offered already
        self._word: Deferred | None = None
        self._aborted = 0  # the last change that was given up before this worker was ready for it
        self._beat = LoopingCall(self._beats)
        self._beat.clock = self.reactor
        self.reloader.consent = self._consent
        self.reloader.upgrade = None
        self.reloader.on_swap.insert(0, self._open)
        self.world.bus.send = self._tell_peers

    def _reader(self) -> Any:
        return self._read_offer

    # What the supervisor says

    def begin(self) -> Deferred:
        """Say that this process is ready to be told something."""
        self._begin_work()
        self.link.begin()
        self.link.tell({"do": "hello"})
        self._beat.start(BEAT_S, now=False)
        return succeed(None)

    def _beats(self) -> None:
        connections = sum(len(listener.connections) for listener in self.reloader.listeners.values())
        self.link.tell({"do": "beat", "connections": connections})

    def _told(self, message: Message) -> None:
        head, payload, fds = message
        getattr(self, f"_do_{head['do']}")(head, payload, fds)

    def _do_sockets(self, head: dict[str, Any], payload: bytes, fds: list[int]) -> None:
        self._sockets += [(fd, name, address) for (name, address), fd in zip(head["rows"], fds)]

    def _do_prepare(self, head: dict[str, Any], payload: bytes, fds: list[int]) -> None:
        self.index = head["index"]
        self._levels.name(self.index)
        self._bind(_processors(self._allowed, self.index if head["affinity"] else None))
        self._offer = (head, payload)
        self.reloader.is_quiet = not head["speaks"]
        self.reloader.generation = head["generation"] - 1
        before, previous = list(self.reloader.listeners.values()), self.generation
        self.reloader.reload().addCallback(self._done, head["change"], before, previous)

    def _bind(self, processors: list[int]) -> None:
        """Run on these processors; systemd's hardened unit does not allow to change them (@resources)."""
        try:
            if sorted(os.sched_getaffinity(0)) != processors:
                os.sched_setaffinity(0, processors)
        except OSError as error:
            log.warn("supervisor.affinity: {reason}: all processors are used", reason=str(error.strerror).lower())

    def _read_offer(self) -> Deferred:
        head, payload = self._offer
        self._change = head["change"]
        sockets, self._sockets = self._sockets, []
        for fd, name, address in sockets:
            self.world.sockets.give(socket.socket(fileno=fd), name, address, is_foreign=True)
        if head.get("error"):
            raise MeshdError(head["error"])
        reader = Reader(bytes.fromhex(head["key"]), self.registry.fingerprint)
        reader.feed(payload)
        reader.end()
        self._offer = (head, b"")
        return pump(self.world, reader.slices())

    def _consent(self) -> Deferred:
        """Everything is bound and started: wait for the others."""
        if 0 < self._change <= self._aborted:
            return fail(MeshdError("another worker has refused it"))
        self._word = Deferred()
        self.link.tell({"do": "prepared", "change": self._change})
        return self._word

    def _do_commit(self, head: dict[str, Any], payload: bytes, fds: list[int]) -> None:
        word, self._word = self._word, None
        if word is not None:
            word.callback(None)

    def _do_abort(self, head: dict[str, Any], payload: bytes, fds: list[int]) -> None:
        word, self._word = self._word, None
        if word is not None:
            word.errback(MeshdError(head["text"]))
        else:
            self._aborted = head["change"]

    def _done(self, outcome: Outcome, change: int, before: list, previous: int) -> None:
        self.world.sockets.close()
        if not outcome.is_accepted:
            self.reloader.generation = previous
        found = self._reloaded(outcome, before, previous)
        found["is_configuration"] = outcome.is_configuration
        word = "committed" if outcome.is_accepted else "refused"
        self.link.tell({"do": word, "change": change, "outcome": found})

    def _open(self, runtime: Any) -> None:
        """The first configuration is in force: the admin API opens where it says."""
        if not self.running:
            self.admin.address = runtime.snapshot.admin.address
            self.startService()

    def _do_ask(self, head: dict[str, Any], payload: bytes, fds: list[int]) -> None:
        answer = {"do": "answer", "id": head["id"]}
        facts = facts_of(self, head["what"], Query(head["query"]))
        pump(self.world, _joined(facts)).addCallback(lambda data: self.link.tell(answer, data))

    def _do_drain(self, head: dict[str, Any], payload: bytes, fds: list[int]) -> None:
        if not self.shutdown.is_running:  # it may leave its place to another already
            self.shutdown.begin()

    def _do_succeeded(self, head: dict[str, Any], payload: bytes, fds: list[int]) -> None:
        self._succeeded(0)

    def _do_cut(self, head: dict[str, Any], payload: bytes, fds: list[int]) -> None:
        self.shutdown.begin()
        self.shutdown.begin()

    def _do_reopen(self, head: dict[str, Any], payload: bytes, fds: list[int]) -> None:
        super().reopen()

    def _do_dump(self, head: dict[str, Any], payload: bytes, fds: list[int]) -> None:
        super().dump()

    def _do_log(self, head: dict[str, Any], payload: bytes, fds: list[int]) -> None:
        self._levels.set_level(head["word"], head["namespace"])

    def _do_health(self, head: dict[str, Any], payload: bytes, fds: list[int]) -> None:
        super().set_health(head["is_healthy"])

    def _do_peers(self, head: dict[str, Any], payload: bytes, fds: list[int]) -> None:
        self.world.bus.heard(head["topic"], head["message"])

    def _do_drain_listeners(self, head: dict[str, Any], payload: bytes, fds: list[int]) -> None:
        super().drain_listeners()

    def _orphaned(self) -> None:
        """The supervisor is no more: leave the addresses to the next one, and end after the last request."""
        if not self.shutdown.is_running:
            log.error("the supervisor has gone: draining")
            self._succeeded(0)

    # What concerns the whole daemon

    def ask_all(self, what: str, query: Query) -> Deferred:
        """Return a Deferred of the ``Answers`` of all workers, this one's first."""
        asked = self.link.ask({"do": "ask", "what": what, "query": query.values})
        return asked.addCallback(lambda message: Answers.of(self.index, message[0], message[1]))

    def reload(self) -> Deferred:
        """Let all workers reload; the Deferred gets the outcome."""
        return self.link.ask({"do": "reload"}).addCallback(lambda message: message[0]["outcome"])

    def upgrade(self) -> Deferred:
        """Let a new generation take over; the Deferred gets the outcome."""
        return self.link.ask({"do": "upgrade"}).addCallback(lambda message: message[0]["outcome"])

    def _tell_others(self, what: dict[str, Any]) -> None:
        self.link.tell({"do": "tell", "what": what})

    def _tell_peers(self, topic: str, message: dict[str, Any]) -> None:
        """Tell the same part in the other workers (``wire/bus.py``)."""
        self._tell_others({"do": "peers", "topic": topic, "message": message})

    def drain_listeners(self) -> None:
        """Accept no more, in all workers."""
        self._tell_others({"do": "drain_listeners"})
        super().drain_listeners()

    def set_health(self, is_healthy: bool) -> None:
        """/healthcheck/fail and /healthcheck/ok, for all workers."""
        self._tell_others({"do": "health", "is_healthy": is_healthy})
        super().set_health(is_healthy)

    def quit(self) -> None:
        """Let all workers drain and end."""
        self.link.tell({"do": "quit"})

    def recycle(self, why: str) -> None:
        """Let another process take this one's place, then drain; nothing is lost. SIGTERM to a worker does this."""
        self.link.tell({"do": "recycle", "why": why})

    def _recycle(self) -> None:
        self.recycle("its memory has grown beyond overload.memory.recycle")

    def reopen(self) -> None:
        """Open log files anew, in all workers."""
        self._tell_others({"do": "reopen"})
        super().reopen()

    def finish(self) -> Deferred:
        """Traffic has ended: leave what was counted to the supervisor; the Deferred fires when it is said."""
        if self._beat.running:
            self._beat.stop()
        done = pump(self.world, _joined(shared(self.metrics)))
        done.addCallback(lambda data: self.link.tell({"do": "legacy"}, data))
        done.addCallback(lambda _: self.link.emptied())
        return done.addTimeout(FINISH_S, self.reactor).addErrback(lambda why: None)


def _processors(allowed: list[int], place: int | None) -> list[int]:
    """Return the processors that the worker at ``place`` may use: one of those allowed, or all."""
    return allowed if place is None else [allowed[place % len(allowed)]]


def _joined(pieces: Iterator[bytes]) -> Iterator[None]:
    """Return all pieces as one, with a step for each."""
    found = []
    for piece in pieces:
        found.append(piece)
        yield
    return b"".join(found)
