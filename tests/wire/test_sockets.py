"""``meshd.wire.sockets``: sockets that were handed to the process are taken in place of new ones."""

import os
import socket
import tempfile
from unittest import TestCase

from meshd.wire.datagram import place_of
from meshd.wire.sockets import Sockets, bind


class TestSockets(TestCase):
    def setUp(self):
        self.sockets = Sockets()
        self.addCleanup(self.sockets.close)

    def listening(self):
        sock = bind("127.0.0.1:0", 16)
        self.addCleanup(sock.close)
        return sock, "127.0.0.1:%d" % sock.getsockname()[1]

    def test_gives_a_socket_to_the_listener_at_its_address(self):
        sock, address = self.listening()
        self.sockets.give(sock)
        self.assertIsNone(self.sockets.take("public", "127.0.0.1:1"))
        self.assertIs(self.sockets.take("public", address), sock)
        self.assertIsNone(self.sockets.take("public", address))

    def test_gives_a_bound_socket_of_udp_by_name_or_address_once(self):
        sockets = Sockets()
        for name in ("dns", ""):
            sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            self.addCleanup(sock.close)
            sock.bind(("127.0.0.1", 0))
            sockets.give(sock, name)
        address = "127.0.0.1:%d" % sock.getsockname()[1]
        self.assertIsNone(sockets.take("dns", address))
        self.assertIsNone(sockets.take_datagram("other", "127.0.0.1:1"))
        found = sockets.take_datagram("other", address)
        self.assertEqual((found.sock, found.address), (sock, place_of(address, 0)))
        self.assertIsNone(sockets.take_place("dns", place_of("0.0.0.0:53", 1)))
        self.assertIsNotNone(sockets.take_place("dns", place_of("0.0.0.0:53", 0)))
        self.assertEqual(sockets.given, [])

    def test_gives_a_socket_to_the_listener_of_its_name(self):
        sock, _ = self.listening()
        self.sockets.give(sock, "public")
        self.assertIs(self.sockets.take("public", "0.0.0.0:443"), sock)

    def test_a_socket_with_name_and_address_wants_both(self):
        sock, _ = self.listening()
        self.sockets.give(sock, "public", "127.0.0.1:0")
        self.assertIsNone(self.sockets.take("public", "127.0.0.1:80"))
        self.assertIsNone(self.sockets.take("private", "127.0.0.1:0"))
        self.assertIs(self.sockets.take("public", "127.0.0.1:0"), sock)

    def test_what_was_given_does_not_block_and_is_not_inherited(self):
        sock = socket.create_server(("127.0.0.1", 0))
        sock.set_inheritable(True)
        self.sockets.give(sock)
        self.assertFalse(sock.getblocking())
        self.assertFalse(sock.get_inheritable())

    def test_closes_what_nobody_took_and_says_where_it_was(self):
        sock, address = self.listening()
        self.sockets.give(sock, "odd")
        self.assertEqual(self.sockets.close(), [address])
        self.assertEqual(sock.fileno(), -1)
        self.assertEqual(self.sockets.given, [])

    def test_bind_takes_over_a_stale_socket_file_and_respects_a_live_one(self):
        folder = tempfile.mkdtemp()
        path = os.path.join(folder, "s")
        bind(f"unix:{path}", 4).close()
        live = bind(f"unix:{path}", 4)
        self.addCleanup(live.close)
        with self.assertRaises(OSError):
            bind(f"unix:{path}", 4)
