"""The listener filter ``original_dst``: where a client meant to go whose connection a firewall rule has sent to us.

The kernel remembers it (SO_ORIGINAL_DST of netfilter, after REDIRECT or DNAT). It takes the place of the connection's
own address: filter chains are matched by it, and clusters with ``original_destination`` connect to it. With TPROXY the
socket's own address is the destination already, and the kernel has nothing to say.
"""

import socket
from struct import unpack_from

from zope.interface import implementer

from meshd.api import CONTINUE, IListenerFilter

SO_ORIGINAL_DST = 80
"""Of SOL_IP and of SOL_IPV6 (linux/netfilter_ipv4.h, netfilter_ipv6/ip6_tables.h)."""


@implementer(IListenerFilter)
class OriginalDst:
    """Sets the destination of a connection, where the kernel knows one."""

    def __init__(self, config, site):
        pass

    def on_accept(self, arrival):
        """Ask the kernel."""
        address = arrival.ask_socket(destination_of)
        if address is not None:
            arrival.local = address
        return CONTINUE


def destination_of(sock):
    """Return the address that a socket's peer meant, as text; None where there is no other than the socket's own."""
    try:
        if sock.family == socket.AF_INET:
            data = sock.getsockopt(socket.SOL_IP, SO_ORIGINAL_DST, 16)
            return f"{socket.inet_ntop(socket.AF_INET, data[4:8])}:{unpack_from('>H', data, 2)[0]}"
        if sock.family == socket.AF_INET6:
            data = sock.getsockopt(socket.IPPROTO_IPV6, SO_ORIGINAL_DST, 28)
            return f"[{socket.inet_ntop(socket.AF_INET6, data[8:24])}]:{unpack_from('>H', data, 2)[0]}"
    except OSError:
        pass
    return None
