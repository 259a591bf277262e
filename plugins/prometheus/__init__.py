"""Istio's standard metrics and a few of Envoy's, as a telemetry sink.

Strategy: one look-up leads from what can differ between two exchanges (listener, cluster, endpoint, status, flags) to
the cells that they add to; only the first of a kind pays for the labels. Labels come from bounded sets: never a path,
a Host or a client's address.
"""

from collections.abc import Callable
from typing import Any

import attrs
from zope.interface import implementer

from meshd.api import ITelemetrySink, PluginType, flag, hookimpl
from meshd_plugins.prometheus.config import Prometheus
from meshd_plugins.prometheus.family import Families
from meshd_plugins.prometheus.label import Labels

MAX_RECORDS = 20_000
FORGET_S = 900.0
"""How often the look-up is emptied, so that series which nothing adds to can expire."""


@attrs.define
class Record:
    """The cells of one kind of exchange, bound."""

    requests: Any
    duration: Callable[[float], None]
    request_bytes: Callable[[float], None]
    response_bytes: Callable[[float], None]
    downstream: Any
    upstream: Any


@implementer(ITelemetrySink)
class PrometheusSink:
    """Adds every exchange to its cells."""

    def __init__(self, config: Prometheus, site: Any) -> None:
        self._families = Families(site.metrics, config)
        self._labels = Labels(config, site.node)
        self._clock = site.clock
        self._records: dict[tuple, Record] = {}
        self._call = None

    def on_complete(self, exchange: Any) -> None:
        """Count the exchange."""
        response = exchange.response
        request = exchange.request
        grpc = grpc_status(request, response) if request is not None and request.version == 20 else None
        key = (
            exchange.listener, exchange.cluster, exchange.endpoint, 0 if response is None else response.status,
            exchange.flags, exchange.is_local_reply, grpc,
        )
        record = self._records.get(key)
        if record is None:
            record = self._bind(key)
        record.requests.value += 1
        record.duration((exchange.ended - exchange.started) * 1000.0)
        record.request_bytes(exchange.request_bytes)
        record.response_bytes(exchange.response_bytes)
        record.downstream.value += 1
        record.upstream.value += 1

    def _bind(self, key: tuple) -> Record:
        listener, cluster, endpoint, status, flags, is_local_reply, grpc = key
        families = self._families
        values = self._labels.values(cluster, endpoint, grpc is not None, flag.text(flags), status)
        counted = values + (None if self._labels.is_dropped("grpc_response_status") else grpc or "",)
        answered = None if cluster is None or is_local_reply or not status else cluster.name
        record = Record(
            families.requests.cell(*counted), families.duration.cell(*values).observe,
            families.request_bytes.cell(*values).observe, families.response_bytes.cell(*values).observe,
            families.downstream.cell(listener, f"{status // 100}xx"), families.answers(answered, f"{status // 100}xx"),
        )
        if len(self._records) >= MAX_RECORDS:
            self._records.clear()
        self._records[key] = record
        return record

    def start(self) -> None:
        """Begin to forget now and then."""
        self._call = self._clock.call_later(FORGET_S, self._forget)

    def stop(self) -> None:
        """End it."""
        if self._call is not None:
            self._call.cancel()
            self._call = None
        self._records.clear()

    def _forget(self) -> None:
        self._records.clear()
        self.start()


def grpc_status(request: Any, response: Any) -> str | None:
    """Return a gRPC exchange's status as text, "" where it is not known, None for what is not gRPC."""
    content_type = request.headers.get(b"content-type") or b""
    kind = content_type.partition(b";")[0].rstrip()
    if kind != b"application/grpc" and not kind.startswith(b"application/grpc+"):
        return None
    value = response.headers.get(b"grpc-status") if response is not None else None
    return str(int(value)) if value and value.isdigit() and len(value) < 3 else ""


@hookimpl
def meshd_plugins():
    """Offer the sink."""
    return [
        PluginType(
            kind="telemetry", name="prometheus", config=Prometheus, build=PrometheusSink,
            doc="Istio's standard metrics, and Envoy's of listeners and clusters.",
        )
    ]
