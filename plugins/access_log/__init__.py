"""The access log: a telemetry sink that writes one line for each exchange, and Envoy's operators for everybody.

``on_complete`` is one function generated from the format when the sink is built; a thread writes the file.
"""

import functools
from typing import Any

import attrs
from zope.interface import implementer

from meshd.api import ITelemetrySink, PluginType, hookimpl
from meshd_plugins.access_log.config import AccessLog
from meshd_plugins.access_log.file import LogFile
from meshd_plugins.access_log.line import json_record, text_record
from meshd_plugins.access_log.matcher import compile_match
from meshd_plugins.access_log.operator import OPERATORS, BuiltIn


@attrs.frozen
class Counts:
    """The cells of one path; ``overflow`` is the reactor's, the others the writer's: each has one thread that adds."""

    overflow: Any
    lost: Any
    written: Any
    errors: Any

    @classmethod
    def of(cls, metrics: Any, path: str) -> "Counts":
        """Bind the cells of ``path``."""
        dropped = metrics.counter(
            "meshd_access_log_dropped_total", "Lines that were not written, by why", ("path", "reason")
        )
        written = metrics.counter("meshd_access_log_lines_total", "Lines written", ("path",))
        errors = metrics.counter("meshd_access_log_errors_total", "Failed opens and writes", ("path",))
        return cls(dropped.cell(path, "overflow"), dropped.cell(path, "error"), written.cell(path), errors.cell(path))


@implementer(ITelemetrySink)
class AccessLogSink:
    """Writes the exchanges that match to ``file``."""

    def __init__(self, config: AccessLog, site: Any) -> None:
        self._config = config
        self._site = site
        path = {"-": "stdout"}.get(config.path, config.path)
        self.file = site.state(
            "worker", ("access_log", path), lambda: LogFile(path, Counts.of(site.metrics, path), site.log)
        )
        matches = compile_match(config.filter, site)
        if config.json:
            self._record = json_record(config.json, site, self.file.write, matches)
        else:
            self._record = text_record(config.format, site, self.file.write, matches)
        self.on_complete = self.on_udp_session = self._record

    def on_complete(self, exchange: Any) -> None:
        """Write the exchange's line; each object has its own function in this place."""
        self._record(exchange)

    def on_udp_session(self, session: Any) -> None:
        """Write the line of a UDP session, likewise."""
        self._record(session)

    def start(self) -> None:
        """Have the file's thread run, within this configuration's bounds."""
        buffer = self._config.buffer
        self.file.limit_bytes = buffer.limit_bytes
        self.file.flush_bytes = buffer.flush_size_bytes
        self.file.flush_s = buffer.flush_interval_s
        self.file.begin()
        self._site.on_reopen(self.file.reopen)

    def stop(self) -> Any:
        """Write what waits, if no other sink uses the file; return a Deferred where that takes longer than a moment."""
        return None if self.file.end() else self._site.in_thread(self.file.join)


def _operator_types() -> list[PluginType]:
    return [
        PluginType(kind="access_log_operator", name=name, build=functools.partial(_built_in, name), doc=operator.doc)
        for name, operator in OPERATORS.items()
    ]


def _built_in(name: str, config: Any, site: Any) -> BuiltIn:
    return BuiltIn(name, site)


@hookimpl
def meshd_plugins():
    """Offer the sink and the operators."""
    sink = PluginType(
        kind="telemetry", name="access_log", config=AccessLog, build=AccessLogSink,
        doc="One line for each exchange, as text or JSON, to a file or a stream.",
    )
    return [sink, *_operator_types()]
