"""Connects under way, and addresses."""

import os
import socket
import tempfile
import unittest

from meshd.wire import address
from meshd.wire.dialer import Dial, client_of
from meshd.wire.world import World
from tests.wire.world import StillWorld


class Clients(unittest.TestCase):
    def test_in_whose_name_a_connection_may_be_made(self):
        rows = (("192.0.2.1:40000", "192.0.2.1"), ("[2001:db8::1]:40000", "2001:db8::1"), ("127.0.0.1:40000", ""),
                ("[::1]:40000", ""), ("[fe80::1%eth0]:40000", ""), ("unix:", ""))
        for peer, expected in rows:
            self.assertEqual(client_of(peer), expected, peer)


class Dialing(unittest.TestCase):
    """``ended`` holds (descriptor number, reason) of each dial that was told."""

    def setUp(self):
        self.world = StillWorld()
        self.addCleanup(self.world.close)
        self.ended = []

    def dial(self, text, timeout_s=1.0):
        """Begin to connect; return the Dial."""
        dial = Dial(self.world.poller, self.world.wheel, timeout_s, lambda *end: self.ended.append(end))
        dial.begin(*address.parse(text))
        return dial

    def folder(self):
        """Return a short path that is removed again."""
        folder = tempfile.TemporaryDirectory(dir="/tmp")
        self.addCleanup(folder.cleanup)
        return folder.name

    def full_server(self):
        """Return the address of a server whose queue takes no more: a connect hangs."""
        server = socket.create_server(("127.0.0.1", 0), backlog=0)
        self.addCleanup(server.close)
        name = server.getsockname()
        for _ in range(4):
            sock = socket.socket()
            sock.setblocking(False)
            self.addCleanup(sock.close)
            sock.connect_ex(name)
        return address.render(name)

    def assert_clean(self):
        """Nothing is watched, nothing is timed."""
        self.assertEqual((self.world.poller.owners, self.world.bugs), ({}, []))
        self.world.advance(10)
        self.assertEqual(len(self.ended), 1)

    def test_connects(self):
        with socket.create_server(("127.0.0.1", 0)) as server:
            self.dial(address.render(server.getsockname()))
            self.assertEqual(self.ended, [])
            self.world.turn()
            (number, reason), = self.ended
            self.assertEqual(reason, "")
            with socket.socket(fileno=number) as sock:
                self.assertEqual(sock.getpeername(), server.getsockname())
                self.assertFalse(os.get_blocking(number))
                self.assertTrue(sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
                self.assert_clean()

    def test_connects_to_a_unix_socket(self):
        path = os.path.join(self.folder(), "s")
        with socket.socket(socket.AF_UNIX) as server:
            server.bind(path)
            server.listen()
            self.dial(f"unix:{path}")
            self.world.turn()
            os.close(self.ended[0][0])
        self.assert_clean()

    def test_refused(self):
        with socket.create_server(("127.0.0.1", 0)) as server:
            name = address.render(server.getsockname())
        self.dial(name)
        self.world.turn()
        self.assertEqual(self.ended, [(None, "connection refused")])
        self.assert_clean()

    def test_no_such_unix_socket(self):
        self.dial(f"unix:{self.folder()}/none")
        self.assertEqual(self.ended, [(None, "no such file or directory")])
        self.assert_clean()

    def test_a_unix_path_that_is_too_long(self):
        self.dial("unix:/" + "x" * 200)
        self.assertEqual(self.ended, [(None, "file name too long")])
        self.assert_clean()

    def test_time_out(self):
        self.dial(self.full_server(), timeout_s=2.5)
        self.world.advance(2.4)
        self.assertEqual(self.ended, [])
        self.world.advance(0.2)
        self.assertEqual(self.ended, [(None, "connect timed out after 2.5 s")])
        self.assert_clean()

    def test_cancelled_it_says_nothing(self):
        dial = self.dial(self.full_server())
        number = dial.fd
        dial.cancel()
        dial.cancel()
        with self.assertRaises(OSError):
            os.fstat(number)
        self.ended.append("nothing else")
        self.assert_clean()

    def test_an_owner_that_raises_leaves_nothing_behind(self):
        with socket.create_server(("127.0.0.1", 0)) as server:
            dial = Dial(self.world.poller, self.world.wheel, 1.0, lambda *end: 1 / 0)
            dial.begin(*address.parse(address.render(server.getsockname())))
            self.world.turn()
        self.assertEqual((len(self.world.bugs), self.world.poller.owners), (1, {}))


class Addresses(unittest.TestCase):
    def test_numeric_addresses(self):
        self.assertEqual(address.parse("127.0.0.1:80"), (socket.AF_INET, ("127.0.0.1", 80)))
        self.assertEqual(address.parse("[::1]:8080"), (socket.AF_INET6, ("::1", 8080)))
        self.assertEqual(address.parse("unix:/run/a b"), (socket.AF_UNIX, "/run/a b"))
        self.assertEqual(address.parse("unix:@name"), (socket.AF_UNIX, "\0name"))

    def test_a_name_is_not_numeric(self):
        for text in ("localhost:80", "example.com:80", "1.2.3:80", "[::zz]:80"):
            with self.assertRaisesRegex(ValueError, "expected a numeric address"):
                address.parse(text)

    def test_what_the_kernel_says_is_written_as_the_configuration_writes_it(self):
        for name, text in (
            (("127.0.0.1", 80), "127.0.0.1:80"), (("::1", 80, 0, 0), "[::1]:80"), ("/run/s", "unix:/run/s"),
            ("\0name", "unix:@name"), (b"\0name", "unix:@name"), (b"/run/s", "unix:/run/s"), ("", "unix:"),
        ):
            self.assertEqual(address.render(name), text)

    def test_each_rendered_address_parses_to_itself(self):
        for text in ("10.0.0.1:1", "[fe80::1]:65535", "unix:/a", "unix:@b"):
            self.assertEqual(address.render(address.parse(text)[1]), text)

    def test_the_host_alone(self):
        self.assertEqual(address.host_of("10.0.0.1:1"), "10.0.0.1")
        self.assertEqual(address.host_of("[fe80::1]:65535"), "fe80::1")
        self.assertEqual(address.host_of("unix:/a"), "unix:/a")


class Worlds(unittest.TestCase):
    def test_work_from_the_reactor_beats_and_closes_what_it_gave_up(self):
        world = StillWorld()
        self.addCleanup(world.close)
        beats = []
        ours, theirs = socket.socketpair()
        self.addCleanup(theirs.close)
        number = ours.detach()

        def work():
            beats.append(world.poller.beat)
            world.poller.close(number)
            os.fstat(number)

        World.run(world, work)
        self.assertGreater(beats[0], 0)
        self.assertEqual(world.beat, 0.0)
        with self.assertRaises(OSError):
            os.fstat(number)

    def test_the_heart_stops_after_an_error_too(self):
        world = StillWorld()
        self.addCleanup(world.close)
        with self.assertRaises(ZeroDivisionError):
            World.run(world, lambda: 1 / 0)
        self.assertEqual(world.beat, 0.0)

    def test_numbers_are_unique_and_logs_are_reopened(self):
        world = StillWorld()
        self.addCleanup(world.close)
        self.assertEqual([world.unique() for _ in range(3)], [1, 2, 3])
        reopened = []
        world.on_reopen.append(lambda: (reopened.append(1), world.on_reopen.clear()))
        world.reopen()
        world.reopen()
        self.assertEqual(reopened, [1])
