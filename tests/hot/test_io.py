"""How clients are taken in: what both twins say of them."""

import os
import socket
import tempfile
import unittest

from tests.hot.twin import twins

TWINS = twins("io")


def listening(family, address):
    """Return a listening socket that does not block."""
    sock = socket.socket(family, socket.SOCK_STREAM)
    sock.bind(address)
    sock.listen()
    sock.setblocking(False)
    return sock


class Accept(unittest.TestCase):
    def test_a_client_of_ip_with_its_address(self):
        for family, host in ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")):
            try:
                server = listening(family, (host, 0))
            except OSError:
                self.skipTest(f"no {host} here")
            with server:
                for twin in TWINS:
                    self.assertIsNone(twin.accept(server.fileno()))
                    with socket.create_connection(server.getsockname()[:2]) as client:
                        fd, address, name = twin.accept(server.fileno())
                        shown = f"[{host}]" if ":" in host else host
                        self.assertEqual(address, f"{shown}:{client.getsockname()[1]}")
                        self.assertEqual(name, host)
                        self.assertEqual(twin.local(fd), f"{shown}:{server.getsockname()[1]}")
                        self.assertFalse(os.get_blocking(fd))
                        self.assertFalse(os.get_inheritable(fd))
                        os.close(fd)

    def test_a_client_of_a_unix_socket_has_no_address(self):
        with tempfile.TemporaryDirectory() as folder, listening(socket.AF_UNIX, f"{folder}/s") as server:
            for twin in TWINS:
                with socket.socket(socket.AF_UNIX) as client:
                    client.connect(f"{folder}/s")
                    fd, address, name = twin.accept(server.fileno())
                    self.assertEqual((address, name), ("unix:", "unix"))
                    os.close(fd)

    def test_errors_have_their_number(self):
        sock = socket.socket()
        with sock:
            for twin in TWINS:
                with self.assertRaises(OSError) as caught:
                    twin.accept(sock.fileno())
                self.assertEqual(caught.exception.errno, 22)
