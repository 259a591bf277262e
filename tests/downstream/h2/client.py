"""An HTTP/2 client for a mesh in the test's process: a session of its own on a socket pair."""

from meshd.http.h2.session import start
from meshd.http.h2.settings import Settings
from meshd.http.head import RequestHead
from meshd.http.headers import Headers
from meshd.model.http2 import Http2Options
from tests.exchange.mesh import MeshCase
from tests.h2.pair import Log

DEFAULT = Settings()
ENGINES = ("fast", "pure")


def request(path=b"/", method=b"GET", length=0, **fields):
    """Return a request's head; ``length`` as in ``RequestHead``."""
    pairs = [(name.replace("_", "-").encode(), value) for name, value in fields.items()]
    if length > 0:
        pairs.append((b"content-length", b"%d" % length))
    head = RequestHead(method, path, b"a.example", 20, Headers.of((b"host", b"a.example"), *pairs))
    head.content_length = length
    return head


class Client:
    """``log`` has what the mesh said; ``session`` speaks to it after ``turn``."""

    def __init__(self, mesh, engine="fast", settings=DEFAULT, consumes=True, small=False):
        self.mesh = mesh
        self.peer = mesh.client(small=small)
        self.log = Log(consumes)
        self.session = self.log.session = start("client", settings, self.log, engine)
        self.turn()
        self.log.take()

    def turn(self):
        """Carry bytes both ways until nothing moves."""
        for _ in range(2000):
            data = self.session.take()
            if data:
                self.peer.send(data)
            back = self.peer.read(1 << 20)
            if back:
                self.session.receive(back)
            elif not data:
                return
        raise AssertionError("they never stop talking")

    def begin(self, head=None, is_last=True):
        """Begin a request; return its stream."""
        stream_id = self.session.request(head or request(), is_last)
        assert stream_id
        self.turn()
        return stream_id

    def send(self, stream_id, data, is_last=False):
        """Send bytes of a body."""
        self.session.send(stream_id, data, is_last)
        self.turn()

    def events(self):
        """Return what the mesh said since the last time."""
        self.turn()
        return self.log.take()

    def status(self, stream_id):
        """Return the status of an answer, 0 where there is none."""
        self.turn()
        head = self.log.heads.get(stream_id)
        return 0 if head is None else head.status

    def body(self, stream_id):
        """Return what has come of a body."""
        self.turn()
        return self.log.bodies.get(stream_id, b"")


class H2Case(MeshCase):
    """``self.engine`` is what the mesh speaks HTTP/2 by."""

    engine = "fast"

    def mesh(self, *filters, http=(), http2=(), **options):
        """Return a Mesh that speaks HTTP/2 with ``engine``."""
        http = {"http2": Http2Options(engine=self.engine, **dict(http2)), **dict(http)}
        return super().mesh(*filters, http=http, **options)

    def client(self, mesh, **options):
        """Return a client of ``mesh``."""
        return Client(mesh, **options)

    def assert_at_rest(self, mesh):
        """No stream is open, and nothing says otherwise."""
        super().assert_at_rest(mesh)
        self.assertEqual(mesh.listener.whole.http2.cells.streams.value, 0)
        self.assertEqual(mesh.listener.whole.http2.cells.active.value, 0)
        self.assertEqual(mesh.listener.cells.active.value, 0)
