"""/metrics and /stats: every number, as Prometheus, people and scripts want it."""

from collections.abc import Callable, Iterator
from typing import Any

import re2

from meshd.admin.page import BadQuery, Query, Reply
from meshd.admin.stream import rows_json, streamed
from meshd.telemetry.stats import json_rows, text_stats
from meshd.telemetry.writer import CONTENT_TYPE, expose

MAX_FILTER = 1000

Shown = Callable[[Callable[[Any], Iterator]], Iterator]


def prometheus(daemon: Any, query: Query) -> Reply:
    """All metrics in Prometheus' text format, written in slices."""
    return prometheus_reply(lambda show: show(daemon.metrics))


def prometheus_reply(of: Shown) -> Reply:
    """Return /metrics; ``of(show)`` yields what ``show(metrics)`` yields, whosever metrics they are."""
    return Reply(of(expose), content_type=CONTENT_TYPE)


def stats(daemon: Any, query: Query) -> Reply:
    """All metrics as ``name{labels}: value``; ?format=json; ?filter=REGEX on names."""
    return stats_reply(lambda show: show(daemon.metrics), query)


def stats_reply(of: Shown, query: Query) -> Reply:
    """Return /stats."""
    form = query.choice("format", ("text", "json", "prometheus"))
    if form == "prometheus":
        return prometheus_reply(of)
    wanted = _wanted(query.get("filter"))
    if form == "json":
        return streamed({}, "stats", rows_json(of(lambda metrics: json_rows(metrics, wanted))))
    return Reply(of(lambda metrics: text_stats(metrics, wanted)))


def _wanted(pattern: str) -> Callable[[str], bool]:
    """Return the filter on names; RE2, so that no pattern can hang the daemon. Raises BadQuery."""
    if len(pattern) > MAX_FILTER:
        raise BadQuery(f"filter: {len(pattern)} characters: expected at most {MAX_FILTER}")
    options = re2.Options()
    options.log_errors = False
    try:
        search = re2.compile(pattern, options).search
    except re2.error as error:
        reason = error.args[0] if error.args else "not a regular expression"
        reason = reason.decode("utf-8", "replace") if isinstance(reason, bytes) else str(reason)
        raise BadQuery(f"filter={pattern!r}: {reason}: expected an RE2 regular expression") from None
    return lambda name: search(name) is not None
