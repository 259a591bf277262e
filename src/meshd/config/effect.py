"""Keys that are accepted and have no effect where they stand, beside the others: each is warned of."""

from collections.abc import Iterator
from typing import Any

from meshd.document.code import CODES
from meshd.document.context import Context, Seen
from meshd.document.node import Mapping, Node
from meshd.model.cluster import Cluster
from meshd.model.listener import UDP, FilterChain, Listener
from meshd.model.snapshot import Snapshot

CODE = "MSH0124"
OF_STREAMS = ("backlog", "transparent", "use_original_dst", "http", "limits", "timeouts")
OF_LOOKING = ("listener_filters_timeout", "continue_on_listener_filters_timeout")
OF_REQUESTS = ("max_head", "max_fields", "max_requests_per_connection")
OF_TLS = ("server_names", "transport_protocol", "application_protocols")
HTTP, SNI = "http_inspector", "sni_cluster"
BLIND = frozenset(("original_dst", "proxy_protocol", HTTP))
"""Listener filters that see nothing of TLS; those of strangers may."""
INSTEAD = {
    "http": "remove it, or write filters in place of network_filters",
    "timeouts": "remove it; tcp_proxy has idle_timeout and max_downstream_connection_duration",
}
OF_DATAGRAMS = {
    "limits": "remove it; udp has max_sessions and max_rx_datagram", "timeouts": "remove it; udp has idle_timeout",
}
ADDING = ("append_forward", "sanitize_set")
NO_REQUESTS = "no chain here speaks HTTP"
Rows = Iterator[tuple[Node, str, str, str]]


def check_effect(context: Context) -> None:
    """Add a warning for each key that nothing comes of."""
    secured = {seen.values.get("name") for seen in context.seen if seen.cls is Cluster and seen.values.get("tls")}
    for seen in context.seen:
        for node, place, why, hint in LOOKS.get(seen.cls, _of_nothing)(seen):
            if node.line >= 0:  # else it is a dialect's default
                context.fault(CODE, node, f"{seen.path}.{place}".strip("."),
                              f"{place.rpartition('.')[2]} has no effect: {why}", CODES[CODE].severity, hint=hint)
        udp = seen.values.get("udp") if seen.cls is Listener else None
        if udp is not None and udp.cluster in secured:
            node = seen.node.get("udp")
            context.fault(CODE, node.get("cluster") or node, f"{seen.path}.udp.cluster",
                          f'tls of cluster "{udp.cluster}" has no effect: datagrams go as they are',
                          CODES[CODE].severity, hint="expected a cluster without tls")


def _of_nothing(seen: Seen) -> Rows:
    return iter(())


def _of_all(seen: Seen) -> Rows:
    if not getattr(seen.values.get("node"), "dns_capture", False):
        for key in ("dns", "dns_hosts"):
            yield from _row(seen.node, key, "node.dns_capture is off", "node: {dns_capture: true}")
    if seen.values.get("workers", 1) == 1:
        yield from _row(seen.node, "supervisor", "there is one worker, which is one process", "workers: 2, or auto")


def _of_cluster(seen: Seen) -> Rows:
    if seen.values.get("protocol", "http1") == "http1":
        yield from _row(seen.node, "http2", "the endpoints are spoken to over HTTP/1.1", "protocol: http2, or auto")
    if getattr(seen.values.get("load_balancer"), "type", "") == "original_destination" and seen.values.get("endpoints"):
        yield from _row(seen.node, "endpoints", "original_destination connects to where the client meant to go", "[]")


def _of_http(seen: Seen) -> Rows:
    http, node = seen.values.get("http"), seen.node.get("http")
    if http is None:
        return
    if http.codec == "http1":
        yield from _row(node, "http2", "codec is http1", "codec: auto", "http.")
    elif http.codec == "http2":
        yield from _row(node, "accept_http_10", "codec is http2", "codec: auto", "http.")
    if http.forward_client_cert_details not in ADDING:
        yield from _row(node, "set_current_client_cert_details", "x-forwarded-client-cert gets nothing from here",
                        f"forward_client_cert_details: {' or '.join(ADDING)}", "http.")


