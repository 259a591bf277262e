"""An upstream that does what a test tells it for one request, and answers every other like a Recorder."""

import contextlib
import queue

from tests.conversation.recorder import Seen, read_body
from tests.integration.harness.upstream import Upstream, reply


class Puppet(Upstream):
    """Requests for /act get ``act(peer, head)``, which says whether the connection goes on.

    ``seen`` are (number of the connection, head) of all requests; ``done`` gets a word after each act. A request that
    comes on a connection whose act has ended it would be in ``late``.
    """

    def __init__(self):
        self.act = None
        self.seen = []
        self.late = []
        self.done = queue.Queue()
        super().__init__(self.serve)

    def serve(self, peer):
        """Serve one connection."""
        number = self.accepted
        while True:
            head = peer.head()
            self.seen.append((number, head))
            if head.split(b" ")[1].startswith(b"/act"):
                try:
                    goes_on = self.act(peer, head)
                finally:
                    self.done.put(number)
                if not goes_on:
                    return
            else:
                body, trailers = read_body(peer, head)
                assert Seen(head, body, trailers).faults() == []
                peer.send(reply(head + body))

    def forget(self):
        """A new test begins."""
        self.done = queue.Queue()
        self.late = []

    def wait_end(self, peer):
        """Wait until the proxy has closed; what it still says stands in ``late``."""
        with contextlib.suppress(ConnectionResetError):
            while data := peer.sock.recv(65536):
                self.late.append(data)

    def play(self, data, mode="whole", is_closed=False, is_last=False):
        """Answer /act with ``data``; then close, or wait until the proxy does (``is_last``), or go on."""
        def act(peer, head):
            read_body(peer, head)
            for at in range(0, len(data), size):
                peer.send(data[at:at + size])
            if is_last:
                self.wait_end(peer)
            return not is_closed and not is_last
        size = len(data) or 1
        if mode == "split":
            size = 1 if len(data) < 4000 else 509
        self.act = act
