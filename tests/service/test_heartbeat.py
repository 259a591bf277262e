"""``meshd.service.heartbeat``: when systemd gets a ping, and when it does not."""

import errno

from twisted.internet.error import ConnectError, ConnectionDone
from twisted.internet.testing import MemoryReactorClock, StringTransport
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from meshd.service.heartbeat import Heartbeat


class FakeNotify:
    """Counts pings."""

    def __init__(self, watchdog_s):
        self.watchdog_s = watchdog_s
        self.pings = 0

    def watchdog(self):
        self.pings += 1


class Beating(SynchronousTestCase):
    def make(self, watchdog_s=8.0, where="127.0.0.1:15000", is_full=False):
        """Start a heartbeat with a first ping."""
        self.reactor, self.notify = MemoryReactorClock(), FakeNotify(watchdog_s)
        self.heartbeat = Heartbeat(self.reactor, self.notify, lambda: where, lambda: is_full)
        self.heartbeat.start()

    def asked(self):
        """Return (protocol, transport) of the last question."""
        protocol = self.reactor.tcpClients[-1][2].buildProtocol(None)
        transport = StringTransport()
        protocol.makeConnection(transport)
        return protocol, transport

    def answer(self, *pieces):
        """Answer the last question."""
        protocol, transport = self.asked()
        for piece in pieces:
            protocol.dataReceived(piece)
        return transport

    def test_pings_at_half_of_the_time_after_an_answer(self):
        self.make()
        self.assertEqual(self.notify.pings, 1)
        self.reactor.advance(3.9)
        self.assertEqual(len(self.reactor.tcpClients), 0)
        self.reactor.advance(0.1)
        self.assertEqual(self.reactor.tcpClients[-1][:2], ("127.0.0.1", 15000))
        self.assertEqual(self.notify.pings, 1)
        transport = self.answer(b"HTTP/1.1 2", b"00 OK\r\n\r\nOK\n")
        self.assertTrue(transport.value().startswith(b"GET /healthz HTTP/1.1\r\nhost: localhost\r\n"))
        self.assertTrue(transport.disconnecting)
        self.assertEqual(self.notify.pings, 2)
        self.reactor.advance(4.0)
        self.assertEqual(len(self.reactor.tcpClients), 2)

    def test_asks_where_the_admin_api_is(self):
        self.make(where="unix:/run/meshd/admin")
        self.reactor.advance(4.0)
        self.assertEqual(self.reactor.unixClients[-1][0], "/run/meshd/admin")
        self.make(where="[::1]:15000")
        self.reactor.advance(4.0)
        self.assertEqual(self.reactor.tcpClients[-1][:2], ("::1", 15000))

    def test_no_ping_where_the_reactor_was_late(self):
        self.make()
        self.reactor.rightNow = 6.5  # a call kept the reactor until then, 2.5 s after the look was due
        self.reactor.advance(0)
        self.assertEqual((len(self.reactor.tcpClients), self.notify.pings), (0, 1))
        self.reactor.advance(1.0)  # looked at again soon
        self.answer(b"HTTP/1.1 200 OK\r\n")
        self.assertEqual(self.notify.pings, 2)

    def test_no_ping_without_an_answer_in_time_but_soon_after_one(self):
        self.make()
        self.reactor.advance(4.0)
        protocol, transport = self.asked()
        self.reactor.advance(2.0)
        self.assertTrue(transport.disconnected)
        protocol.connectionLost(Failure(ConnectionDone()))
        self.assertEqual(self.notify.pings, 1)
        self.reactor.advance(1.0)
        self.assertEqual(len(self.reactor.tcpClients), 2)
        self.answer(b"HTTP/1.1 200 OK\r\n")
        self.assertEqual(self.notify.pings, 2)

    def test_no_ping_for_another_answer_or_none(self):
        for pieces in ((b"HTTP/1.1 500 Oops\r\n",), (b"SSH-2.0-OpenSSH\r\n",), ()):
            self.make()
            self.reactor.advance(4.0)
            protocol, _ = self.asked()
            for piece in pieces:
                protocol.dataReceived(piece)
            protocol.connectionLost(Failure(ConnectionDone()))
            self.assertEqual(self.notify.pings, 1, pieces)

    def test_an_admin_api_that_turns_connections_away_is_alive(self):
        self.make(is_full=True)
        self.reactor.advance(4.0)
        protocol, _ = self.asked()
        protocol.connectionLost(Failure(ConnectionDone()))
        self.assertEqual(self.notify.pings, 2)

    def test_want_of_descriptors_or_ports_is_no_reason_to_be_restarted(self):
        for number, pings in ((errno.EMFILE, 2), (errno.EADDRNOTAVAIL, 2), (errno.ECONNREFUSED, 1), (errno.ENOENT, 1)):
            self.make()
            self.reactor.advance(4.0)
            self.reactor.tcpClients[-1][2].clientConnectionFailed(None, Failure(ConnectError(number)))
            self.assertEqual(self.notify.pings, pings, number)

    def test_nothing_is_asked_after_the_end(self):
        self.make()
        self.heartbeat.stop()
        self.reactor.advance(10.0)
        self.make()
        self.reactor.advance(4.0)
        protocol, transport = self.asked()
        self.heartbeat.stop()
        self.assertTrue(transport.disconnected)
        self.assertEqual((self.notify.pings, self.reactor.getDelayedCalls()), (1, []))

    def test_without_a_watchdog_nothing_is_done(self):
        self.make(watchdog_s=0.0)
        self.assertEqual((self.notify.pings, self.reactor.getDelayedCalls()), (0, []))
