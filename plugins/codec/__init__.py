"""Protocol codecs that are shipped: Dubbo and MQTT. The network filter ``codec_proxy`` uses them."""

from meshd.api import PluginType, hookimpl


@hookimpl
def meshd_plugins():
    """Offer the codecs."""
    from meshd_plugins.codec.dubbo import Dubbo, DubboCodec
    from meshd_plugins.codec.mqtt import Mqtt, MqttCodec

    return [
        PluginType(kind="protocol_codec", name="dubbo", config=Dubbo, build=DubboCodec,
                   doc="Dubbo 2; routed by service, service-version and method."),
        PluginType(kind="protocol_codec", name="mqtt", config=Mqtt, build=MqttCodec,
                   doc="MQTT 3.1.1 and 5; routed by client-id, username, protocol-level and clean-start."),
    ]
