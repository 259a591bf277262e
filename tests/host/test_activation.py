"""``meshd.host.activation``: what systemd hands over is checked, named and not passed on."""

import os
import socket
import tempfile
from unittest import TestCase

from meshd.host.activation import MAX_SOCKETS, take

PID = 4711


class TestTake(TestCase):
    def hand(self, *things):
        """Return the first of a row of descriptors like these (descriptors of ours), as systemd would leave them."""
        first = 700
        for place, thing in enumerate(things):
            number = thing if isinstance(thing, int) else thing.fileno()
            os.dup2(number, first + place, inheritable=True)
            self.addCleanup(self.close, first + place)
        return first

    @staticmethod
    def close(number):
        try:
            os.close(number)
        except OSError:
            pass

    def listening(self):
        sock = socket.create_server(("127.0.0.1", 0))
        self.addCleanup(sock.close)
        return sock

    def take(self, count, names, first, **more):
        """Take from an environment, which is empty then."""
        environment = {"LISTEN_FDS": str(count), "LISTEN_PID": str(PID), "LISTEN_FDNAMES": names, **more}
        found = take(environment, PID, first)
        self.assertEqual(environment, {})
        for _, sock in found.sockets:
            self.addCleanup(sock.close)
        return found

    def test_listening_sockets_come_with_their_names(self):
        one, two = self.listening(), self.listening()
        found = self.take(2, "public:admin", self.hand(one, two))
        self.assertEqual(found.faults, [])
        self.assertEqual([(name, sock.getsockname()) for name, sock in found.sockets],
                         [("public", one.getsockname()), ("admin", two.getsockname())])

    def test_children_do_not_inherit_them(self):
        found = self.take(1, "public", self.hand(self.listening()))
        self.assertFalse(found.sockets[0][1].get_inheritable())

    def test_names_may_be_missing(self):
        found = self.take(2, "public", self.hand(self.listening(), self.listening()))
        self.assertEqual([name for name, _ in found.sockets], ["public", ""])

    def test_bound_sockets_of_udp_are_taken(self):
        bound, unbound = (socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(2))
        self.addCleanup(bound.close)
        self.addCleanup(unbound.close)
        bound.bind(("127.0.0.1", 0))
        found = self.take(2, "dns:none", self.hand(bound, unbound))
        self.assertEqual([(name, sock.getsockname()) for name, sock in found.sockets], [("dns", bound.getsockname())])
        self.assertEqual(len(found.faults), 1)

    def test_what_is_no_listening_stream_socket_is_closed_and_said(self):
        datagram = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        idle = socket.socket()
        self.addCleanup(datagram.close)
        self.addCleanup(idle.close)
        with tempfile.TemporaryFile() as file:
            first = self.hand(datagram, idle, file.fileno(), self.listening())
            found = self.take(5, "a:b:c:d:e", first)
        self.assertEqual([name for name, _ in found.sockets], ["d"])
        expected = "expected a listening stream socket, or a bound one of UDP"
        self.assertEqual(found.faults, [
            f"descriptor {first} 'a' from systemd: AF_UNIX SOCK_DGRAM: {expected}",
            f"descriptor {first + 1} 'b' from systemd: AF_INET SOCK_STREAM, not listening: {expected}",
            f"descriptor {first + 2} 'c' from systemd: socket operation on non-socket: {expected}",
            f"descriptor {first + 4} 'e' from systemd: bad file descriptor: {expected}",
        ])
        for number in (first, first + 1, first + 2):
            with self.assertRaises(OSError):
                os.fstat(number)

    def test_what_is_for_another_process_is_left_alone_and_not_passed_on(self):
        first = self.hand(self.listening())
        environment = {"LISTEN_FDS": "1", "LISTEN_PID": str(PID + 1), "LISTEN_FDNAMES": "public", "HOME": "/"}
        self.assertEqual(take(environment, PID, first), ([], []))
        self.assertEqual(environment, {"HOME": "/"})
        os.fstat(first)

    def test_without_the_variables_there_is_nothing(self):
        self.assertEqual(take({}, PID), ([], []))

    def test_odd_numbers_are_faults(self):
        for count in ("x", "-1", "1.5", str(MAX_SOCKETS + 1), "9" * 50):
            found = self.take(count, "", 700)
            self.assertEqual(found.sockets, [])
            self.assertIn("LISTEN_FDS: expected a number of at most", found.faults[0])
