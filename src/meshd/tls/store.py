"""Looks after the files of all live TLS of a process: what has changed is read again, with no connection touched.

Strategy: files are looked at (``stat``) every ``Secrets.poll``, some in a turn of the reactor. A watch by the kernel
would not see what is mounted or linked in, and a look costs two microseconds. What has changed is read in steps, for
about ``SLICE_S`` in a turn.
"""

import time
import weakref
from collections.abc import Generator
from typing import Any

from meshd.tls.live import finish

SLICE = 32
"""Owners of files looked after in one turn of the reactor."""
SLICE_S = 0.002
"""How long what has changed is read in one turn."""
MANY = 64
"""Files of an owner that somebody's question does not wait for: those of some two dozen certificates are read at once.
"""
EXPIRY = "meshd_cert_expiry_timestamp_seconds"
LIST_EXPIRY = "meshd_crl_expiry_timestamp_seconds"


class SecretStore:
    """``world.secrets`` of a daemon: what it looks after are ``meshd.tls.live.Live``.

    ``poll_s`` is the configuration's, set at each change of it.
    """

    def __init__(self, world: Any, poll_s: float = 1.0) -> None:
        self.world = world
        self.poll_s = poll_s
        self.owners: dict[str, weakref.WeakSet[Any]] = {}
        self._call: Any = None
        self._coming: list[tuple[Any, bool]] = []
        self._steps: tuple[Any, Generator] | None = None
        metrics = world.metrics
        self._updates = metrics.counter(
            "meshd_secret_updates_total", "times that changed files of TLS were put in force").cell()
        self._errors = metrics.counter(
            "meshd_secret_errors_total", "times that changed files of TLS could not be used").cell()
        self._expiry = metrics.gauge(
            EXPIRY, "when a certificate in use expires, the first of its file, epoch seconds",
            ("kind", "name", "spiffe_id"), "host")
        self._list_expiry = metrics.gauge(
            LIST_EXPIRY, "when a revocation list in use expires, the first of its file, epoch seconds", ("name",),
            "host")

    def add(self, owner: Any) -> None:
        """Look after ``owner`` as long as it lives and no newer one has its place (``where``).

        What has been replaced serves nobody new.
        """
        there = self.owners.setdefault(owner.where, weakref.WeakSet())
        owner.number = max((one.number for one in there), default=0) + 1
        there.add(owner)
        self._tell(owner)

    def in_force(self) -> list[Any]:
        """Return the newest owner of each place, by place; places that nobody has are forgotten."""
        found = []
        for where in sorted(self.owners):
            there = list(self.owners[where])
            if there:
                found.append(max(there, key=lambda one: one.number))
            else:
                del self.owners[where]
        return found

    def start(self) -> None:
        """Look from now on."""
        if self._call is None:
            self._call = self.world.call_later(self.poll_s, self._look)

    def stop(self) -> None:
        """Look no more."""
        call, self._call, self._steps = self._call, None, None
        if call is not None and call.active():
            call.cancel()

    def look(self) -> None:
        """Look now, at all, because somebody has asked for it: what is gone on purpose may go.

        Who has many files is looked at from the next turn on; a reload makes those of listeners anew by itself. What is
        being read comes first, lest it take the place of what is newer.
        """
        if self._steps is not None and len(self._steps[0].paths()) <= MANY:
            begun, self._steps = self._steps[1], None
            finish(begun)
        for owner in self.in_force():
            if self._call is None or len(owner.paths()) <= MANY:
                finish(self._refresh(owner, True))
            else:
                self._coming.append((owner, True))
                self._call.reset(0)

    def _look(self) -> None:
        """Look at some; after the last of them, rest."""
        if not (self._coming or self._steps):
            self._coming = [(owner, False) for owner in self.in_force()]
        try:
            self._work()
        finally:  # whatever one of them has raised, the others are looked after
            rests = not (self._coming or self._steps)
            self._call = self.world.call_later(self.poll_s if rests else 0, self._look)

    def _work(self) -> None:
        """Do a slice of what is to be done."""
        until = time.perf_counter() + SLICE_S
        for _ in range(SLICE):
            begun, self._steps = self._steps, None
            if begun is None:
                if not self._coming:
                    return
                owner, is_asked = self._coming.pop()
                begun = owner, self._refresh(owner, is_asked)
            for _ in begun[1]:
                if time.perf_counter() >= until:
                    self._steps = begun
                    return
            if time.perf_counter() >= until:
                return

    def _refresh(self, owner: Any, is_asked: bool) -> Generator[None, None, None]:
        before = owner.trouble
        done = yield from owner.refreshing(is_asked)
        if done:
            self._updates.value += 1
            self._tell(owner)
        elif owner.trouble and owner.trouble != before:
            self._errors.value += 1

    def _tell(self, owner: Any) -> None:
        first: dict[tuple[str, str, str], float] = {}
        for kind, path, one in owner.loaded:
            key = kind, path, one.spiffe_id
            first[key] = min(one.not_after_s, first.get(key, one.not_after_s))
        lists: dict[tuple[str], float] = {}
        for path, _, next_s in owner.revoked:
            if next_s:
                lists[path,] = min(next_s, lists.get((path,), next_s))
        owner.expiries = []
        for family, rows in ((self._expiry, first), (self._list_expiry, lists)):
            for key, end_s in rows.items():
                cell = family.cell(*key)
                cell.value = end_s
                owner.expiries.append(cell)

    def rows(self) -> list[dict[str, Any]]:
        """Return what pages say, by owner."""
        return [owner.facts() for owner in self.in_force()]
