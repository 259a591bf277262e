"""/explain: what would happen to a request here, rule by rule; nothing is sent, counted or taken.

With several workers the one that is asked answers: they serve the same configuration, and counts are its own.
"""

from typing import Any

from twisted.internet.defer import Deferred

from meshd.admin.page import BadQuery, Query, Reply, document
from meshd.admin.stream import rows_json, streamed
from meshd.explain.asked import BadQuestion, asked

MANY = 50
"""Rows that are encoded at once."""
WORDS = (("listener", "listener"), ("client", "client"), ("from", "source"), ("sni", "sni"))
"""Argument of the page -> attribute of ``Asked``."""


def explain(daemon: Any, query: Query) -> Reply | Deferred:
    """Answer ?method=METHOD&url=URL, &header=NAME:VALUE (repeated), &listener, &client, &from, &sni."""
    if daemon.runtime is None:
        return document({"error": "no configuration is in use yet"}, 503)
    more = {attribute: query.get(name) for name, attribute in WORDS}
    try:
        request = asked(query.get("method", "GET"), query.get("url"), query.values.get("header", ()), **more)
    except BadQuestion as error:
        raise BadQuery(str(error)) from None
    found = daemon.explain(request)
    return found.addCallbacks(lambda answer: _reply({"generation": daemon.generation, **answer}), _bad)


def _reply(answer: dict) -> Reply:
    """Return the document; where thousands of routes were passed over, they are written in pieces, last."""
    rows = answer.get("passed_over", ())
    if len(rows) <= MANY:
        return document(answer)
    rest = {key: value for key, value in answer.items() if key != "passed_over"}
    return streamed(rest, "passed_over", rows_json(rows))


def _bad(failure: Any) -> None:
    failure.trap(BadQuestion)
    raise BadQuery(failure.getErrorMessage())
