"""The listener filters of one listener, as a runtime has them: asked one after the other, their faults contained."""

from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred

from meshd.api.exchange import CONTINUE, MORE, STOP
from meshd.errors import PluginError
from meshd.exchange.chain import Use
from meshd.model.plugin import FAIL_OPEN


class ListenerFilters:
    """``steps`` are (on_accept, on_data, use) in the order of the configuration; ``silence_s`` how long each waits for
    the first byte (0.0: as long as the listener). ``active`` counts the connections that are being looked at.
    """

    all_sinks = ()

    def __init__(self, uses: tuple[Use, ...]) -> None:
        self.uses = uses
        self.active = 0
        self.on_idle: Callable[[], Any] | None = None
        for use in uses:
            use.record.on_change = self.bind
        self.silence_s = [float(getattr(use.object, "silence_s", 0.0)) for use in uses]
        self.bind()

    def bind(self) -> None:
        """Lay out the calls; again when a plugin is bypassed."""
        self.steps = tuple(self._step(use) for use in self.uses)

    def _step(self, use: Use) -> tuple[Any, Any, Use]:
        if use.record.is_bypassed:
            passed = CONTINUE if use.plugin.on_error == FAIL_OPEN else STOP
            return (lambda arrival: passed), (lambda arrival: passed), use
        return use.object.on_accept, getattr(use.object, "on_data", use.object.on_accept), use

    def ask(self, call: Callable[[Any], Any], use: Use, hook: str, arrival: Any) -> Any:
        """Return what a filter says of a connection."""
        try:
            verdict = call(arrival)
        except Exception as error:
            return self.failed(use, hook, error)
        if verdict in (CONTINUE, STOP, MORE) or isinstance(verdict, Deferred):
            return verdict
        text = f"{hook} returned {verdict!r}: expected CONTINUE, STOP, MORE or a Deferred"
        return self.failed(use, hook, PluginError(text))

    def failed(self, use: Use, hook: str, error: BaseException) -> Any:
        """Count a fault; return what it means for the connection."""
        use.record.fault(hook, error)
        return CONTINUE if use.plugin.on_error == FAIL_OPEN else STOP

    def leave(self) -> None:
        """A connection needs them no more."""
        self.active -= 1
        if self.on_idle is not None and not self.active:
            self.idle()

    def retire(self, on_idle: Callable[[], Any]) -> None:
        """Call ``on_idle`` once no connection is being looked at any more."""
        self.on_idle = on_idle
        if not self.active:
            self.idle()

    def idle(self) -> None:
        """The last connection has gone on."""
        on_idle, self.on_idle = self.on_idle, None
        if on_idle is not None:
            on_idle()
