"""The answer of ``meshctl explain`` for people: what happens stands first on each line, where it was written last."""

from collections.abc import Iterable, Iterator
from typing import Any

from meshd.cli.health import health_text
from meshd.cli.output import GAP, NO_DATA, View, cell, duration

WIDTH = 14
"""Columns of the word before each line."""


def show(view: View, found: dict) -> None:
    """Write the answer."""
    for rows in (_entry(view, found), _filters(view, found), _route(view, found), _upstream(view, found),
                 _end(view, found)):
        for name, *cells in rows:
            view.write(f"{name:<{WIDTH}}{GAP.join(cells)}".rstrip() + "\n")


def _entry(view: View, found: dict) -> Iterator[tuple]:
    asked, listener = found["request"], found["listener"]
    extras = [f"{word} {asked[word]}" for word in ("from", "sni") if word in asked]
    yield "request", f"{asked['method']} {asked['url']}", f"client {asked['client']}", *extras
    for name, value in asked["headers"]:
        yield "", f"{name}: {value}"
    yield "listener", listener["name"], listener["address"], listener["why"], listener["where"]
    if "filter_chain" in listener:
        yield "chain", listener["filter_chain"]
    if tls := found.get("tls"):
        yield "tls", f"certificates {', '.join(tls['certificates'])}", \
            f"client certificate {tls['client_certificate']}", tls["where"]
    yield from _block("edge", ((step,) for step in found["edge"]["steps"] or ["nothing to do"]))


def _filters(view: View, found: dict) -> Iterator[tuple]:
    keys = ("name", "type", "decision", "text", "where")
    yield from _block("filters", (tuple(row[key] for key in keys) for row in found["filters"]))


def _route(view: View, found: dict) -> Iterator[tuple]:
    if "virtual_host" not in found:
        return
    host = found["virtual_host"]
    if host is not None:
        yield "virtual host", host["name"], f"domain {host['domain']}", host["where"]
    sign = view.sign("bad")
    yield from _block("passed over", (
        (f"{sign} {row['name'] or NO_DATA}", row["reason"], row["where"]) for row in found["passed_over"]))
    route = found["route"]
    if route is None:
        yield "route", f"{sign} none", found["reason"]
        return
    yield "route", f"{view.sign('ok')} {route['name'] or NO_DATA}", route["match"], route["where"]
    yield "action", *_action(found["action"])
    yield from _block("rewrites", (
        (one["rewrite"], one["value"], *((f"of {one['of']}",) if "of" in one else ()))
        for one in found.get("rewrites", ())))
    for key, word in (("request_headers", "to upstream"), ("response_headers", "to client")):
        yield from _block(word, (
            (one["edit"], one["name"] + (f": {one['value']}" if "value" in one else ""), f"of {one['of']}")
            for one in found.get(key, ())))


def _action(action: dict) -> Iterable[str]:
    kind = action["kind"]
    if kind == "cluster":
        return f"forward to cluster {action['cluster']}",
    if kind == "weighted_clusters":
        shares = ", ".join(f"{one['percent']:g} % {_destination(one)}" for one in action["clusters"])
        return f"split over clusters: {shares}",
    return f"{kind.replace('_', ' ')} with status {action['status']}",


def _destination(one: dict) -> str:
    for kind in ("redirect", "direct_response"):
        if kind in one:
            return f"{kind.replace('_', ' ')} {one[kind]}"
    return one["cluster"]


def _upstream(view: View, found: dict) -> Iterator[tuple]:
    if "clusters" not in found:
        return
    yield from _block("sent", (
        (f"path {one['path']}", f"host {one['host']}", f"cluster {one['cluster']}") for one in found["upstream"]))
    for one in found["clusters"]:
        yield from _cluster(view, one)
    timeouts = found.get("timeouts", {})
    yield from _block("timeouts", (
        (f"{name} {seconds(one['seconds'])}", one["where"]) for name, one in timeouts.items()))
    if retry := found.get("retry"):
        config = retry.get("config", {})
        shown = [f"{key} {cell(config[key])}" for key in ("attempts", "retry_on") if key in config]
        yield "retry", retry["type"] or "none", *shown, retry["where"]
    if hedge := found.get("hedge"):
        yield "hedge", f"another attempt at the {hedge['on']}", hedge["where"]
    if priority := found.get("priority"):
        yield "priority", priority["name"], priority["where"]
    yield from _block("mirror", (
        (f"{one['percent']:g} % to cluster {one['cluster']}", one["where"]) for one in found.get("mirrors", ())))


def _cluster(view: View, one: dict) -> Iterator[tuple]:
    balancer, breaker, connect = one["load_balancer"], one["circuit_breaker"], one["connect_timeout"]
    yield "cluster", one["name"], one["where"]
    yield "  balancer", balancer["type"], *((cell(balancer["config"]),) if "config" in balancer else ()), \
        balancer["where"]
    if one["endpoints"] is None:
        yield "  endpoints", f"found by {one['discovery']['type']}, known to the running daemon", \
            one["discovery"]["where"]
    elif not one["endpoints"]:
        yield "  endpoints", f"{view.sign('bad')} none"
    yield from _block("  endpoints", (
        (f"{view.sign('ok') if point['healthy'] else view.sign('bad')} {point['address']}",
         health_text(point), f"weight {point['weight']}")
        for point in one["endpoints"] or ()))
    limits = (f"{name} {row['used']}/{row['limit']}" for name, row in breaker["limits"].items())
    yield "  breaker", ", ".join(limits) or breaker["type"], breaker["where"]
    if tls := one.get("tls"):
        yield "  tls", f"asks for {tls['sni'] or 'no name'}", f"shows {tls['certificate'] or 'no certificate'}", \
            "verifies" if tls["is_verified"] else f"{view.sign('warn')} verifies nothing", tls["where"]
    yield "  connect", f"timeout {seconds(connect['seconds'])}", connect["where"]


def _end(view: View, found: dict) -> Iterator[tuple]:
    result = found["result"]
    shares = result.get("shares", (result,))
    for number, one in enumerate(shares):
        yield from _outcome(view, one, "result" if number == 0 else "")
    yield from _block("notes", ((note,) for note in found.get("notes", ())))


def _outcome(view: View, result: dict, word: str) -> Iterator[tuple]:
    share = f"{result['percent']:g} % " if "percent" in result else ""
    if result["kind"] == "forward":
        yield word, f"{view.sign('ok')} {share}forwarded"
    elif result["kind"] == "answer":
        sign = view.sign("ok" if result["status"] < 400 else "bad")
        flags = () if result["flags"] == "-" else (result["flags"],)
        said = f"{sign} {share}answered here {result['status']}"
        yield word, said, *flags, result["detail"], f"by the {result['by']}"
        for name, value in result.get("headers", ()):
            yield "", f"{name}: {value}"
        if result.get("body", "").strip():
            yield "", result["body"].strip()
    else:
        yield word, f"{view.sign('warn')} {share}{result['detail']}"


def seconds(value: float) -> str:
    """Return a timeout; 0 means that there is none."""
    return duration(value) if value else "none"


def _block(word: str, rows: Iterable[tuple]) -> Iterator[tuple[Any, ...]]:
    """Yield aligned rows of which only the first carries the word."""
    cells = [[cell(value) for value in row] for row in rows]
    columns = max((len(row) for row in cells), default=0)
    widths = [max(len(row[place]) for row in cells if len(row) > place) for place in range(columns)]
    for number, row in enumerate(cells):
        yield (word if number == 0 else "", *(text.ljust(width) for text, width in zip(row, widths)))
