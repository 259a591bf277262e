"""A mesh whose cluster speaks HTTP/2, and the endpoints' side of its connections, as a session that the test drives."""

from meshd.http.h2.session import start
from meshd.http.h2.settings import Settings
from meshd.http.head import ResponseHead
from meshd.http.headers import Headers
from tests.exchange.mesh import MeshCase
from tests.h2.pair import Log

ENGINES = ("fast", "pure")


class Server(Log):
    """The endpoint's end of one connection; ``engine`` is of this end."""

    def __init__(self, peer, settings=Settings(), engine="pure", consumes=True):
        super().__init__(consumes)
        self.peer = peer
        self.session = start("server", settings, self, engine)
        self.turn()

    def turn(self):
        """Say and hear everything."""
        for _ in range(100):
            data = self.session.take()
            if data:
                self.peer.send(data)
            heard = self.peer.read()
            if heard:
                self.session.receive(heard)
            elif not data:
                return
        raise AssertionError("they never stop talking")

    def requests(self):
        """Return the numbers of the streams that have come."""
        self.turn()
        return [event[1] for event in self.events if event[0] == "request"]

    def answer(self, stream_id, body=b"", status=200, fields=(), is_last=True):
        """Answer a request."""
        head = ResponseHead(status, Headers.of(*fields), version=20)
        self.session.respond(stream_id, head, is_last and not body)
        if body:
            self.session.send(stream_id, body, is_last)
        self.turn()

    def told(self, kind):
        """Return the events of one kind."""
        self.turn()
        return [event for event in self.events if event[0] == kind]


class H2Case(MeshCase):
    """``engine`` is of meshd's side."""

    engine = "fast"

    def h2(self, upstreams=1, cluster=(), **options):
        """Return a Mesh."""
        mesh = self.mesh(upstreams=upstreams, cluster={"protocol": "http2", **dict(cluster)}, **options)
        for endpoint in mesh.cluster.endpoints:
            pool = getattr(endpoint.pool, "streams", endpoint.pool)
            pool.engine = self.engine
        self.servers = []
        return mesh

    def server(self, mesh, settings=Settings(), at=0, **options):
        """Return the server of the next connection."""
        made = Server(mesh.upstreams[at].accept(), settings, **options)
        self.servers.append(made)
        return made


def both(cls):
    """Make a test class for each engine of it; return that of the fast one."""
    import sys
    module = sys.modules[cls.__module__]
    pure = type(f"{cls.__name__}Pure", (cls,), {"engine": "pure", "__module__": cls.__module__})
    setattr(module, pure.__name__, pure)
    return cls
