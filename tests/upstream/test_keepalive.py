"""The kernel's probes on connections to upstreams."""

import socket
import unittest

from meshd.model.cluster import TcpKeepalive
from meshd.upstream.connection import keep_alive

OPTIONS = (socket.TCP_KEEPIDLE, socket.TCP_KEEPINTVL, socket.TCP_KEEPCNT)


class Keepalive(unittest.TestCase):
    def probing(self, **options):
        """Return (is it on, the figures) of a socket, and the figures of one that was left alone."""
        with socket.socket() as sock, socket.socket() as plain:
            keep_alive(sock, TcpKeepalive(**options))
            figures = [[one.getsockopt(socket.IPPROTO_TCP, option) for option in OPTIONS] for one in (sock, plain)]
            return sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE), *figures

    def test_figures_are_the_configurations(self):
        is_on, figures, _ = self.probing(time_s=70.0, interval_s=7.0, probes=3)
        self.assertEqual((is_on, figures), (1, [70, 7, 3]))

    def test_what_is_0_stays_the_systems(self):
        is_on, figures, system = self.probing(probes=4)
        self.assertEqual((is_on, figures), (1, [*system[:2], 4]))
