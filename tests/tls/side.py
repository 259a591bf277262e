"""Live TLS in a world that stands still, and a peer of the standard library's that is driven byte by byte."""

import ssl
import tempfile
import unittest
from pathlib import Path

from meshd.model.tls import Certificate, DownstreamTls, UpstreamTls, Validation
from meshd.tls.cells import TlsCells
from meshd.tls.client import ClientTls
from meshd.tls.server import ServerTls
from tests.pki import Authority
from tests.wire.world import Owner, StillWorld, pair, take


class TlsOwner(Owner):
    """An Owner that also hears the end of a handshake."""

    def secured(self, protocol):
        """Called by the layer."""
        self.note("secured")


class Peer:
    """The other side: plain bytes in and out by ``ssl``, ciphertext by the socket or by hand."""

    def __init__(self, sock, context, server_side=False, name=None):
        self.sock = sock
        self.incoming, self.outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.engine = context.wrap_bio(self.incoming, self.outgoing, server_side=server_side, server_hostname=name)
        self.got = b""
        self.is_ended = self.is_ready = False

    def step(self):
        """Take what has come and go on; return what is to be sent."""
        self.incoming.write(take(self.sock))
        try:
            if not self.is_ready:
                self.engine.do_handshake()
                self.is_ready = True
            while True:
                data = self.engine.read(65536)
                if not data:
                    self.is_ended = True
                    break
                self.got += data
        except ssl.SSLWantReadError:
            pass
        except ssl.SSLZeroReturnError:
            self.is_ended = True
        return self.outgoing.read()


class TlsCase(unittest.TestCase):
    """``serve`` and ``call`` give (layer, peer) pairs that have to be worked off by ``settle``."""

    def setUp(self):  # trial runs no setUpClass
        self.root = Authority()
        self.leaf = self.root.leaf("a.example", "uri:spiffe://mesh/ns/a/sa/b")
        self.world = StillWorld()
        self.addCleanup(self.world.close)
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)

    def tearDown(self):
        self.assertEqual(self.world.bugs, [])

    def file(self, name, data):
        """Write a file; return its path as text."""
        path = self.folder / name
        path.write_bytes(data)
        return str(path)

    def certificate(self, leaf=None, name="server"):
        """Return the model's certificate for a leaf that is written to files."""
        files = (leaf or self.leaf).write(self.folder, name)
        return Certificate(certificate_file=files[0], key_file=files[1])

    def validation(self, root=None, **rules):
        """Return the model's validation by ``root``."""
        return Validation(ca_file=self.file("ca.crt", (root or self.root).pem), **rules)

    def cells(self, scope="listener"):
        """Return counters."""
        return TlsCells(self.world.metrics, scope, "listener" if scope == "listener" else "cluster_name", "it")

    def server(self, *leaves, alpn=(), **settings):
        """Return a live ServerTls."""
        shown = [self.certificate(leaf, f"server{number}") for number, leaf in enumerate(leaves or (self.leaf,))]
        spec = DownstreamTls(certificates=tuple(shown), **settings)
        return ServerTls(spec, "listener it", str(self.folder), self.world, self.cells(), alpn)

    def client(self, alpn=(), **settings):
        """Return a live ClientTls."""
        spec = UpstreamTls(**{"validation": self.validation(), "sni": "a.example", **settings})
        return ClientTls(spec, "cluster it", str(self.folder), self.world, self.cells("cluster"), alpn)

    def sockets(self, small=False):
        """Return two connected sockets that are closed after the test."""
        ours, theirs = pair(small)
        self.addCleanup(theirs.close)
        return ours, theirs

    def peer_context(self, side=ssl.PROTOCOL_TLS_CLIENT, leaf=None):
        """Return a context for a Peer that trusts the root."""
        context = ssl.SSLContext(side)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        if leaf is not None:
            context.load_cert_chain(*leaf.write(self.folder, "peer"))
        return context

    def serve(self, tls=None, owner=None, context=None, name="a.example", small=False):
        """Return (layer of a server, Peer that is a client)."""
        ours, theirs = self.sockets(small)
        owner = owner or TlsOwner()
        layer = (tls or self.server()).accept(ours.detach(), owner)
        self.addCleanup(layer.release)
        return layer, Peer(theirs, context or self.peer_context(), name=name)

    def call(self, tls=None, owner=None, context=None, name="a.example"):
        """Return (layer of a client, Peer that is a server)."""
        ours, theirs = self.sockets()
        owner = owner or TlsOwner()
        context = context or self.peer_context(ssl.PROTOCOL_TLS_SERVER, self.leaf)
        layer = (tls or self.client()).connect(ours.detach(), owner, name, "10.0.0.1:443", 5.0)
        self.addCleanup(layer.release)
        return layer, Peer(theirs, context, server_side=True)

    def settle(self, peer, rounds=12):
        """Let both sides talk until neither says anything."""
        for _ in range(rounds):
            self.world.turn()
            try:
                data = peer.step()
            except ssl.SSLError as error:
                data = peer.outgoing.read()
                peer.error = error
            while data:
                try:
                    data = data[peer.sock.send(data):]
                except BlockingIOError:
                    self.world.turn()
                except OSError:
                    break
        self.world.turn()
