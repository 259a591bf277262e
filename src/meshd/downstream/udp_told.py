"""A UDP session that has ended, as access logs see it: an exchange without a request, made only where one is told."""

from typing import Any

from meshd.exchange.session import Session as Told

NOTE = "udp.proxy.session"
"""``metadata`` has under this what Envoy's ``udp_proxy`` notes of a session."""


class Ends:
    """Stands for the downstream of a session."""

    __slots__ = ("world", "poller", "listener", "peer", "host", "local", "id")

    def __init__(self, session: Any, peer: str, host: str) -> None:
        listener = session.listener
        self.world = listener.world
        self.poller = listener.world.poller
        self.listener = listener
        self.peer, self.host = peer, host
        self.local = listener.local
        self.id = listener.world.unique()


def told(session: Any) -> Told:
    """Return what sinks are told of ``session``."""
    tally, listener = session.tally, session.listener
    peer = session.name
    made = Told(Ends(session, peer, peer.rpartition(":")[0].strip("[]")), listener.chain, tally.since)
    made.cluster, made.endpoint = session.cluster, session.endpoint
    made.upstream_local = tally.local
    made.flags = tally.flag
    made.request_bytes, made.response_bytes = tally.received_bytes, tally.sent_bytes
    made.ended = listener.world.poller.now
    made.is_ended = True
    made.metadata[NOTE] = {
        "cluster_name": session.cluster.name, "bytes_received": tally.received_bytes, "bytes_sent": tally.sent_bytes,
        "datagrams_received": tally.received, "datagrams_sent": tally.sent, "errors_sent": tally.errors_sent,
    }
    return made
