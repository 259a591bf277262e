"""The chain: walks the filters of a listener for each exchange, and contains their faults.

Strategy: at build time the chain becomes one tuple of (bound method, use) per phase, so a filter without
``on_response`` costs nothing on the way back. The synchronous walk makes no Deferred; a filter that waits
suspends the walk and the rest is taken up from its index. One exchange in ``sample_every`` is timed.
"""

import inspect
import time
from collections.abc import Callable
from typing import Any

import attrs
from twisted.internet.defer import Deferred

from meshd.api.exchange import CONTINUE, STOP
from meshd.errors import PluginError
from meshd.model.plugin import FAIL_OPEN


@attrs.define(eq=False)
class Use:
    """One plugin object in a chain. ``record`` counts its faults and times; ``overrides`` maps a route to the object
    that replaces ``object`` there, or to None where it is disabled. ``share`` is None for one that all requests meet.
    """

    plugin: Any
    object: Any
    record: Any
    overrides: dict[Any, Any] = attrs.field(factory=dict)
    share: Any = None

    def method(self, phase: str) -> Callable[[Any], Any] | None:
        """Return what is called for ``phase``, or None where there is nothing to call."""
        plain = getattr(self.object, phase, None)
        if not self.overrides:
            return plain
        table = {route: getattr(target, phase, None) for route, target in self.overrides.items()}
        if plain is None and not any(table.values()):
            return None

        passed = CONTINUE if phase == "on_request" else None

        def by_route(exchange: Any) -> Any:
            call = table.get(exchange.route, plain)
            return passed if call is None else call(exchange)

        return by_route


