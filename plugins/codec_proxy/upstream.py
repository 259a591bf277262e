"""One connection to an endpoint that many clients share: requests get ids of its own, responses their old ones back."""

import heapq

from meshd.api import HEARTBEAT, REQUEST, RESPONSE, ProtocolError, flag
from meshd_plugins.codec_proxy.frames import Frames

HIGH_BYTES = 1024 * 1024
"""So many bytes that wait for the endpoint pause the clients whose requests come."""
MOST_DEADLINES = 1024
"""So many deadlines of requests that have their responses are kept, beside as many as requests wait."""
LAST_ID = 2**63 - 1


class Pending:
    """A request that waits for its response. ``view`` is what is told of it at the end."""

    __slots__ = ("client", "frame", "id", "view", "deadline", "breaker")

    def __init__(self, client, frame, view, deadline):
        self.client = client
        self.frame = frame
        self.id = frame.id
        self.view = view
        self.deadline = deadline
        self.breaker = view.cluster.breaker


class Shared:
    """``hub`` knows the codec, the clock and who is to be told. It leaves the hub when the connection ends."""

    def __init__(self, hub, key, cluster, address):
        self.hub = hub
        self.key = key
        self.pending = {}
        self.paused = set()
        self._frames = Frames(hub.codec)
        self._queue = []
        self._queue_bytes = 0
        self._deadlines = []
        self._call = None
        self._call_at = 0.0
        self._next = 0
        self._is_open = False
        self._last = hub.now()
        self.stream = hub.connect(cluster, self, address)

    # Requests

    def send(self, client, frame, view, timeout_s):
        """Pass a request on; what is refused is told to the client."""
        hub = self.hub
        if len(self.pending) >= hub.max_requests:
            hub.refuse(client, frame, view, flag.UO, "too many unanswered requests on the connection")
            return
        if frame.kind == REQUEST and not view.cluster.breaker.admit_request():
            hub.refuse(client, frame, view, flag.UO, "too many requests to the cluster")
            return
        now = self._last = hub.now()
        number = self._number()
        data = hub.encode(frame, number)
        if frame.kind == REQUEST:
            deadline = now + timeout_s if timeout_s else 0.0
            self.pending[number] = Pending(client, frame, view, deadline)
            client.waiting += 1
            hub.cells.active.inc()
            if timeout_s:
                self._push(deadline, number)
        else:
            hub.ended(view, "oneway")
        if self._is_open:
            self.stream.send(data)
        else:
            self._queue.append(data)
            self._queue_bytes += len(data)
        if self.stream.pending_bytes + self._queue_bytes > HIGH_BYTES:
            self.paused.add(client)
            client.pause()

    def _number(self):
        self._next = self._next % LAST_ID + 1
        while self._next in self.pending:
            self._next += 1
        return self._next

    def forget(self, client):
        """A client has gone: nobody waits for its responses."""
        self.paused.discard(client)
        for number in [number for number, one in self.pending.items() if one.client is client]:
            self._take(number)

    def _take(self, number):
        pending = self.pending.pop(number, None)
        if pending is not None:
            pending.client.waiting -= 1
            pending.breaker.release_request()
            self.hub.cells.active.dec()
        return pending

    # The stream's side

    def opened(self):
        """The endpoint is there."""
        self._is_open = True
        queue, self._queue = self._queue, []
        self._queue_bytes = 0
        if queue:
            self.stream.send(b"".join(queue))
        if not self.stream.pending_bytes:
            self.drained()
        self._rest()

    def received(self, data):
        """Responses, heartbeats."""
        self._last = self.hub.now()
        try:
            frames = self._frames.feed(data)
        except ProtocolError as error:
            self.hub.cells.upstream_errors.inc()
            self.close(flag.UPE, str(error))
            return
        for frame in frames:
            if frame.kind == RESPONSE:
                self._answer(frame)
            elif frame.kind == HEARTBEAT:
                self.hub.cells.heartbeats.inc()
                self.stream.send(self.hub.codec.heartbeat_answer(frame).data)
                if self.stream.pending_bytes > HIGH_BYTES:
                    self.stream.pause()

    def _answer(self, frame):
        pending = self._take(frame.id)
        if pending is None:
            self.hub.cells.late.inc()
            return
        pending.view.answered(frame, self._last)
        data = self.hub.encode(frame, pending.id)
        self.hub.ended(pending.view, frame.status)
        pending.client.answer(data)

    def drained(self):
        """The endpoint takes bytes again."""
        self.stream.resume()
        paused, self.paused = self.paused, set()
        for client in paused:
            client.resume()

    def lost(self, reason):
        """It ended, or could not be opened."""
        self._end(flag.UC if self._is_open else flag.UF, reason)

    def close(self, bit=0, reason="closed"):
        """End it."""
        self.stream.close()
        self._end(bit, reason)

    def _end(self, bit, reason):
        self.hub.shared.pop(self.key, None)
        if self._call is not None:
            self._call.cancel()
            self._call = None
        self.drained()
        for number in list(self.pending):
            pending = self._take(number)
            self.hub.refuse(pending.client, pending.frame, pending.view, bit, reason)

    # Time

    def _push(self, deadline, number):
        """Keep a deadline; those of requests that are over go when there are many."""
        if len(self._deadlines) > 2 * len(self.pending) + MOST_DEADLINES:
            self._deadlines = [(one.deadline, number) for number, one in self.pending.items() if one.deadline]
            heapq.heapify(self._deadlines)
        else:
            heapq.heappush(self._deadlines, (deadline, number))
        self._look_at(deadline)

    def _look_at(self, when):
        if self._call is not None and self._call.active():
            if self._call_at <= when:
                return
            self._call.cancel()
        self._call_at = when
        self._call = self.hub.later(max(0.0, when - self.hub.now()), self._look)

    def _rest(self):
        idle_s, now = self.hub.idle_s, self.hub.now()
        if idle_s:
            due = self._last + idle_s
            self._look_at(due if due > now else now + idle_s)

    def _look(self):
        self._call = None
        now = self.hub.now()
        while self._deadlines and self._deadlines[0][0] <= now:
            _, number = heapq.heappop(self._deadlines)
            pending = self._take(number)
            if pending is not None:
                self.hub.refuse(pending.client, pending.frame, pending.view, flag.UT, "no answer in time")
        if self.hub.idle_s and not self.pending and now >= self._last + self.hub.idle_s:
            self.close()
        elif self._deadlines:
            self._look_at(self._deadlines[0][0])
        else:
            self._rest()
