"""Pages of a daemon with several workers: the one that is asked asks the others, and puts their facts together.

A page that is not in ``SHARED`` answers by itself: what it tells is the same in every worker, or it passes on what it
is told to do. ``daemon.ask_all(what, query)`` brings the ``Answers``.
"""

import json
from collections.abc import Callable, Iterator
from typing import Any

import attrs
from twisted.internet.defer import Deferred

from meshd.admin import page_cluster, page_metric, page_status
from meshd.admin.merge import merged_clusters, merged_listeners, merged_plugins
from meshd.admin.page import Query, Reply, plain
from meshd.telemetry.share import Together, shared

METRICS = "metrics"


@attrs.frozen
class Answers:
    """``parts`` are (index of the worker or None, bytes); ``missing`` the workers that did not answer in time."""

    parts: tuple[tuple[int | None, bytes], ...]
    missing: tuple[int, ...]
    whole: dict[str, Any]

    @classmethod
    def of(cls, index: int | None, head: dict[str, Any], payload: bytes) -> "Answers":
        """Return what all have said, the worker ``index`` first; ``head`` and ``payload`` came from the supervisor."""
        parts, start = [], 0
        for who, size in zip(head["who"], head["sizes"]):
            parts.append((who, payload[start : start + size]))
            start += size
        parts.sort(key=lambda part: part[0] != index)
        return cls(tuple(parts), tuple(head["missing"]), head)

    def rows(self) -> list[Any]:
        """Return what each has said, as JSON."""
        return [json.loads(data) for _, data in self.parts if data]


def _json(rows: Any) -> Iterator[bytes]:
    yield json.dumps(rows, default=plain).encode()


FACTS: dict[str, Callable[[Any, Query], Iterator[bytes]]] = {
    METRICS: lambda daemon, query: shared(daemon.metrics),
    "listeners": lambda daemon, query: _json(daemon.listeners()),
    "clusters": lambda daemon, query: _json(list(daemon.clusters(query.get("name")))),
    "plugins": lambda daemon, query: _json(daemon.plugins()),
    "info": lambda daemon, query: _json(page_status.info(daemon)),
}
"""What a worker tells of itself, in pieces."""


def facts_of(daemon: Any, what: str, query: Query) -> Iterator[bytes]:
    """Return what a worker tells of ``what``."""
    return FACTS[what](daemon, query)


def _metrics(answers: Answers, show: Callable[[Any], Iterator[bytes]]) -> Iterator[bytes]:
    together = Together()
    for _ in together.add(data for _, data in answers.parts):
        yield b""
    yield from show(together.metrics)


def _prometheus(answers: Answers, query: Query) -> Reply:
    return page_metric.prometheus_reply(lambda show: _metrics(answers, show))


def _stats(answers: Answers, query: Query) -> Reply:
    return page_metric.stats_reply(lambda show: _metrics(answers, show), query)


def _listeners(answers: Answers, query: Query) -> Reply:
    return page_status.listeners_reply(merged_listeners(answers.rows()), query)


def _clusters(answers: Answers, query: Query) -> Reply:
    return page_cluster.clusters_reply(merged_clusters(answers.rows()), query)


def _plugins(answers: Answers, query: Query) -> Reply:
    return page_status.plugins_reply(merged_plugins(answers.rows()), query)


def _info(answers: Answers, query: Query) -> Reply:
    return page_status.info_reply(answers.rows()[0], answers.whole)


SHARED: dict[str, tuple[str, Callable[[Answers, Query], Reply]]] = {
    "/metrics": (METRICS, _prometheus), "/stats/prometheus": (METRICS, _prometheus), "/stats": (METRICS, _stats),
    "/listeners": ("listeners", _listeners), "/clusters": ("clusters", _clusters), "/plugins": ("plugins", _plugins),
    "/server_info": ("info", _info),
}
"""Page -> what the workers are asked for, and how the answers are shown."""


def render(daemon: Any, path: str, query: Query) -> Deferred:
    """Return a Deferred of the reply of a page in ``SHARED``."""
    what, show = SHARED[path]
    return daemon.ask_all(what, query).addCallback(show, query)
