"""What both engines do alike with what comes: heads are read, streams kept, credit is given back, the sink is told.

An engine calls ``got_...`` for what its library tells, and has ``_submit``, ``_reset`` and ``_credit`` for the other
way.
"""

from meshd.errors import ProtocolError
from meshd.http.h2 import counter, fields
from meshd.http.h2.code import (
    CANCEL, ENABLE_CONNECT_PROTOCOL, ENHANCE_YOUR_CALM, MAX_CONCURRENT_STREAMS, NO_ERROR, PROTOCOL_ERROR,
    REFUSED_STREAM, STREAM_CLOSED, FRAME_SIZE_ERROR,
)
from meshd.http.h2.gate import Gate
from meshd.http.h2.session import BODY, HEAD, UPGRADE, Session, Stream
from meshd.http.head import RequestHead, ResponseHead
from meshd.http.response import MAX_INFORMATIONAL

FIRST_STREAMS = 100  # until the peer says; RFC 9113 6.5.2 recommends that it takes no less
UNLIMITED = 2**32 - 1
MAX_KEPT_STREAMS = 1000  # that were reset on this side; what comes on older ones is an error


def goaway(last_stream_id: int, code: int, debug: bytes = b"") -> bytes:
    """Return a GOAWAY frame."""
    size = (8 + len(debug)).to_bytes(3, "big")
    return size + b"\7\0\0\0\0\0" + last_stream_id.to_bytes(4, "big") + code.to_bytes(4, "big") + debug


