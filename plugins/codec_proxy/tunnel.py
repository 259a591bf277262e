"""The upstream half of a session: the frame that opened it goes first, then bytes pass as they are."""

from meshd.api import flag

HIGH_BYTES = 1024 * 1024


class Tunnel:
    """Bytes of the client that come before the endpoint is there wait, the client is not read meanwhile."""

    def __init__(self, hub, client, frame, view, cluster, address):
        self._hub = hub
        self._client = client
        self._frame = frame
        self._view = view
        self._early = [frame.data, client.rest()]
        self._is_open = self._is_over = self._is_ending = False
        client.link.pause()
        self._stream = hub.connect(cluster, self, address)

    # The client's side

    def send(self, data):
        """Pass bytes of the client on."""
        if not self._is_open:
            self._early.append(data)
            return
        self._view.request_bytes += len(data)
        self._stream.send(data)
        if self._stream.pending_bytes > HIGH_BYTES:
            self._client.link.pause()

    def resume(self):
        """The client takes bytes again."""
        self._stream.resume()

    def finish(self):
        """The client says nothing more: nor do we, once the endpoint has everything. The endpoint ends the session."""
        self._is_ending = True
        if self._is_open:
            self._stream.half_close()

    def close(self):
        """The client has gone."""
        self._stream.close()
        self._end(0, "")

    # The stream's side

    def opened(self):
        """The endpoint is there."""
        self._is_open = True
        self._stream.send(b"".join(self._early))
        self._early = []
        if self._is_ending:
            self._stream.half_close()
        self._hub.cells.active.inc()
        self._client.link.resume()

    def received(self, data):
        """Pass bytes of the endpoint on."""
        self._view.response_bytes += len(data)
        link = self._client.link
        link.send(data)
        if link.pending_bytes > HIGH_BYTES:
            self._stream.pause()

    def drained(self):
        """The endpoint takes bytes again."""
        self._client.link.resume()

    def lost(self, reason):
        """It ended, or could not be opened."""
        if self._is_open:
            self._end(0, reason)
            self._client.end()
        elif not self._is_over:
            self._is_over = True
            self._hub.refuse(self._client, self._frame, self._view, flag.UF, reason)
            self._client.end()

    def _end(self, bit, reason):
        if self._is_over:
            return
        self._is_over = True
        if self._is_open:
            self._hub.cells.active.dec()
            self._view.session_ended(self._hub.now())
            self._hub.ended(self._view, "ok")
