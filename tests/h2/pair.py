"""Two sessions that talk to each other in memory; a sink that writes down what it is told."""

from meshd.http.h2.session import start
from meshd.http.h2.settings import Settings


class Log:
    """A sink that keeps what it was told as tuples, heads by their facts; consumes bodies where ``consumes``."""

    def __init__(self, consumes: bool = True) -> None:
        self.events = []
        self.counts = []
        self.heads = {}
        self.bodies = {}
        self.session = None
        self.consumes = consumes

    def on_request(self, stream_id, head, is_last):
        self.heads[stream_id] = head
        self.events.append(("request", stream_id, head.method, head.target, head.host, is_last))

    def on_response(self, stream_id, head, is_last):
        self.heads[stream_id] = head
        self.events.append(("response", stream_id, head.status, is_last))

    def on_informational(self, stream_id, head):
        self.events.append(("informational", stream_id, head.status))

    def on_body(self, stream_id, data):
        assert data
        self.bodies[stream_id] = self.bodies.get(stream_id, b"") + data
        if self.consumes:
            self.session.consume(stream_id, len(data))

    def on_end(self, stream_id, trailers):
        self.events.append(("end", stream_id, None if trailers is None else list(trailers)))

    def on_reset(self, stream_id, code, is_local):
        self.events.append(("reset", stream_id, code, is_local))

    def on_closed(self, stream_id):
        self.events.append(("closed", stream_id))

    def on_writable(self, stream_id):
        self.events.append(("writable", stream_id))

    def on_settings(self, max_concurrent_streams, allows_connect):
        self.events.append(("settings", max_concurrent_streams, allows_connect))

    def on_goaway(self, last_stream_id, code, debug):
        self.events.append(("goaway", last_stream_id, code))

    def on_ping_ack(self, payload):
        self.events.append(("ping_ack", payload))

    def on_error(self, code, detail, message):
        self.events.append(("error", code, detail))

    def on_count(self, name):
        self.counts.append(name)

    def take(self):
        """Return what was told since the last time."""
        events, self.events = self.events, []
        return events


DEFAULT = Settings()


class Pair:
    """A client and a server, each with its log."""

    def __init__(self, client_engine, server_engine, client=DEFAULT, server=DEFAULT, consumes=True, clock=None):
        self.there, self.here = Log(consumes), Log(consumes)
        self.client = self.there.session = start("client", client, self.there, client_engine, clock)
        self.server = self.here.session = start("server", server, self.here, server_engine, clock)
        self.pump()
        self.there.take(), self.here.take()

    def pump(self, piece=0):
        """Carry bytes until neither has any; ``piece``: at most so many at once."""
        for _ in range(1000):
            sent = self.client.take()
            back = self.server.take()
            if not sent and not back:
                return
            for to, data in ((self.server, sent), (self.client, back)):
                for at in range(0, len(data), piece or len(data) or 1):
                    to.receive(data[at:at + piece] if piece else data)
        raise AssertionError("they never stop talking")
