"""``meshd.admin.handed``: the admin API on a socket that listens already."""

import os
import socket
import stat
import tempfile

from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IListeningPort, IReadDescriptor
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.task import deferLater
from twisted.trial.unittest import TestCase
from zope.interface.verify import verifyObject

from meshd.admin import address
from meshd.errors import ConfigurationError


class Greeting(Protocol):
    def connectionMade(self):
        self.transport.write(b"hello")
        self.transport.loseConnection()


class Refusing(Factory):
    def buildProtocol(self, addr):
        self.done.callback(None)
        return None


class Handed(TestCase):
    def setUp(self):
        self.folder = tempfile.mkdtemp()
        self.path = os.path.join(self.folder, "admin")
        self.addCleanup(os.rmdir, self.folder)
        self.addCleanup(lambda: os.path.exists(self.path) and os.unlink(self.path))

    def unix(self):
        sock = socket.socket(socket.AF_UNIX)
        sock.bind(self.path)
        os.chmod(self.path, 0o600)
        return sock

    def adopt(self, sock, factory=None):
        sock.listen(10)
        sock.setblocking(False)
        port = address.adopt(reactor, sock, factory or Factory.forProtocol(Greeting))
        self.addCleanup(port.stopListening)
        return port

    def tcp(self, host="127.0.0.1"):
        sock = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
        sock.bind((host, 0))
        return sock

    async def greeting(self, client):
        """Return what a connected client gets."""
        self.addCleanup(client.close)
        client.setblocking(False)
        while True:
            try:
                return client.recv(100)
            except BlockingIOError:
                await deferLater(reactor, 0.01, lambda: None)

    def test_serves_on_a_port(self):
        async def talk():
            port = self.adopt(self.tcp())
            bound = address.render(port, "127.0.0.1:0")
            verifyObject(IListeningPort, port)
            verifyObject(IReadDescriptor, port)
            client = socket.create_connection(("127.0.0.1", int(bound.rpartition(":")[2])))
            self.assertEqual(await self.greeting(client), b"hello")
        return Deferred.fromCoroutine(talk())

    def test_serves_on_a_unix_socket_and_changes_neither_its_mode_nor_its_file(self):
        async def talk():
            port = self.adopt(self.unix())
            self.assertEqual(address.render(port, "127.0.0.1:15000"), f"unix:{self.path}")
            client = socket.socket(socket.AF_UNIX)
            client.connect(self.path)
            self.assertEqual(await self.greeting(client), b"hello")
            self.assertEqual(stat.S_IMODE(os.stat(self.path).st_mode), 0o600)
        return Deferred.fromCoroutine(talk())

    def test_the_file_stays_at_the_end(self):
        self.adopt(self.unix()).stopListening()
        self.assertTrue(os.path.exists(self.path))

    def test_a_client_that_the_factory_turns_away_is_closed(self):
        async def talk():
            factory = Refusing()
            factory.done = Deferred()
            port = self.adopt(self.tcp(), factory)
            client = socket.create_connection(("127.0.0.1", port.getHost().port))
            self.assertEqual(await self.greeting(client), b"")
        return Deferred.fromCoroutine(talk())

    def test_a_socket_that_others_could_reach_is_refused_and_closed(self):
        for sock in (self.tcp("0.0.0.0"), self.tcp("::")):
            sock.listen(1)
            error = self.assertRaises(ConfigurationError, address.adopt, reactor, sock, None)
            self.assertIn("reachable from other machines", str(error))
            self.assertEqual(sock.fileno(), -1)

    def test_an_abstract_name_is_refused(self):
        sock = socket.socket(socket.AF_UNIX)
        sock.bind(f"\0{self.path}")
        sock.listen(1)
        self.assertRaises(ConfigurationError, address.adopt, reactor, sock, None)
