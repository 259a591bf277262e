"""Targets: what a source found, as labels in Prometheus' manner, and the EndpointSpec that they come to.

``ADDRESS`` is where it is; ``__meshd_*`` labels say what an endpoint has beside its address (the table ``LABELS``);
other labels that begin with ``__`` are for relabelling and end there; the rest are the endpoint's labels.
"""

import re

from meshd.api import EndpointSpec

ADDRESS = "__address__"
WEIGHT = "__meshd_weight__"
LOCALITY = "__meshd_locality__"
PRIORITY = "__meshd_priority__"
PORT = "__meshd_port__"
SOURCE = "__meshd_source__"
LABELS = {
    ADDRESS: "HOST:PORT, [V6]:PORT or unix:PATH",
    PORT: "port, in place of the one of the address or where it has none",
    WEIGHT: "share of the load, 1 to 1000000 (1)",
    LOCALITY: "region/zone/subzone",
    PRIORITY: "0 to 128; 0 is used first (0)",
    SOURCE: "where it was found, in place of the source's own name",
}

_HOST = r"(?:[A-Za-z0-9_](?:[A-Za-z0-9._-]*)|\[[0-9A-Fa-f:.]+(?:%[A-Za-z0-9]+)?\])"
_ADDRESS = re.compile(rf"{_HOST}:([0-9]{{1,5}})")
_HOST_PORT = re.compile(rf"({_HOST})(?::[0-9]*)?")


def endpoint(labels: dict[str, str], source: str = "") -> EndpointSpec:
    """Return the endpoint that the labels of a target say; raises ValueError naming the label that is wrong."""
    return EndpointSpec(
        address=_address(labels),
        weight=number(labels.get(WEIGHT, "1"), 1, 1_000_000, WEIGHT),
        labels=tuple([pair for pair in sorted(labels.items()) if not pair[0].startswith("__")]),
        locality=labels.get(LOCALITY, ""),
        priority=number(labels.get(PRIORITY, "0"), 0, 128, PRIORITY),
        source=labels.get(SOURCE, source),
    )


def _address(labels: dict[str, str]) -> str:
    text = labels.get(ADDRESS, "")
    port = labels.get(PORT)
    if port is not None and not text.startswith("unix:"):
        found = _HOST_PORT.fullmatch(text)
        if found is not None:
            text = f"{found.group(1)}:{number(port, 1, 65535, PORT)}"
    return address(text, ADDRESS)


def address(text: object, where: str) -> str:
    """Return ``text`` where it is an address of an endpoint; raises ValueError."""
    if isinstance(text, str):
        if text.startswith("unix:") and len(text) > 5 and "\0" not in text:
            return text
        found = _ADDRESS.fullmatch(text)
        if found is not None and 1 <= int(found.group(1)) <= 65535:
            return text
    raise ValueError(f"{where}: expected HOST:PORT or unix:PATH, got {text!r:.60}")


def number(value: object, minimum: int, maximum: int, where: str) -> int:
    """Return the whole number that ``value`` is or says; raises ValueError."""
    text = str(value)
    if isinstance(value, bool) or not (text.isascii() and text.isdecimal() and len(text) < 10):
        raise ValueError(f"{where}: expected a whole number, got {value!r:.60}")
    if not minimum <= int(text) <= maximum:
        raise ValueError(f"{where}: expected {minimum} to {maximum}, got {text}")
    return int(text)


def join(host: str, port: int) -> str:
    """Return HOST:PORT, with brackets where ``host`` is an IPv6 address."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