def _of_listener(seen: Seen) -> Rows:
    node, values = seen.node, seen.values
    if values.get("protocol") == UDP:
        for key in (*OF_STREAMS, *OF_LOOKING):
            yield from _row(node, key, "a UDP listener takes datagrams", OF_DATAGRAMS.get(key, ""))
        return
    if "listener_filters" not in node.entries:
        for key in OF_LOOKING:
            yield from _row(node, key, "there are no listener_filters", "remove it, or add the filters")
    chains = _chains(values)
    for key in ("http", "timeouts"):
        yield from _of_requests(node, key, key, chains, "")
    for key in OF_REQUESTS:
        yield from _of_requests(node.get("limits"), key, "limits", chains, "limits.")
    yield from _of_http(seen)
    yield from _unseen(seen)


def _chains(values: dict[str, Any]) -> list[tuple[bool, Any]]:
    """Return (whether it speaks HTTP, the chain) of all that were decoded; None is the listener as its own chain."""
    if values.get("filters") or values.get("network_filters"):
        return [(bool(values.get("filters")), None)]
    last = values.get("default_filter_chain")
    found = [*values.get("filter_chains", ()), *([last] if last is not None else [])]
    return [(bool(one.filters), one) for one in found]


def _of_requests(node: Any, key: str, section: str, chains: list[tuple[bool, Any]], prefix: str) -> Rows:
    """Yield a row where no chain of HTTP goes by what the listener says."""
    speaking = [one for is_http, one in chains if is_http]
    if chains and not speaking:
        yield from _row(node, key, NO_REQUESTS, "" if prefix else INSTEAD[key], prefix)
    elif speaking and all(getattr(one, section, None) is not None for one in speaking):
        yield from _row(node, key, "every chain that speaks HTTP has its own", "", prefix)


def _of_chain(seen: Seen) -> Rows:
    yield from _of_http(seen)
    limits = seen.node.get("limits")
    yield from _row(limits, "max_connections", "connections are counted by listener", "say it there", "limits.")
    if seen.values.get("network_filters") and not seen.values.get("filters"):
        for key in ("http", "timeouts"):
            yield from _row(seen.node, key, "this chain does not speak HTTP", INSTEAD[key])
        for key in OF_REQUESTS:
            yield from _row(limits, key, "this chain does not speak HTTP", "", "limits.")


def _unseen(seen: Seen) -> Rows:
    """Yield what chains ask of TLS where nobody looks at it."""
    looking = {one.type for one in seen.values.get("listener_filters", ()) if not one.disabled}
    if looking - BLIND:
        return
    yield from _unnamed(seen.node, seen.values.get("network_filters", ()), "")
    if (last := seen.values.get("default_filter_chain")) is not None:
        yield from _unnamed(seen.node.get("default_filter_chain"), last.network_filters, "default_filter_chain.")
    if "filter_chains" not in seen.values:
        return
    also = OF_TLS[2:] if HTTP in looking else ()
    for place, (chain, node) in enumerate(zip(seen.values["filter_chains"], seen.node.get("filter_chains").items)):
        yield from _unnamed(node, chain.network_filters, f"filter_chains[{place}].")
        for key in OF_TLS:
            if not (chain.match.transport_protocol != "tls" if key == OF_TLS[1] else key in also):
                yield from _row(node.get("match"), key, "no listener filter looks at TLS, so nothing matches",
                                "listener_filters: [tls_inspector]", f"filter_chains[{place}].match.")


def _unnamed(node: Any, filters: tuple, prefix: str) -> Rows:
    for place, one in enumerate(filters):
        if one.type == SNI:
            yield (node.get("network_filters").items[place], f"{prefix}network_filters[{place}].{SNI}",
                   "no listener filter looks at TLS, so no name is known", "listener_filters: [tls_inspector]")


def _row(node: Any, key: str, why: str, hint: str, prefix: str = "") -> Rows:
    value = node.get(key) if isinstance(node, Mapping) else None
    if value is not None:
        yield value, f"{prefix}{key}", why, hint or "remove it"


LOOKS = {Snapshot: _of_all, Cluster: _of_cluster, Listener: _of_listener, FilterChain: _of_chain}
