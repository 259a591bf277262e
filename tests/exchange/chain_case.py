"""A filter that notes what it sees, for the tests of the chain."""

from meshd.api.exchange import CONTINUE
from tests.exchange.mesh import GET, MeshCase

POST = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\n"


class Filter:
    """Notes in ``notes`` what it sees; ``request``, ``response`` and ``complete`` are called where they are given."""

    def __init__(self, name, notes, request=None, response=None, complete=None):
        self.name = name
        self.notes = notes
        self.acts = {"request": request, "response": response, "complete": complete}

    def see(self, phase, exchange, answer=None):
        """Note the phase and do what was asked for."""
        self.notes.append(f"{self.name}.{phase}")
        act = self.acts[phase]
        return answer if act is None else act(exchange)

    def on_request(self, exchange):
        """Called by the chain."""
        return self.see("request", exchange, CONTINUE)

    def on_response(self, exchange):
        """Called by the chain."""
        self.see("response", exchange)

    def on_complete(self, exchange):
        """Called by the chain."""
        self.see("complete", exchange)


def boom(exchange):
    """Be a plugin with a bug."""
    raise RuntimeError("boom")


class ChainCase(MeshCase):
    """``filter`` makes a noting filter."""

    def setUp(self):
        self.notes = []

    def filter(self, name, **acts):
        """Return a filter that notes what it sees."""
        return Filter(name, self.notes, **acts)

    def serve(self, mesh):
        """Send one request and let the upstream answer it; return what the client got."""
        client = mesh.client(GET)
        if not mesh.sink.ended:
            mesh.upstream.serve()
        return client.read()
