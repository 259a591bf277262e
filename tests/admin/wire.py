"""A conversation with the admin site over a memory transport."""

from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport

from meshd.admin.index import PAGES
from meshd.admin.site import AdminSite


class Turns(Clock):
    """A clock whose ``turn`` runs what was due at its start, as a reactor does; ``writers`` have unsent bytes."""

    writers = ()

    def getWriters(self):
        return list(self.writers)

    def turn(self):
        for call in [call for call in self.calls if call.getTime() <= self.seconds()]:
            if call.active():
                self.calls.remove(call)
                call.called = 1
                call.func(*call.args, **call.kw)


class Wire:
    """One connection to an AdminSite; ``say`` returns what came back."""

    def __init__(self, daemon, is_unix=False, pages=PAGES):
        self.clock = Turns()
        self.site = AdminSite(daemon, pages, is_unix=is_unix, reactor=self.clock)
        self.transport, self.channel = self.connect()

    def connect(self):
        """Return (transport, channel) of one more connection; channel is None where it was refused."""
        channel = self.site.buildProtocol(None)
        transport = StringTransport()
        if channel is not None:
            channel.makeConnection(transport)
        return transport, channel

    def say(self, data):
        """Send bytes; return all that was answered since."""
        self.transport.clear()
        self.channel.dataReceived(data)
        self.turn()
        return self.transport.value()

    def turn(self, turns=50):
        """Let the reactor run: what is written in pieces comes out."""
        for _ in range(turns):
            self.clock.turn()

    def ask(self, target, method="GET", fields=(), body=b""):
        """Return (status, fields, body) of one request."""
        lines = [f"{method} {target} HTTP/1.1", "host: localhost", *fields]
        if body or method == "POST":
            lines.append(f"content-length: {len(body)}")
        answer = self.say("\r\n".join([*lines, "", ""]).encode() + body)
        head, _, rest = answer.partition(b"\r\n\r\n")
        status, *pairs = head.decode("latin-1").split("\r\n")
        found = {name.lower(): value for name, _, value in (pair.partition(": ") for pair in pairs)}
        if found.get("transfer-encoding") == "chunked":
            rest = dechunk(rest)
        return int(status.split()[1]), found, rest


def dechunk(data):
    """Return the body of a chunked answer."""
    body = b""
    while data:
        size, _, data = data.partition(b"\r\n")
        count = int(size, 16)
        if not count:
            break
        body, data = body + data[:count], data[count + 2:]
    return body
