"""The http filter ``grpc_stats``: counts the messages of gRPC calls as they pass, for access logs and for
``istio_request_messages_total`` and ``istio_response_messages_total`` (Envoy's filter, with ``emit_filter_state``).
"""

from meshd.api import CONTINUE, PluginType, config, grpc, hookimpl

NOTE = "envoy.filters.http.grpc_stats"
"""``exchange.metadata`` has the counts of a call under this (Envoy's key)."""
HEAD_BYTES = 5
"""Of a message: a flag and four bytes of length."""


@config
class GrpcStats:
    """Has no options."""


class Messages:
    """A transform that changes nothing: ``counts[name]`` messages have begun, the last has ``left`` bytes to come."""

    __slots__ = ("counts", "name", "left", "head")

    def __init__(self, counts, name):
        self.counts = counts
        self.name = name
        self.left = counts[name] = 0
        self.head = b""

    def __call__(self, data, is_end):
        """Look at bytes of a body, however they are cut."""
        at, size = 0, len(data)
        while at < size:
            if self.left:
                skipped = min(self.left, size - at)
                self.left -= skipped
                at += skipped
                continue
            if not self.head:
                self.counts[self.name] += 1
            taken = data[at : at + HEAD_BYTES - len(self.head)]
            self.head += taken
            at += len(taken)
            if len(self.head) == HEAD_BYTES:
                self.left = int.from_bytes(self.head[1:], "big")
                self.head = b""
        return data


class GrpcStatsFilter:
    """Watches calls; other requests cost one look at their content type."""

    def __init__(self, config, site):
        pass

    def on_request(self, exchange):
        """Watch both bodies of a call."""
        if grpc.is_grpc(exchange.request.headers):
            counts = exchange.metadata[NOTE] = {}
            exchange.transform_request(Messages(counts, "request_message_count"))
            exchange.transform_response(Messages(counts, "response_message_count"))
        return CONTINUE


@hookimpl
def meshd_plugins():
    """Offer the filter."""
    return [
        PluginType(kind="http_filter", name="grpc_stats", config=GrpcStats, build=GrpcStatsFilter,
                   doc="Counts the messages of gRPC calls."),
    ]
