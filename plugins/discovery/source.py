"""The rules that every discovery keeps to; a plugin builds a ``Discovery`` over its own ``ISource``.

A source only looks: ``look()`` gives all that is there now, however it is asked (a file, a query, a query that waits
for a change). ``Discovery`` does the rest: it looks again when it is time, with full jitter after failures; keeps the
last good endpoints while the source fails; holds an empty answer back; puts changes that come close together into one
report; bounds what is taken; and tells how it goes (``fact``, metrics). Nothing here waits or takes long: large
answers are worked through in slices.
"""

from collections.abc import Callable, Iterator
from typing import Any

import attrs
from twisted.internet.defer import Deferred, maybeDeferred
from twisted.python.failure import Failure
from zope.interface import Attribute, Interface, implementer

from meshd.api import EndpointSpec, IDiscovery

from meshd_plugins.discovery.known import LABELS, Known
from meshd_plugins.discovery.relabel import compile_rules
from meshd_plugins.discovery.target import endpoint

ENDPOINT_LIMIT = 100_000
"""Endpoints of one cluster; what is beyond is a fault of the source, and nothing of that answer is taken."""
DEBOUNCE_MAX_S = 1.0
"""A change is applied after so long even where more changes come."""
LOOK_GAP_S = 0.1
"""From the begin of one look to the next, at least: a source that answers at once and wants to be asked at once."""
SLICE_S = 0.002
SLICE = 32
"""Targets between two looks at the clock."""
LARGE = 256
"""The work on an answer with more targets begins in another turn."""
ERROR_LENGTH = 500


def retry_bound_s(failures: int, base_s: float, max_s: float) -> float:
    """Return the longest wait, in seconds, after ``failures`` in a row. docs/formulas.md has the rule."""
    return min(max_s, base_s * 2.0 ** min(failures - 1, 30))


class SourceError(Exception):
    """A source could not be asked, or said what cannot be used. The text says what, for the log and for people."""


@attrs.frozen(kw_only=True)
class Answer:
    """``targets`` are all that there are: dicts of labels (``target.LABELS``), which the receiver does not change.

    ``next_s`` is when to look again; None: not before the source wakes its discovery. ``faults`` are texts on parts
    that could not be read and for which the targets are the last good ones. ``is_anew``: the source has begun anew, as
    after a restart, and what is missing may come yet.
    """

    targets: list[dict[str, str]]
    next_s: float | None = None
    faults: tuple[str, ...] = ()
    is_anew: bool = False


class ISource(Interface):
    """What a plugin writes. ``start(wake)`` and ``stop()`` are optional; ``wake()`` asks for a look now."""

    name = Attribute("str: what it is and where, for people: 'dns users.internal:8080'")
    is_whole = Attribute("bool, optional: its answers are never half of what there is (DNS, files)")

    def look():
        """Return an Answer or a Deferred of one, which may take as long as it wants and is cancelled at the end.

        Raises or fails with SourceError, OSError or ValueError where nothing could be learnt.
        """


@attrs.frozen
class Row:
    """One target: its ``labels`` as found, and the ``endpoint``, or ``cause`` why there is none."""

    labels: dict[str, str]
    endpoint: EndpointSpec | None
    cause: str = ""


