"""The listener filter ``http_inspector``: HTTP/1.0, HTTP/1.1 or HTTP/2 in plain text, told from the first bytes.

A connection in TLS is left alone: its protocols are known from ALPN. How long a silent client is waited for is short:
with protocols in which the server speaks first the client waits for us.
"""

import re

from zope.interface import implementer

from meshd.api import CONTINUE, MORE, Boolean, Duration, IListenerFilter, config, option

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
MAX_LINE = 8192
"""Bytes in which the first line must end."""
METHOD = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,32}( |$)")
LINE = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,32} [^ \r\n]+ HTTP/1\.([01])\r?\n")
OUTCOMES = ("http10_found", "http11_found", "http2_found", "http_not_found")


@config
class HttpInspectorOptions:
    """How long is waited."""

    detection_timeout_s: float = option(
        Duration(), default=1.0,
        doc="a client that is silent for so long waits for the server: no HTTP (0: as long as the listener waits)")
    when_needed: bool = option(
        Boolean(), default=False, doc="look only where the chain depends on what the client says, by its destination")


@implementer(IListenerFilter)
class HttpInspector:
    """Sets the application protocols of a connection: http/1.0, http/1.1 or h2c, as Envoy's does."""

    def __init__(self, config, site):
        options = config or HttpInspectorOptions()
        self.silence_s = options.detection_timeout_s
        self._is_needed_only = options.when_needed
        self._count = {name: site.metrics.counter(
            f"envoy_http_inspector_{name}", "connections looked at by http_inspector, by what was found").cell()
            for name in OUTCOMES}

    def on_accept(self, arrival):
        """Look at what is there."""
        if arrival.transport_protocol == "tls" or (self._is_needed_only and not arrival.depends_on_client):
            return CONTINUE
        return self.on_data(arrival) if arrival.data else MORE

    def on_data(self, arrival):
        """Look at what has come so far."""
        found = protocol_of(arrival.data)
        if found is None:
            return MORE
        if found:
            arrival.application_protocols = (found,)
        self._count[{"http/1.0": "http10_found", "http/1.1": "http11_found", "h2c": "http2_found"}.get(
            found, "http_not_found")].inc()
        return CONTINUE


def protocol_of(data):
    """Return the protocol of the first bytes, "" where it is not HTTP, None where more must be seen."""
    if PREFACE.startswith(data[:len(PREFACE)]):
        return "h2c" if len(data) >= len(PREFACE) else None
    data = data.lstrip(b"\r\n")  # RFC 9112 section 2.2
    if data and not METHOD.match(data[:33]):
        return ""
    line = data.partition(b"\n")
    if not line[1]:
        return None if len(data) < MAX_LINE else ""
    found = LINE.fullmatch(line[0] + line[1])
    return f"http/1.{found[1].decode()}" if found else ""
