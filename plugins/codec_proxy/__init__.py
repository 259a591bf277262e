"""The network filter ``codec_proxy``: requests of a protocol that a codec reads, many clients over few connections."""

from meshd.api import PluginType, hookimpl


@hookimpl
def meshd_plugins():
    """Offer the filter."""
    from meshd_plugins.codec_proxy.config import CodecProxy
    from meshd_plugins.codec_proxy.filter import CodecProxyFilter

    return [
        PluginType(kind="network_filter", name="codec_proxy", config=CodecProxy, build=CodecProxyFilter, terminal=True,
                   doc="Routes the requests of a protocol (dubbo, mqtt) to clusters, by a codec."),
    ]
