"""The listener filters: what can be known of a connection before its filter chain is chosen.

``tls_inspector`` (server name and protocols that a TLS client asks for), ``http_inspector`` (HTTP/1 or HTTP/2),
``original_dst`` (where a captured client meant to go).
"""

from meshd.api import PluginType, hookimpl
from meshd_plugins.listener_filter.http_inspector import HttpInspector, HttpInspectorOptions
from meshd_plugins.listener_filter.original_dst import OriginalDst
from meshd_plugins.listener_filter.tls_inspector import TlsInspector, TlsInspectorOptions


@hookimpl
def meshd_plugins():
    """Offer them."""
    return [
        PluginType(
            kind="listener_filter", name="tls_inspector", config=TlsInspectorOptions, build=TlsInspector,
            chooses=False,
            doc="Tells TLS from other bytes; finds server name (SNI) and protocols (ALPN) that a client wants."),
        PluginType(
            kind="listener_filter", name="http_inspector", config=HttpInspectorOptions, build=HttpInspector,
            chooses=False, doc="Tells HTTP/1.0, HTTP/1.1 and HTTP/2 from other bytes."),
        PluginType(
            kind="listener_filter", name="original_dst", build=OriginalDst,
            chooses=False, doc="Finds the address that a redirected client meant to reach."),
    ]
