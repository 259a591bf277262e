"""The whole answer: listener, edge, filters, route, clusters, result. One function for files and for a live daemon."""

from collections.abc import Generator, Iterator, Mapping
from typing import Any

from meshd.document.encode import encode_class
from meshd.exchange.reply import DETAILS
from meshd.explain.asked import Asked
from meshd.explain.edge import enter, text
from meshd.explain.place import chain_of, choose
from meshd.explain.target import DEFAULT, cluster_fact, is_usable
from meshd.explain.tls import tls_fact
from meshd.explain.view import Answer, View, copied
from meshd.explain.walk import Outcome, Walk
from meshd.http import flag

BODY_SHOWN = 200
UNKNOWN = {"kind": "unknown", "by": "", "status": 0, "flags": "-", "detail": "the terminal filter cannot tell"}


def explain(
    runtime: Any, asked: Asked, bound: Mapping[str, str] | None = None
) -> Generator[None, None, dict]:
    """Return what would happen to a request as plain data, in small steps; raises BadQuestion.

    ``bound`` maps listeners' names to the addresses that they have now; None where nothing is bound: then what
    only a running daemon knows is left open.
    """
    is_live = bound is not None
    listener, why = choose(runtime.snapshot.listeners, bound or {}, asked, dict(runtime.snapshot.node.ports))
    local = (bound or {}).get(listener.name, listener.address)
    spec = chain_of(listener, asked, local)
    chain = runtime.chains[listener.name][spec.name]
    view, edge = enter(asked, listener.name, spec, chain, runtime.ground.world, local)
    yield
    walk = Walk(chain, view)
    yield from walk.run()
    found = {
        "request": asked.fields(),
        "listener": {"name": listener.name, "address": local, "where": listener.where, "why": why,
                     **({"filter_chain": spec.name} if spec.name else {})},
        **({"tls": tls_fact(spec.tls)} if spec.tls is not None else {}),
        "edge": edge, "filters": walk.rows, **walk.facts,
    }
    plans = [(outcome.percent, outcome.plan) for outcome in walk.outcomes if outcome.plan is not None]
    if plans:
        found["upstream"], found["clusters"] = _forwarded(view, plans, is_live)
        found["timeouts"] = _timeouts(found.get("timeouts", {}), spec)
        found["retry"] = _retry(found.get("retry"), runtime.registry)
    found["result"] = _result(view, walk, {one["name"]: one for one in found.get("clusters", ())})
    notes = list(_notes(asked, walk, spec))
    return found | ({"notes": notes} if notes else {})


def _forwarded(view: View, plans: list[tuple[float, Any]], is_live: bool) -> tuple[list[dict], list[dict]]:
    """Run the plans' edits on copies of the head, one for each cluster, and tell what would be sent where."""
    heads, clusters = [], {}
    original = view.request
    for share, plan in plans:
        before = 0
        for bound, cluster, edit, _ in plan.clusters:
            view.request = copied(original)
            for change in (edit, plan.on_request):
                if change is not None:
                    change(view)
            percent = share * (bound - before) / plan.clusters[-1][0]
            heads.append({"cluster": cluster.name, "percent": round(percent, 4), "path": text(view.request.target),
                          "host": text(view.request.host)})
            before = bound
            clusters.setdefault(cluster.name, cluster)
    view.request = original
    return heads, [cluster_fact(cluster, is_live) for cluster in clusters.values()]


def _timeouts(route: dict, listener: Any) -> dict:
    """Return the route's timeouts; a silence that the route does not bound is bounded by the listener."""
    idle = route.get("idle_timeout")
    if idle is None or idle["seconds"]:
        return route
    seconds = listener.timeouts.stream_idle_s
    is_default = seconds == type(listener.timeouts)().stream_idle_s
    return route | {"idle_timeout": {"seconds": seconds, "where": DEFAULT if is_default else listener.where}}


def _retry(policy: dict | None, registry: Any) -> dict:
    """Return the retry policy with what it does: that of one without a configuration are its type's defaults."""
    if policy is None or policy["type"] is None or "config" in policy:
        return policy or {"type": None, "where": DEFAULT}
    found = registry.type("retry_policy", policy["type"])
    return policy if found is None or found.config is None else policy | {"config": encode_class(found.config())}


def _result(view: View, walk: Walk, clusters: dict[str, dict]) -> dict:
    """Return what becomes of the request; of a split with answers, what becomes of each share."""
    if not walk.outcomes:
        if view.answered is not None:
            return _answered(view.answered, walk.by)
        return UNKNOWN
    rows = [_outcome(one, clusters) for one in walk.outcomes]
    if walk.by or len(rows) == 1:
        return rows[0]
    shares = [{"percent": round(one.percent, 4), **row} for one, row in zip(walk.outcomes, rows)]
    return {"kind": "split", "by": "route", "status": 0, "flags": "-", "detail": "", "shares": shares}


def _outcome(outcome: Outcome, clusters: dict[str, dict]) -> dict:
    if outcome.answer is not None:
        return _answered(outcome.answer, outcome.by)
    if outcome.plan is None:
        return UNKNOWN
    names = [cluster.name for _, cluster, _, _ in outcome.plan.clusters]
    if any(is_usable(clusters[name]) for name in names):
        return {"kind": "forward", "by": "route", "status": 0, "flags": "-", "detail": "via_upstream"}
    status, detail = DETAILS[flag.UH]
    by = f"cluster {', '.join(names)}"
    return {"kind": "answer", "by": by, "status": status, "flags": flag.text(flag.UH), "detail": detail}


def _answered(answer: Answer, by: str) -> dict:
    result = {"kind": "answer", "by": by, "status": answer.status, "flags": flag.text(answer.flags),
              "detail": answer.detail}
    fields = [[text(name), text(value)] for name, value in answer.headers]
    shown = text(answer.body[:BODY_SHOWN])
    return result | ({"headers": fields} if fields else {}) | ({"body": shown} if shown else {})


def _notes(asked: Asked, walk: Walk, spec: Any) -> Iterator[str]:
    if walk.asked_by and walk.is_outdated():
        yield (f"the route was found when filter {walk.asked_by} asked for it: what later filters change of the "
               "request does not count, unless they clear the route")
    if asked.source:
        yield "no rule of this version asks which workload the request is from"
    if (asked.sni or asked.scheme == "https") and spec.tls is None:
        yield "plain HTTP is spoken here: a client that begins with TLS, and so with a server name, is refused"