@implementer(IDiscovery)
class Discovery:
    """Watches ``source`` (ISource) for one cluster. ``kind`` is the type's name; ``options`` are SourceOptions.

    ``key`` (hashable) is what gives the last good endpoints their meaning: other values, and nothing is taken over from
    the runtime before. Equal options are the default.
    """

    def __init__(self, kind: str, source: Any, options: Any, site: Any, *, key: Any = None) -> None:
        self.source = source
        self._kind = kind
        self._is_whole = getattr(source, "is_whole", False)
        self._options = options
        self._clock = site.clock
        self._log = site.log
        self._random = site.random
        self._relabel = compile_rules(options.relabel_configs)
        self.known: Known = site.state(
            "worker", ("discovery", kind, site.name, options if key is None else key), lambda: Known(site.clock.now))
        self.known.publish(site.metrics, site.name, kind)
        names = (site.name, kind)
        metrics = site.metrics
        self._failures = metrics.counter(
            "meshd_discovery_failures_total", "looks at a source that failed, also in part", LABELS).cell(*names)
        self._updates = metrics.counter(
            "meshd_discovery_updates_total", "changes of endpoints that were applied", LABELS).cell(*names)
        self._held = metrics.counter(
            "meshd_discovery_held_total", "empty answers after full ones that were held back", LABELS).cell(*names)
        self._report: Callable[[tuple[EndpointSpec, ...]], Any] | None = None
        self._reported: dict[str, EndpointSpec] | None = None
        self._pending: dict[str, EndpointSpec] | None = None
        self._changed_at = 0.0
        self._timers: dict[str, Any] = {}
        self._looking: Deferred | None = None
        self._is_working = False
        self._is_woken = False
        self._looked_at = -LOOK_GAP_S
        self._attempts = 0
        self._first: Deferred | None = None

    def watch(self, report: Callable[[tuple[EndpointSpec, ...]], Any]) -> Deferred | None:
        """Report the last good endpoints where there are any, look, and report each change.

        Returns a Deferred that fires with the first outcome, or after ``initial_fetch_timeout``; None where there is
        nothing to wait for.
        """
        self._report = report
        if self.known.specs is not None:
            self._send(self.known.specs)
        start = getattr(self.source, "start", None)
        if start is not None:
            start(self.wake)
        if self.known.empty_since is not None:
            self._later("hold", self._hold_left(), self._release)
        self._look()
        if self._reported is not None or self._attempts or not self._options.initial_fetch_timeout_s:
            return None
        self._first = Deferred(lambda _: self._settle(is_cancelled=True))
        self._later("first", self._options.initial_fetch_timeout_s, self._settle)
        return self._first

    def stop(self) -> None:
        """Look no more; nothing is reported from here on."""
        self._report = None
        for name in list(self._timers):
            self._cancel(name)
        looking, self._looking = self._looking, None
        if looking is not None:
            looking.cancel()
        stop = getattr(self.source, "stop", None)
        if stop is not None:
            stop()
        self._settle()

    def find(self) -> Deferred:
        """Return a Deferred of (list of Row, faults): what one look finds, without any effect (``meshctl discovery``).
        """
        return maybeDeferred(self.source.look).addCallback(self._rows)

    def _rows(self, answer: Answer) -> Deferred:
        """Return a Deferred of (rows, faults) of an answer, worked out in slices."""
        done: Deferred = Deferred()
        rows: list[Row] = []

        def work(left: Iterator[dict[str, str]]) -> None:
            until = self._clock.now() + SLICE_S
            for labels in left:
                rows.append(self._row(labels))
                if self._clock.now() > until:
                    self._clock.call_later(0.0, work, left)
                    return
            done.callback((rows, (*answer.faults, *(row.cause for row in rows if row.cause))))

        work(iter(answer.targets))
        return done

    def fact(self) -> dict[str, Any]:
        """Return how it goes, for the admin API: text and numbers, times in seconds."""
        known = self.known
        return {
            "type": self._kind, "source": self.source.name, "state": known.state, "age_s": known.age_s(),
            "endpoints": known.count(), "updates": self._updates.value, "failures": self._failures.value,
            "held": self._held.value,
            "last_look": {"time": known.looked_wall, "error": known.error, "found": known.found,
                          "dropped": known.dropped},
        }

    def endpoints(self) -> tuple[EndpointSpec, ...]:
        """Return the last good endpoints."""
        return tuple((self.known.specs or {}).values())

    def wake(self) -> None:
        """Look now: the source knows that something has changed."""
        if self._report is None:
            return
        if self._looking is not None or self._is_working:
            self._is_woken = True
        else:
            self._plan(0.0)

    def _plan(self, seconds: float) -> None:
        """Look in so many seconds, in the place of what was planned."""
        left = self._looked_at + LOOK_GAP_S - self._clock.now()
        self._later("look", max(seconds, left, 0.0), self._look)

    def _look(self) -> None:
        self._cancel("look")
        self._looked_at = self._clock.now()
        self._looking = looking = maybeDeferred(self.source.look)
        looking.addCallbacks(self._answered, self._failed)
        looking.addErrback(self._failed)

    def _answered(self, answer: Answer) -> None:
        self._looking = None
        if self._report is None:
            return
        if len(answer.targets) > ENDPOINT_LIMIT:
            raise SourceError(f"{len(answer.targets)} endpoints: expected at most {ENDPOINT_LIMIT}")
        is_doubtful, self._attempts = answer.is_anew or self._attempts > 0, 0
        self._is_working = True
        work = self._take(answer, is_doubtful)
        if len(answer.targets) > LARGE:
            self._later("work", 0.0, self._work, work)  # to read it took its time already
        else:
            self._work(work)

    def _work(self, work: Iterator[None]) -> None:
        """Do a slice of work, and the rest in later turns of the reactor."""
        self._cancel("work")
        until = self._clock.now() + SLICE_S
        try:
            for _ in work:
                if self._clock.now() > until:
                    self._later("work", 0.0, self._work, work)
                    return
        except Exception:
            self._is_working = False
            self._failed(Failure())

    def _take(self, answer: Answer, is_doubtful: bool) -> Iterator[None]:
        """Make endpoints of the targets of an answer; those that are equal to known ones are these."""
        known, specs, faults, dropped = self.known.specs or {}, {}, list(answer.faults), 0
        for number, labels in enumerate(answer.targets):
            row = self._row(labels)
            if row.cause:
                faults.append(row.cause)
            if row.endpoint is None:
                dropped += 1
            else:
                before = known.get(row.endpoint.address)
                specs.setdefault(row.endpoint.address, before if before == row.endpoint else row.endpoint)
            if number % SLICE == SLICE - 1:
                yield
        self._is_working = False
        self.known.found, self.known.dropped = len(answer.targets), dropped
        self._outcome(faults)
        if specs or not faults:  # nothing but faults is no empty answer
            self._decide(specs, is_doubtful)
        is_woken, self._is_woken = self._is_woken, False
        if is_woken or answer.next_s is not None:
            self._plan(0.0 if is_woken else answer.next_s)
        self._settle()

    def _row(self, labels: dict[str, str]) -> Row:
        try:
            wanted = self._relabel(dict(labels)) if self._options.relabel_configs else labels
            return Row(labels, None if wanted is None else endpoint(wanted, self.source.name))
        except ValueError as error:
            return Row(labels, None, str(error))

    def _failed(self, why: Failure) -> None:
        self._looking = None
        if self._report is None:
            return
        if not why.check(SourceError, OSError, ValueError):
            self._log.failure("{source}: unexpected failure", failure=why, source=self.source.name)
        self._attempts += 1
        self._outcome([" ".join(str(why.value).split()) or why.type.__name__])
        self._unhold()  # what it would say now is not known: what it said before an empty answer is kept
        self._cancel("grace")
        self._is_woken = False
        bound = retry_bound_s(self._attempts, self._options.retry_base_s, self._options.retry_max_s)
        self._plan(self._random.uniform(0.0, bound))
        self._settle()

    def _outcome(self, faults: list[str]) -> None:
        """Note how a look went; what is wrong is said once until it changes."""
        error = "; ".join(faults[:3])[:ERROR_LENGTH] + (f"; and {len(faults) - 3} more" if len(faults) > 3 else "")
        self.known.looked_wall = self._clock.wall()
        if not faults:
            self.known.good_at = self._clock.now()
            if self.known.error:
                self._log.info("{source}: it answers again", source=self.source.name)
        else:
            self._failures.inc()
            if error != self.known.error:
                self._log.warn("{source}: endpoints not taken: {cause}", source=self.source.name, cause=error)
        self.known.error = error

    def _decide(self, specs: dict[str, EndpointSpec], is_doubtful: bool = False) -> None:
        """Apply, debounce or hold back what was found."""
        if specs or not self.known.specs or not self._options.empty_hold_s:
            self._unhold()
            self._change({**specs, **self._kept(specs, is_doubtful)})
        elif self.known.empty_since is None:
            self.known.empty_since = self._clock.now()
            self._held.inc()
            self._drop_change()
            self._cancel("grace")
            self._later("hold", self._options.empty_hold_s, self._release)
            self._log.warn("{source}: no endpoint is left: the last {count} are kept for {hold} s",
                           source=self.source.name, count=self.known.count(), hold=self._options.empty_hold_s)

    def _kept(self, specs: dict[str, EndpointSpec], is_doubtful: bool) -> dict[str, EndpointSpec]:
        """Return what stays although it is missing, and decide again when the first of it has stayed long enough."""
        grace, now, hold_s = self.known.grace, self._clock.now(), self._options.empty_hold_s
        had_any = bool(grace.until)
        may_lack = bool(specs) and hold_s and not self._is_whole
        kept = grace.keep(self.known.specs or {}, specs, now, hold_s, is_doubtful) if may_lack else {}
        self._cancel("grace")
        if kept:
            self._later("grace", grace.next_s(now), self._let_go, specs)
            if not had_any:
                self._held.inc()
                self._log.warn("{source}: {count} endpoints are missing: they are kept for {hold} s",
                               source=self.source.name, count=len(kept), hold=hold_s)
        return kept

    def _let_go(self, specs: dict[str, EndpointSpec]) -> None:
        """Some endpoints have been missing for long enough."""
        self._apply({**specs, **self._kept(specs, False)})

    def _hold_left(self) -> float:
        return max(0.0, self.known.empty_since + self._options.empty_hold_s - self._clock.now())

    def _unhold(self) -> None:
        self.known.empty_since = None
        self._cancel("hold")

    def _release(self) -> None:
        """An empty answer has stood long enough."""
        self._unhold()
        self.known.grace.until = {}
        self._apply({})

    def _change(self, specs: dict[str, EndpointSpec]) -> None:
        if self._reported is None:
            self._apply(specs)
        elif specs == self._reported:
            self._drop_change()
        elif specs != self._pending:
            now = self._clock.now()
            if self._pending is None:
                self._changed_at = now
            self._pending = specs
            left = self._changed_at + DEBOUNCE_MAX_S - now
            self._later("change", max(0.0, min(self._options.debounce_s, left)), self._flush)

    def _drop_change(self) -> None:
        self._pending = None
        self._cancel("change")

    def _flush(self) -> None:
        self._apply(self._pending)

    def _apply(self, specs: dict[str, EndpointSpec]) -> None:
        self._drop_change()
        if specs != self.known.specs:
            self._updates.inc()
        self.known.specs = specs
        self._send(specs)

    def _send(self, specs: dict[str, EndpointSpec]) -> None:
        self._reported = specs
        self._report(tuple(specs.values()))

    def _settle(self, is_cancelled: bool = False) -> None:
        """The first outcome is known, or not waited for any more."""
        self._cancel("first")
        first, self._first = self._first, None
        if first is not None and not is_cancelled:
            first.callback(None)

    def _later(self, name: str, seconds: float, function: Callable[..., Any], *args: Any) -> None:
        self._cancel(name)
        if self._report is not None:  # not after the end, which may come while the first outcome is told
            self._timers[name] = self._clock.call_later(seconds, function, *args)

    def _cancel(self, name: str) -> None:
        timer = self._timers.pop(name, None)
        if timer is not None and timer.active():
            timer.cancel()