class CommonSession(Session):
    """Owned by one connection; what the engines share."""

    def __init__(self, role: str, settings, sink, clock=None) -> None:
        super().__init__(role, settings, sink, clock)
        self.is_server = role == "server"
        self.is_finishing = self.is_left = False
        self.max_streams = FIRST_STREAMS
        self.allows_connect = False
        self._has_settings = False
        self._lingering = []  # streams to reset once their answers are out
        self._is_shutting_down = self._has_finished = False
        self.gate = Gate(self.is_server, settings)
        self._resets = 0  # that the owner asked for
        self._provoked = 0  # that the peer made us send
        self._gone = self._premature = 0  # streams
        self._max_open = settings.max_concurrent_streams
        self._max_pending = settings.max_outbound_frames
        self._pending = 0  # heads since the last take, and queues of bodies that were empty before

    # what the engines have

    def _submit(self, stream_id: int, section: list, is_last: bool) -> None:
        """Send a final head."""
        raise NotImplementedError

    def _submit_informational(self, stream_id: int, section: list) -> None:
        raise NotImplementedError

    def _submit_request(self, section: list, is_last: bool) -> int:
        raise NotImplementedError

    def _reset(self, stream_id: int, code: int) -> None:
        raise NotImplementedError

    def _credit(self, stream_id: int, count: int) -> None:
        raise NotImplementedError

    # the face

    def request(self, head: RequestHead, is_last: bool) -> int:
        if not self.can_request:
            return 0
        kind = HEAD if head.method == b"HEAD" else UPGRADE if head.upgrade and head.method != b"CONNECT" else BODY
        stream_id = self._submit_request(fields.write_request(head), is_last)
        if stream_id:
            self.streams[stream_id] = Stream(True, kind, 0.0)
        return stream_id

    def respond(self, stream_id: int, head: ResponseHead, is_last: bool) -> None:
        stream = self.streams.get(stream_id)
        if stream is None or self.is_closed or stream.is_closed:
            return
        self._has_queued()
        if self.is_closed:
            return
        section = fields.write_response(head)
        if head.status < 200 and head.status != 101:
            self._submit_informational(stream_id, section)
        else:
            stream.is_answered = True
            self._submit(stream_id, section, is_last)

    def reset(self, stream_id: int, code: int = CANCEL) -> None:
        stream = self.streams.get(stream_id)
        if stream is None or self.is_closed or stream.is_closed:
            return
        if code == NO_ERROR and self.is_server and stream.is_answered:
            self._forget_body(stream_id, stream)
            self._lingering.append(stream_id)
            return
        self._drop(stream_id)
        self._resets += 1
        self._reset(stream_id, code)

    def consume(self, stream_id: int, count: int) -> None:
        stream = self.streams.get(stream_id)
        if stream is None or self.is_closed:
            return
        count = min(count, stream.held)
        stream.held -= count
        if count:
            self._credit(stream_id, count)
        if stream.is_closed and not stream.held:
            del self.streams[stream_id]

    def _may_shut_down(self) -> bool:
        """Say whether the first GOAWAY is to be sent: once, and by a server; a client has one only."""
        if self.is_closed or self._is_shutting_down or self._has_finished:
            return False
        self._is_shutting_down = True
        if not self.is_server:
            self.finish()
        return self.is_server

    @property
    def can_request(self) -> bool:
        return not (self.is_closed or self.is_finishing or self.is_server) and len(self.streams) < self.max_streams

    @property
    def is_done(self) -> bool:
        """Whether no stream is open and none will be."""
        return (self.is_finishing or self.is_left) and not self.streams

    # what came

    def got_request(self, stream_id: int, section: tuple, is_last: bool) -> None:
        """A request's field section."""
        self.last_stream_id = stream_id
        if len(self.streams) >= self._max_open and not self._has_room():
            self._reset(stream_id, REFUSED_STREAM)
            return
        stream = self.streams[stream_id] = Stream(False, BODY, 0.0 if self.clock is None else self.clock())
        try:
            head = fields.read_request(section, is_last, self.settings)
        except ProtocolError as error:
            self._refuse(stream_id, error, is_last)
            return
        stream.is_told = True
        stream.is_ended = is_last
        self.sink.on_request(stream_id, head, is_last)

    def _has_room(self) -> bool:
        """Say whether the peer may have one more stream open; those that wait for ``consume`` alone are not (5.1.2)."""
        return sum([not stream.is_closed for stream in self.streams.values()]) < self._max_open

    def got_response(self, stream_id: int, section: tuple, is_last: bool) -> None:
        """An answer's field section, final or 1xx."""
        stream = self.streams.get(stream_id)
        if stream is None or not stream.is_told:
            return
        try:
            head = fields.read_response(section, is_last, self.settings)
        except ProtocolError as error:
            self._refuse(stream_id, error, is_last)
            return
        if head.status < 200:
            self._got_interim(stream_id, stream, head)
            return
        if stream.kind == HEAD or head.status == 304:
            head.content_length = 0
        elif is_last and head.content_length > 0:
            self._refuse(stream_id, fields.malformed("content-length: expected a body of that length"), True)
            return
        elif stream.kind == UPGRADE and head.status == 200 and not is_last:
            head.status = 101
            head.content_length = 0
        stream.is_answered = True
        stream.is_ended = is_last
        self.sink.on_response(stream_id, head, is_last)

    def _got_interim(self, stream_id: int, stream: Stream, head: ResponseHead) -> None:
        stream.interim += 1
        if stream.interim > MAX_INFORMATIONAL:
            self._refuse(stream_id, fields.malformed(f"expected at most {MAX_INFORMATIONAL} interim answers"), False)
        else:
            self.sink.on_informational(stream_id, head)

    def got_data(self, stream_id: int, data: bytes, is_last: bool) -> None:
        """Bytes of a body, perhaps none."""
        stream = self.streams.get(stream_id)
        if stream is None or not stream.is_told:
            if data:
                self._credit(stream_id, len(data))
            return
        if data:
            stream.held += len(data)
            self.sink.on_body(stream_id, data)
        if is_last and stream.is_told:
            stream.is_ended = True
            self.sink.on_end(stream_id, None)

    def got_trailers(self, stream_id: int, section: tuple) -> None:
        """A trailer section, which ends the message."""
        stream = self.streams.get(stream_id)
        if stream is None or not stream.is_told:
            return
        try:
            headers = fields.read_trailers(section, self.settings)
        except ProtocolError as error:
            self._refuse(stream_id, error, True)
            return
        stream.is_ended = True
        self.sink.on_end(stream_id, headers)

    def got_reset(self, stream_id: int, code: int, is_local: bool) -> None:
        """The peer reset a stream, or the engine did as the peer broke the rules (``is_local``)."""
        stream = self.streams.get(stream_id)
        if stream is None:
            return
        is_told = stream.is_told
        self._drop(stream_id)
        if is_told:
            self.sink.on_reset(stream_id, code, is_local)
        if not is_local:
            self.gate.known.discard(stream_id)
            self.sink.on_count(counter.RX_RESET)
            lived = 0.0 if self.clock is None else self.clock() - stream.begun
            self._count_ended(not stream.is_answered and lived <= self.settings.premature_reset_s)

    def got_closed(self, stream_id: int) -> None:
        """Both sides have ended the stream."""
        stream = self.streams.get(stream_id)
        if stream is None:
            return
        self._gone += 1
        self.gate.known.discard(stream_id)
        if stream.held:
            stream.is_closed = True
        else:
            del self.streams[stream_id]
        if stream.is_told:
            self.sink.on_closed(stream_id)

    def got_settings(self, values) -> None:
        """The peer's SETTINGS; what is not in it stays as it was."""
        if MAX_CONCURRENT_STREAMS in values:
            self.max_streams = values[MAX_CONCURRENT_STREAMS]
        elif not self._has_settings:
            self.max_streams = UNLIMITED
        self._has_settings = True
        if ENABLE_CONNECT_PROTOCOL in values:
            self.allows_connect = values[ENABLE_CONNECT_PROTOCOL] == 1
        self.sink.on_settings(self.max_streams, self.allows_connect)

    def got_goaway(self, last_stream_id: int, code: int, debug: bytes) -> None:
        """The peer said GOAWAY."""
        self.is_left = True
        if not self.is_server:
            self.is_finishing = True
            for stream_id in [stream_id for stream_id in self.streams if stream_id > last_stream_id]:
                stream = self.streams.get(stream_id)
                if stream is not None:  # what was told of another may have ended it
                    is_told = stream.is_told
                    self._drop(stream_id)
                    if is_told:
                        self.sink.on_reset(stream_id, REFUSED_STREAM, False)
        self.sink.on_goaway(last_stream_id, code, debug)

    # floods and errors

    def _end_at_gate(self) -> None:
        """End the connection where the gate has found why; what came before that has been told."""
        gate = self.gate
        if gate.flood is not None:
            self._flood(gate.flood)
        elif gate.code:
            self._broken(gate.code, _WORDS[gate.code])

    def _broken(self, code: int, message: str) -> None:
        """End the connection of a peer that breaks the protocol."""
        if not self.is_closed:
            self.sink.on_count(counter.MESSAGING_ERROR)
            self.abort(code, message)
            self.sink.on_error(code, "http2.protocol_error", message)

    def _has_sent(self, data: bytes) -> None:
        """Look at what goes out: resets that the owner did not ask for were provoked (CVE-2025-8671)."""
        gate = self.gate
        self._pending = 0
        resets = gate.resets
        gate.sent(data)
        if gate.resets == resets:
            return
        for _ in range(gate.resets - resets):
            self.sink.on_count(counter.TX_RESET)
        provoked = gate.resets - self._resets
        while self._provoked < provoked:
            self._provoked += 1
            self._count_ended(True)

    def _count_ended(self, is_premature: bool) -> None:
        """Envoy's rule: of the first 500 streams, and of all from then on, not half may be reset prematurely."""
        self._gone += 1
        self._premature += is_premature
        if not self.is_server or not is_premature:
            return
        limit = self.settings.max_premature_resets
        if 2 * self._premature >= (limit if self._gone < limit else self._gone):
            self._flood(counter.PREMATURE_RESETS)

    def _has_queued(self) -> None:
        self._pending += 1
        if self._pending > self._max_pending:
            self._flood(counter.OUTBOUND)

    def _flood(self, name: str) -> None:
        """End the connection of a peer that asks for too much."""
        if not self.is_closed:
            self.sink.on_count(name)
            self.abort(ENHANCE_YOUR_CALM, name)
            self.sink.on_error(ENHANCE_YOUR_CALM, f"http2.{name}", f"{name}: expected fewer")

    # helpers

    def _drop(self, stream_id: int) -> None:
        """Forget a stream; its bytes need no credit any more, the connection's do."""
        self._forget_body(stream_id, self.streams.pop(stream_id))

    def _forget_known(self) -> None:
        """Keep a bound of what was reset, refused, or came after the last GOAWAY; called after each read."""
        known = self.gate.known
        if len(known) > len(self.streams) + MAX_KEPT_STREAMS and not self.gate.is_within:
            known.clear()
            known.update(self.streams)

    def _forget_body(self, stream_id: int, stream: Stream) -> None:
        """Tell nothing more of a stream, and give its credit back."""
        stream.is_told = False
        if stream.held:
            self._credit(stream_id, stream.held)
            stream.held = 0

    def _end_lingering(self) -> bool:
        """Reset the streams whose answers are out; say whether there were any."""
        done = [stream_id for stream_id in self._lingering if not self.queued(stream_id)]
        if not done or self.is_closed:
            return False
        self._lingering = [stream_id for stream_id in self._lingering if stream_id not in done]
        for stream_id in done:
            if stream_id in self.streams:
                self._drop(stream_id)
                self._resets += 1
                self._reset(stream_id, NO_ERROR)
        return True

    def _refuse(self, stream_id: int, error: ProtocolError, is_last: bool) -> None:
        """Reset a stream with a malformed head, or answer it where the error has another status than 400."""
        self.sink.on_count(_COUNTS.get(error.detail, counter.MESSAGING_ERROR))
        stream = self.streams[stream_id]
        if not self.is_server or error.status == 400:
            is_told = stream.is_told
            self._drop(stream_id)
            self._reset(stream_id, PROTOCOL_ERROR if error.status == 400 else ENHANCE_YOUR_CALM)
            if is_told:
                self.sink.on_reset(stream_id, PROTOCOL_ERROR, True)
            return
        self._submit(stream_id, [(b":status", b"%d" % error.status), (b"content-length", b"0")], True)
        if not is_last:
            self._lingering.append(stream_id)


_WORDS = {
    PROTOCOL_ERROR: "frame: expected a preface, SETTINGS first, PRIORITY on a stream, HEADERS on an odd one, others on "
                    "one that was begun, less padding than payload, no push, no GOAWAY that rises",
    STREAM_CLOSED: "HEADERS: expected a stream that is open, or a greater number",
    FRAME_SIZE_ERROR: "frame: expected at most SETTINGS_MAX_FRAME_SIZE bytes",
}
_COUNTS = {
    "http2.too_large_headers": counter.HEADER_OVERFLOW, "http2.too_many_headers": counter.HEADER_OVERFLOW,
    "http2.unexpected_underscore": counter.REJECTED_UNDERSCORES,
}
