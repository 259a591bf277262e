"""Where the admin API may listen."""

import os
import socket
import stat
import tempfile

from twisted.internet.error import CannotListenError
from twisted.internet.testing import MemoryReactor
from twisted.trial.unittest import SynchronousTestCase

from meshd.admin import address
from meshd.errors import ConfigurationError


class TakenReactor(MemoryReactor):
    """A reactor on which every port is taken."""

    def listenTCP(self, port, factory, backlog=50, interface=""):
        raise CannotListenError(interface, port, OSError(98, "Address already in use"))


class BindingReactor(MemoryReactor):
    """A reactor that really makes the socket file."""

    def listenUNIX(self, path, factory, backlog=50, mode=0o666, wantPID=0):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.bind(path)
        self.mode_at_bind = stat.S_IMODE(os.stat(path).st_mode)
        return super().listenUNIX(path, factory, backlog, mode, wantPID)


class Address(SynchronousTestCase):
    def test_addresses_of_other_machines_are_faults(self):
        for text in ("0.0.0.0:15000", "10.0.0.1:15000", "[::]:15000", "example.org:15000"):
            error = self.assertRaises(ConfigurationError, address.bind, MemoryReactor(), text, None)
            self.assertIn("expected loopback or unix:PATH", str(error))

    def test_abstract_names_are_faults_for_they_have_no_owner(self):
        self.assertRaises(ConfigurationError, address.bind, MemoryReactor(), "unix:@meshd", None)

    def test_loopback_is_bound(self):
        for text, host in (("127.0.0.1:15000", "127.0.0.1"), ("[::1]:15000", "::1"), ("localhost:15000", "127.0.0.1")):
            reactor = MemoryReactor()
            address.bind(reactor, text, None)
            self.assertEqual([(row[0], row[3]) for row in reactor.tcpServers], [(15000, host)])

    def test_taken_port_is_said_in_one_line(self):
        error = self.assertRaises(OSError, address.bind, TakenReactor(), "127.0.0.1:15000", None)
        self.assertEqual(error.strerror, "admin: 127.0.0.1:15000: cannot bind: address already in use")


class UnixSocket(SynchronousTestCase):
    def setUp(self):
        folder = tempfile.mkdtemp()
        self.path = os.path.join(folder, "admin.sock")
        self.addCleanup(os.rmdir, folder)
        self.addCleanup(lambda: os.path.exists(self.path) and os.unlink(self.path))

    def bind(self):
        reactor = BindingReactor()
        address.bind(reactor, f"unix:{self.path}", None)
        self.addCleanup(reactor.socket.close)
        return reactor

    def test_is_never_open_to_others(self):
        self.assertEqual(self.bind().mode_at_bind & 0o077, 0)

    def test_file_of_a_process_that_is_gone_is_replaced(self):
        old = socket.socket(socket.AF_UNIX)
        old.bind(self.path)
        old.close()
        self.assertEqual(len(self.bind().unixServers), 1)

    def test_socket_that_answers_is_left_alone(self):
        old = socket.socket(socket.AF_UNIX)
        self.addCleanup(old.close)
        old.bind(self.path)
        old.listen()
        error = self.assertRaises(OSError, address.bind, MemoryReactor(), f"unix:{self.path}", None)
        self.assertIn("address already in use", str(error))
        self.assertTrue(os.path.exists(self.path))

    def test_file_that_is_no_socket_is_left_alone(self):
        with open(self.path, "w") as file:
            file.write("precious")
        error = self.assertRaises(OSError, address.bind, MemoryReactor(), f"unix:{self.path}", None)
        self.assertIn("is no socket", str(error))
        with open(self.path) as file:
            self.assertEqual(file.read(), "precious")
