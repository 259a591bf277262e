"""What a UDP listener does with datagrams: Envoy's ``udp_proxy``."""

from meshd.document.option import Duration, Integer, Reference, config, option


@config
class UdpProxy:
    """Sessions between clients' addresses and endpoints of a cluster; a session ends when it is silent."""

    cluster: str = option(Reference("cluster"), doc="where datagrams go; its balancer picks one for each session")
    idle_timeout_s: float = option(
        Duration(minimum=0.001), default=60.0, doc="silence both ways after which a session ends"
    )
    max_sessions: int = option(
        Integer(minimum=1, maximum=1_000_000), default=10_000,
        doc="sessions of one worker; datagrams of further clients are dropped"
    )
    max_rx_datagram_bytes: int = option(
        Integer(minimum=1, maximum=65_535), default=1500,
        doc="longest datagram of a client; longer ones are dropped (Envoy's max_rx_datagram_size)"
    )