class Chain:
    """``uses`` in the order of the configuration, the terminal filter last; ``sinks`` are told once of each end.

    ``transport`` is the byte layer below its protocol (``downstream/live_chain.py``), None for plain text.
    """

    def __init__(self, uses: tuple[Use, ...], sinks: tuple[Use, ...], *, sample_every: int = 0) -> None:
        self.uses = uses
        self.all_sinks = sinks
        self.sample_every = self.countdown = sample_every
        self.active = 0
        self.on_idle: Callable[[], Any] | None = None
        self.transport: Any = None
        self.match = getattr(uses[-1].object, "match", no_match)
        for use in uses + sinks:
            use.record.on_change = self.bind
        self.bind()

    def bind(self) -> None:
        """Lay out the phases; again when a plugin is bypassed."""
        self.request_steps = self.steps(self.uses, "on_request")
        self.response_steps = self.steps(tuple(reversed(self.uses)), "on_response")
        self.complete_steps = self.steps(self.uses, "on_complete") + self.steps(self.all_sinks, "on_complete")
        shares = {use.share: use for use in self.uses if use.share is not None}
        self.complete_steps += tuple((share.complete, use) for share, use in shares.items())
        self.sink_steps = self.steps(self.all_sinks, "on_complete")

    def steps(self, uses: tuple[Use, ...], phase: str) -> tuple[tuple[Callable[[Any], Any], Use], ...]:
        """Return the (method, use) pairs of one phase."""
        found = []
        for use in uses:
            method = use.method(phase)
            if use.record.is_bypassed:
                method = None if use.plugin.on_error == FAIL_OPEN else refusal(use, phase)
            if method is not None and use.share is not None:
                method = use.share.gate(method, use, phase)
            if method is not None:
                found.append((method, use))
        return tuple(found)

    def request(self, exchange: Any) -> None:
        """Walk the filters with a new request, which the connection has counted in ``active``."""
        if self.sample_every:
            self.countdown -= 1
            if self.countdown <= 0:
                self.countdown = self.sample_every
                exchange.is_sampled = True
                self.walk_timed(exchange)
                return
        self.walk(exchange, self.request_steps, 0)

    def walk(self, exchange: Any, steps: tuple, index: int) -> None:
        """Call the filters from ``index`` on until one stops or waits. The steps are those that the exchange began
        with: a plugin that is bypassed meanwhile must not let it skip another.
        """
        while index < len(steps):
            call, use = steps[index]
            try:
                verdict = call(exchange)
            except Exception as error:
                if not self.contain(exchange, use, "on_request", error):
                    return
                verdict = CONTINUE
            index += 1
            if verdict is not CONTINUE and not self.heed(exchange, use, verdict, steps, index):
                return

    def walk_timed(self, exchange: Any) -> None:
        """The same from the start, with one clock reading at each boundary."""
        steps = self.request_steps
        index = 0
        begin = time.perf_counter()
        for call, use in steps:
            try:
                verdict = call(exchange)
            except Exception as error:
                if not self.contain(exchange, use, "on_request", error):
                    return
                verdict = CONTINUE
            end = time.perf_counter()
            if use.share is None or use.share.chosen(exchange) is use:
                use.record.observe("on_request", end - begin)
                exchange.spent(use.plugin.name, end - begin)
            begin = end
            index += 1
            if verdict is not CONTINUE and not self.heed(exchange, use, verdict, steps, index):
                return

    def heed(self, exchange: Any, use: Use, verdict: Any, steps: tuple, index: int) -> bool:
        """Say whether the walk goes on at once after a verdict other than CONTINUE."""
        if verdict is STOP:
            return False
        if inspect.iscoroutine(verdict):
            verdict = Deferred.fromCoroutine(verdict)
        if isinstance(verdict, Deferred):
            self.wait(exchange, use, verdict, steps, index)
            return False
        what = "expected CONTINUE, STOP, a Deferred or a coroutine"
        error = PluginError(f"{use.plugin.name}: on_request returned {verdict!r}: {what}")
        return self.contain(exchange, use, "on_request", error)

    def wait(self, exchange: Any, use: Use, deferred: Deferred, steps: tuple, index: int) -> None:
        """Take the walk up again when ``deferred`` fires, if the exchange still lives then."""
        exchange.waiting = deferred

        def done(verdict: Any) -> None:
            exchange.waiting = None
            if exchange.is_ended or exchange.response is not None:
                return
            if verdict is CONTINUE or self.heed(exchange, use, verdict, steps, index):
                self.walk(exchange, steps, index)
            exchange.flush()

        def failed(failure: Any) -> None:
            exchange.waiting = None
            if not exchange.is_ended and self.contain(exchange, use, "on_request", failure.value):
                self.walk(exchange, steps, index)

        deferred.addCallbacks(done, failed)
        deferred.addErrback(lambda failure: use.record.fault("on_request", failure.value))

    def contain(self, exchange: Any, use: Use, phase: str, error: BaseException) -> bool:
        """Count a plugin's fault; say whether the exchange goes on (fail-open) or has been answered (fail-closed)."""
        use.record.fault(phase, error)
        if use.plugin.on_error == FAIL_OPEN and exchange.plan is None and not exchange.is_ended:
            return True
        exchange.reply(500, b"a plugin failed\n", detail=f"plugin_error{{{use.plugin.name}}}")
        return False

    def response(self, exchange: Any) -> None:
        """Walk the filters back with a response's head; where one waits, ``exchange.held`` is set afterwards."""
        self.walk_back(exchange, self.response_steps, 0)

    def walk_back(self, exchange: Any, steps: tuple, index: int) -> bool:
        """Call the filters from ``index`` on until one waits or refuses; say whether the head may go."""
        while index < len(steps):
            call, use = steps[index]
            index += 1
            try:
                answer = call(exchange)
            except Exception as error:
                if not self.contain_back(exchange, use, error):
                    return False
                continue
            if answer is not None and not self.heed_back(exchange, use, answer, steps, index):
                return False
        return True

    def contain_back(self, exchange: Any, use: Use, error: BaseException) -> bool:
        """Count a fault on the way back; say whether the answer goes on (fail-open) or was replaced."""
        use.record.fault("on_response", error)
        if use.plugin.on_error == FAIL_OPEN:
            return True
        exchange.refuse_response(use.plugin.name)
        return False

    def heed_back(self, exchange: Any, use: Use, answer: Any, steps: tuple, index: int) -> bool:
        """Say whether the walk back goes on at once; it does not after a Deferred or coroutine that is not done.

        What else ``on_response`` returns has no meaning.
        """
        if inspect.iscoroutine(answer):
            answer = Deferred.fromCoroutine(answer)
        if not isinstance(answer, Deferred):
            return True
        if answer.called and not answer.paused:
            caught: list[Any] = []
            answer.addErrback(caught.append)
            return not caught or self.contain_back(exchange, use, caught[0].value)
        self.wait_back(exchange, use, answer, steps, index)
        return False

    def wait_back(self, exchange: Any, use: Use, deferred: Deferred, steps: tuple, index: int) -> None:
        """Take the walk back up again when ``deferred`` fires, if the exchange still lives then."""
        exchange.hold_answer(deferred)

        def done(result: Any) -> None:
            if exchange.is_ended or exchange.held is None:
                return
            exchange.held.waiting = None
            if self.walk_back(exchange, steps, index):
                exchange.release_answer()

        def failed(failure: Any) -> None:
            if exchange.is_ended or exchange.held is None:
                return
            exchange.held.waiting = None
            if self.contain_back(exchange, use, failure.value) and self.walk_back(exchange, steps, index):
                exchange.release_answer()

        deferred.addCallbacks(done, failed)
        deferred.addErrback(lambda failure: use.record.fault("on_response", failure.value))

    def transform_fault(self, exchange: Any, error: BaseException) -> None:
        """A body transform raised: what has passed cannot be mended, so the request is refused or its answer cut."""
        use = self.blame(error)
        if use is None:
            exchange.downstream.world.log.failure("bug: unexpected error in a body transform")
        else:
            use.record.fault("transform", error)
        name = "transform" if use is None else use.plugin.name
        exchange.reply(500, b"a plugin failed\n", detail=f"plugin_error{{{name}}}")

    def blame(self, error: BaseException) -> Use | None:
        """Return the plugin whose module the error came through last, or None."""
        homes = {home_of(type(use.object).__module__): use for use in self.uses}
        found, trace = None, error.__traceback__
        while trace is not None:
            found = homes.get(home_of(trace.tb_frame.f_globals.get("__name__", "")), found)
            trace = trace.tb_next
        return found

    def complete(self, exchange: Any) -> None:
        """Tell everybody, once, that the exchange has ended."""
        for call, use in self.complete_steps:
            try:
                call(exchange)
            except Exception as error:
                use.record.fault("on_complete", error)
        self.active -= 1
        if self.on_idle is not None and not self.active:
            self.idle()

    def refused(self, exchange: Any) -> None:
        """Tell the sinks of a request that never reached the filters (it broke HTTP)."""
        for call, use in self.sink_steps:
            try:
                call(exchange)
            except Exception as error:
                use.record.fault("on_complete", error)

    def retire(self, on_idle: Callable[[], Any]) -> None:
        """Call ``on_idle`` once no exchange is in flight any more."""
        self.on_idle = on_idle
        if not self.active:
            self.idle()

    def idle(self) -> None:
        """The last exchange has ended."""
        callback, self.on_idle = self.on_idle, None
        if callback is not None:
            callback()


def refusal(use: Use, phase: str) -> Callable[[Any], Any] | None:
    """Return what stands for a bypassed fail-closed plugin."""
    if phase != "on_request":
        return None

    def refuse(exchange: Any) -> Any:
        exchange.reply(503, b"a plugin is out of order\n", detail=f"plugin_bypassed{{{use.plugin.name}}}")
        return STOP

    return refuse


def home_of(module: str) -> str:
    """Return what a plugin's modules have in common: the package, or of the shipped ones the module."""
    package = module.rpartition(".")[0]
    return package if package not in ("", "meshd_plugins") else module


def no_match(exchange: Any) -> None:
    """A terminal filter without routes."""
