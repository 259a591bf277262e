"""Protocols that a chain offers over TLS (ALPN) and does not speak: a client that takes one is lost."""

from collections.abc import Iterator
from typing import Any

from meshd.document.code import CODES
from meshd.document.context import Context, Seen
from meshd.document.node import Node
from meshd.model.listener import Listener
from meshd.model.tls import H2_ALPN, HTTP1_ALPN

CODE = "MSH0125"
FOREIGN = {"auto": (), "http1": H2_ALPN, "http2": HTTP1_ALPN}
"""By codec, what it does not speak."""


def check_offers(context: Context) -> None:
    """Add a warning for each word of a chain's alpn that its codec does not speak."""
    for seen in context.seen:
        if seen.cls is not Listener:
            continue
        for codec, tls, node, path in _secured(seen):
            for place, word in enumerate(tls.alpn or ()):
                if word in FOREIGN[codec]:
                    context.fault(
                        CODE, node.get("tls").get("alpn").items[place], f"{path}.tls.alpn[{place}]",
                        f"{word} is offered to clients, and codec is {codec}", CODES[CODE].severity,
                        hint="remove it, or codec: auto")


def _secured(seen: Seen) -> Iterator[tuple[str, Any, Node, str]]:
    """Yield (codec, TLS, where it stands, its path) of each chain that speaks HTTP over TLS."""
    values, node = seen.values, seen.node
    last = values.get("default_filter_chain")
    chains = [(values["filter_chains"][place], item, f"{seen.path}.filter_chains[{place}]")
              for place, item in enumerate(node.get("filter_chains").items)] if values.get("filter_chains") else []
    chains += [(last, node.get("default_filter_chain"), f"{seen.path}.default_filter_chain")] if last else []
    for chain, place, path in chains:
        if chain.filters and chain.tls is not None:
            yield _codec(chain.http or values.get("http")), chain.tls, place, path
    if values.get("filters") and values.get("tls") is not None:
        yield _codec(values.get("http")), values["tls"], node, seen.path


def _codec(http: Any) -> str:
    return "auto" if http is None else http.codec
