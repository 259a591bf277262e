"""The prometheus sink: adds each exchange to the cells of its kind. The chain calls ``on_complete`` at its end.

Strategy: one look-up leads from what can differ between two exchanges (listener, endpoint, status, flags) to the cells
that they add to; only the first of a kind pays for the labels. ``sink.pxd`` types what every exchange passes.
"""

from typing import Any

from zope.interface import classImplements

from meshd.api import ITelemetrySink, flag, grpc
from meshd_plugins.prometheus.config import Prometheus
from meshd_plugins.prometheus.family import Families
from meshd_plugins.prometheus.label import Labels

MAX_RECORDS = 20_000
MESSAGES_NOTE = "envoy.filters.http.grpc_stats"
"""Where the filter ``grpc_stats`` has put the counts of a call's messages."""
MESSAGE_COUNTS = ("request_message_count", "response_message_count")
FORGET_S = 60.0
"""How often the look-up is emptied, so that series which nothing adds to can expire, and endpoints that have gone."""


class Record:
    """The cells of one kind of exchange; ``messages`` are those of calls, or None."""

    __slots__ = ("requests", "duration", "request_bytes", "response_bytes", "downstream", "upstream", "messages")

    def __init__(self, requests: Any, duration: Any, request_bytes: Any, response_bytes: Any, downstream: Any,
                 upstream: Any, messages: Any) -> None:
        self.requests = requests
        self.duration = duration
        self.request_bytes = request_bytes
        self.response_bytes = response_bytes
        self.downstream = downstream
        self.upstream = upstream
        self.messages = messages


class PrometheusSink:
    """Adds every exchange to its cells."""

    def __init__(self, config: Prometheus, site: Any) -> None:
        self._families = Families(site.metrics, config)
        self._labels = Labels(config, site.node)
        self._clock = site.clock
        self._records: dict[tuple, Record] = {}
        self._call = None

    def on_complete(self, exchange: Any) -> None:
        """Count the exchange. An endpoint belongs to one cluster, so its key need not name that too."""
        request = exchange.request
        if request is not None and not request.version:
            self._on_other(exchange)
            return
        response = exchange.response
        callee = exchange.endpoint
        if callee is None:
            callee = exchange.cluster
        status = 0 if response is None else response.status
        key = (callee, status, exchange.flags, exchange.listener, exchange.is_local_reply)
        if request is not None and grpc.is_grpc(request.headers):
            key += (grpc.status_of(response, exchange.trailers),)
        record = self._records.get(key)
        if record is None:
            record = self._bind(key, exchange, status, "grpc" if len(key) > 5 else "http")
        if len(key) > 5 and record.messages is not None:
            self._count_messages(exchange, record.messages)
        self._add(record, exchange)

    def _add(self, record: Record, exchange: Any) -> None:
        """Add an exchange to the cells of its kind."""
        record.requests.value += 1
        record.downstream.value += 1
        record.upstream.value += 1
        record.duration.observe((exchange.ended - exchange.started) * 1000.0)
        record.request_bytes.observe(exchange.request_bytes)
        record.response_bytes.observe(exchange.response_bytes)

    def _on_other(self, exchange: Any) -> None:
        """Count what is not of HTTP: a connection of TCP, or a request of the protocol that it names."""
        protocol = getattr(exchange, "protocol", "")
        if not protocol:
            self.on_end(exchange)
            return
        status = exchange.response.status if exchange.response is not None else 0
        key = (exchange.endpoint or exchange.cluster, status, exchange.flags, exchange.listener, protocol)
        record = self._records.get(key)
        if record is None:
            record = self._bind(key, exchange, status, protocol)
        self._add(record, exchange)

    def _count_messages(self, exchange: Any, cells: tuple) -> None:
        """Count the messages of a call, where the filter ``grpc_stats`` has."""
        counts = exchange.metadata.get(MESSAGES_NOTE)
        if counts is not None:
            for cell, name in zip(cells, MESSAGE_COUNTS):
                cell.inc(counts.get(name, 0))

    # Connections of TCP

    def on_connection(self, session: Any) -> None:
        """Count a connection that has begun."""
        self._tcp(session)[0].inc()

    def on_progress(self, session: Any) -> None:
        """Count the bytes that are new."""
        _, _, received, sent = self._tcp(session)
        received.inc(session.fresh_received)
        sent.inc(session.fresh_sent)

    def on_end(self, session: Any) -> None:
        """Count a connection that has ended, and its last bytes; Istio counts one that never had an upstream too."""
        if session.upstream_local == "":
            self.on_connection(session)
        self._tcp(session)[1].inc()
        self.on_progress(session)

    def _tcp(self, session: Any) -> tuple:
        """Return the cells of a connection: opened, closed, received bytes, sent bytes."""
        key = (session.endpoint or session.cluster, session.flags, session.listener)
        cells = self._records.get(key)
        if cells is None:
            families = self._families
            values = self._labels.values(
                session.cluster, session.endpoint, "tcp", flag.text(session.flags), 0)[:-1]
            cells = tuple(family.cell(*values) for family in (
                families.opened, families.closed, families.received, families.sent))
            if len(self._records) >= MAX_RECORDS:
                self._records.clear()
            self._records[key] = cells
        return cells

    def _bind(self, key: tuple, exchange: Any, status: int, protocol: str) -> Record:
        """Make the record of a kind that was not seen before; ``key`` has a sixth part for gRPC calls alone."""
        families = self._families
        cluster = exchange.cluster
        is_call = len(key) > 5
        ended = str(key[5]) if is_call and key[5] is not None else ""
        values = self._labels.values(cluster, exchange.endpoint, protocol, flag.text(exchange.flags), status)
        counted = values + (None if self._labels.is_dropped("grpc_response_status") else ended,)
        answered = None if cluster is None or exchange.is_local_reply or not status else cluster.name
        status_class = f"{status // 100}xx"
        record = Record(
            families.requests.cell(*counted), families.duration.cell(*values), families.request_bytes.cell(*values),
            families.response_bytes.cell(*values), families.downstream.cell(exchange.listener, status_class),
            families.answers(answered, status_class),
            (families.asked.cell(*values[:-1]), families.answered.cell(*values[:-1])) if is_call else None,
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


classImplements(PrometheusSink, ITelemetrySink)
