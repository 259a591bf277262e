"""The configuration of ``codec_proxy``."""

from meshd.api import (
    REQUIRED, Duration, HeaderMatch, Integer, ListOf, Nested, PluginOf, Reference, Text, config, option,
)


@config
class CodecRoute:
    """Requests (or sessions) whose fields all hold go to the cluster; without any, all do."""

    name: str = option(Text(maximum=200), default="", doc="name, for logs")
    fields: tuple[HeaderMatch, ...] = option(
        ListOf(item=Nested(HeaderMatch), maximum=50), default=(),
        doc="conditions on what the codec says: service, method (dubbo), client-id, username (mqtt)"
    )
    cluster: str = option(Reference("cluster"), doc="where they go")
    timeout_s: float = option(Duration(), default=15.0, doc="of one request; the client is told then (0: none)")


@config
class CodecProxy:
    """Frames of a request protocol to clusters, many clients over few connections (MOSN's x-protocol)."""

    codec: object = option(PluginOf(kind="protocol_codec"), default=REQUIRED, doc="reads and writes the frames")
    routes: tuple[CodecRoute, ...] = option(
        ListOf(item=Nested(CodecRoute), minimum=1, maximum=10_000), default=REQUIRED, doc="the first that holds counts"
    )
    idle_timeout_s: float = option(
        Duration(), default=3600.0, doc="then a silent connection ends, of a client or upstream (0: never)"
    )
    max_requests: int = option(
        Integer(minimum=1, maximum=1_000_000), default=10_000, doc="unanswered requests on one upstream connection"
    )
