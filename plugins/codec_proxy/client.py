"""One client's connection: its frames are routed, its heartbeats answered; a session becomes a pair of connections."""

from meshd.api import HEARTBEAT, ONEWAY, REQUEST, SESSION, ProtocolError, flag
from meshd_plugins.codec_proxy.frames import Frames
from meshd_plugins.codec_proxy.view import View

HIGH_BYTES = 1024 * 1024
"""So many bytes that a client has not taken end its requests being read, or its session's upstream."""
MOST_BYTES = 64 * HIGH_BYTES
"""So many, of responses to what it had asked before, end the client: others wait for the same upstream."""


class Client:
    """``link`` is the connection, which calls ``received``, ``received_eof``, ``drained`` and, last, ``lost``.

    ``waiting`` counts the requests without a response.
    """

    def __init__(self, hub, session, link):
        self.hub = hub
        self.session = session
        self.link = link
        self.waiting = 0
        self.tunnel = None
        self._frames = Frames(hub.codec)
        self._is_ending = self._is_over = False
        hub.clients.add(self)

    # The link's side

    def received(self, data):
        """Bytes of the client."""
        if self.tunnel is not None:
            self.tunnel.send(data)
            return
        try:
            for frame in self._frames.feed(data):
                if not self._is_over:
                    self._on_frame(frame)
        except ProtocolError as error:
            self._on_malformed(data, error)

    def _on_frame(self, frame):
        hub = self.hub
        if frame.kind in (REQUEST, ONEWAY):
            hub.route(self, frame, View(self.session, hub.codec, frame, hub.now(), hub.cells.labels[-1]))
        elif frame.kind == HEARTBEAT:
            hub.cells.heartbeats.inc()
            self.answer(hub.codec.heartbeat_answer(frame).data)
        elif frame.kind == SESSION and self.tunnel is None:
            hub.open(self, frame, View(self.session, hub.codec, frame, hub.now(), hub.cells.labels[-1]))

    def _on_malformed(self, data, error):
        self.hub.cells.client_errors.inc()
        self.session.flags |= flag.DPE
        self.session.detail = str(error)
        last = self.hub.codec.malformed(self._frames.left or data)
        if last:
            self.link.send(last)
        self.end()

    def received_eof(self):
        """The client says nothing more; it still gets its responses."""
        if self.tunnel is not None:
            self.tunnel.finish()
        elif not self.waiting:
            self.end()
        else:
            self._is_ending = True

    def drained(self):
        """The client takes bytes again."""
        if self.link.pending_bytes <= HIGH_BYTES // 2:
            if self.tunnel is not None:
                self.tunnel.resume()
            else:
                self.link.resume()

    def lost(self, reason):
        """The connection has ended."""
        if self._is_over:
            return
        self._is_over = True
        self.hub.left(self)
        if self.tunnel is not None:
            self.tunnel.close()

    # The upstream's side

    def answer(self, data):
        """Send a response; a client that does not take its responses is asked for no more requests, then cut."""
        if self._is_over:
            return
        if data:
            self.link.send(data)
        if self.link.pending_bytes > MOST_BYTES:
            self.session.refuse(detail="responses_not_taken")
            return
        if self.link.pending_bytes > HIGH_BYTES:
            self.link.pause()
        if self._is_ending and not self.waiting:
            self.end()

    def pause(self):
        """Read no more of the client for now."""
        self.link.pause()

    def resume(self):
        """Read the client again."""
        if not self._is_over and self.link.pending_bytes <= HIGH_BYTES:
            self.link.resume()

    def drain(self):
        """The connection should end: it does once nobody waits for anything. What is asked until then is served."""
        if self.tunnel is None:
            self._is_ending = True
            if not self.waiting:
                self.end()

    def rest(self):
        """Return the bytes behind the frame that opened a session."""
        return self._frames.left

    def end(self):
        """Close it; what was sent is still taken."""
        if not self._is_over:
            self.lost("")
            self.link.close()
