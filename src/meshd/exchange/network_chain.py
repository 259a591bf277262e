"""The chain of a TCP connection: its network filters, asked when it begins and of its bytes; faults are contained."""

from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred

from meshd.api.exchange import CONTINUE, STOP
from meshd.errors import PluginError
from meshd.exchange.chain import Use, no_match
from meshd.model.plugin import FAIL_OPEN
from meshd.registry import SHIPPED_BY

COUNTERS = (
    ("total", "envoy_tcp_downstream_cx_total", "connections of TCP"),
    ("no_route", "envoy_tcp_downstream_cx_no_route", "connections for which there was no cluster"),
    ("received", "envoy_tcp_downstream_cx_rx_bytes_total", "bytes that came from clients"),
    ("sent", "envoy_tcp_downstream_cx_tx_bytes_total", "bytes that went to clients"),
    ("paused", "envoy_tcp_downstream_flow_control_paused_reading_total", "times that a client was read no more"),
    ("resumed", "envoy_tcp_downstream_flow_control_resumed_reading_total", "times that a client was read again"),
    ("idle_timeouts", "envoy_tcp_idle_timeout", "connections ended because they were idle"),
    ("duration_timeouts", "envoy_tcp_max_downstream_connection_duration", "connections ended because of their age"),
)


class TcpCells:
    """The counters of the TCP connections of one listener."""

    __slots__ = tuple(row[0] for row in COUNTERS)

    def __init__(self, metrics: Any, listener: str) -> None:
        for attribute, metric, doc in COUNTERS:
            setattr(self, attribute, metrics.counter(metric, doc, ("listener",)).cell(listener))


class NetworkChain:
    """``uses`` in the order of the configuration, the terminal one last; ``sinks`` are told of beginning and end.
    Sessions of UDP have one without ``uses`` and ``cells``.

    A connection stays with the filters that it began with, over reloads; what is shipped needs no runtime to live for
    that, so ``retire`` waits for connections only where there are filters of strangers.
    """

    match = staticmethod(no_match)

    def __init__(self, uses: tuple[Use, ...], sinks: tuple[Use, ...], cells: TcpCells | None) -> None:
        self.uses = uses
        self.all_sinks = sinks
        self.cells = cells
        self.transport: Any = None
        self.active = 0
        self.on_idle: Callable[[], Any] | None = None
        self.is_shipped = all(use.record.distribution == SHIPPED_BY for use in uses)
        for use in uses + sinks:
            use.record.on_change = self.bind
        self.bind()

    def bind(self) -> None:
        """Lay out the phases; again when a plugin is bypassed."""
        self.open_steps = tuple(self._opening(use) for use in self.uses)
        self.data_steps = self._steps(self.uses, "on_data")
        self.write_steps = self._steps(tuple(reversed(self.uses)), "on_write")
        self.begin_steps, self.progress_steps, self.complete_steps, self.datagram_steps = (
            self._steps(self.all_sinks, hook)
            for hook in ("on_connection", "on_progress", "on_complete", "on_udp_session"))

    def _opening(self, use: Use) -> tuple[Callable[[Any], Any], Use]:
        if use.record.is_bypassed:
            passed = CONTINUE if use.plugin.on_error == FAIL_OPEN else STOP
            return (lambda session: passed), use
        return getattr(use.object, "on_open", lambda session: CONTINUE), use

    def _steps(self, uses: tuple[Use, ...], hook: str) -> tuple:
        found = [(getattr(use.object, hook, None), use) for use in uses if not use.record.is_bypassed]
        return tuple((method, use) for method, use in found if method is not None)

    def ask(self, place: int, session: Any) -> Any:
        """Return what the filter at ``place`` says of a new connection: CONTINUE, STOP, or a Deferred."""
        call, use = self.open_steps[place]
        try:
            verdict = call(session)
        except Exception as error:
            return self.failed(use, "on_open", error)
        if verdict in (CONTINUE, STOP) or isinstance(verdict, Deferred):
            return verdict
        return self.failed(use, "on_open", PluginError(f"on_open returned {verdict!r}: expected CONTINUE or STOP"))

    def failed(self, use: Use, hook: str, error: BaseException) -> Any:
        """Count a fault; return what it means for the connection."""
        use.record.fault(hook, error)
        return CONTINUE if use.plugin.on_error == FAIL_OPEN else STOP

    def changer(self, steps: tuple, hook: str, session: Any) -> Callable[[bytes], bytes] | None:
        """Return a function that passes bytes through all filters that look at them, None where there is none."""
        if not steps:
            return None

        def change(data: bytes) -> bytes:
            for call, use in steps:
                try:
                    data = call(session, data)
                    if not isinstance(data, bytes):
                        raise PluginError(f"{hook} returned {type(data).__name__}: expected bytes")
                except Exception as error:
                    if self.failed(use, hook, error) is STOP:
                        session.refuse(detail=f"plugin_error{{{use.plugin.name}}}")
                        return b""
            return data

        return change

    def tell(self, steps: tuple, hook: str, session: Any) -> None:
        """Call the sinks."""
        for call, use in steps:
            try:
                call(session)
            except Exception as error:
                use.record.fault(hook, error)

    def leave(self, session: Any) -> None:
        """A connection has ended."""
        for callback in session.released:
            callback()
        session.released.clear()
        self.active -= 1
        if not self.active:
            self.idle()

    def retire(self, on_idle: Callable[[], Any]) -> None:
        """Call ``on_idle`` once no connection needs the filters any more."""
        self.on_idle = on_idle
        if self.is_shipped or not self.active:
            self.idle()

    def idle(self) -> None:
        """Nobody needs the filters any more."""
        on_idle, self.on_idle = self.on_idle, None
        if on_idle is not None:
            on_idle()
