"""The pure engine: h2, which serves where ngh2 cannot be had and is what tests compare the fast engine with.

Strategy: h2 ends the connection at the first GOAWAY in either direction, and takes many stream errors for connection
errors. So it is fed whole frames, one by one; GOAWAY, PRIORITY and what is a stream error is handled here.
"""

from struct import Struct

from h2 import events
from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.exceptions import H2Error
from h2.exceptions import ProtocolError as H2ProtocolError
from h2.settings import Settings as H2Settings
from hpack import HPACKError

from meshd.errors import ProtocolError
from meshd.http.h2 import counter, fields, frames, strict
from meshd.http.h2.code import (
    COMPRESSION_ERROR, CONTINUATION, FRAME_SIZE_ERROR, GOAWAY, HEADERS, MAX_CONCURRENT_STREAMS, MAX_STREAM_ID,
    PRIORITY, PROTOCOL_ERROR, REFUSED_STREAM, SETTINGS, WINDOW_UPDATE,
)
from meshd.http.h2.common import MAX_KEPT_STREAMS, CommonSession, goaway
from meshd.http.h2.session import HEAD, UPGRADE
from meshd.http.h2.settings import ROOM, first_settings
from meshd.http.headers import Headers

_words = Struct(">II").unpack_from
_NO_BODY = ((b"content-length", b"0"),)


class PureSession(CommonSession):
    """One connection on h2."""

    engine = "pure"

    def __init__(self, role: str, settings, sink, clock=None) -> None:
        super().__init__(role, settings, sink, clock)
        self._core = core = H2Connection(H2Configuration(
            client_side=not self.is_server, header_encoding=None, validate_outbound_headers=False,
            normalize_outbound_headers=False, validate_inbound_headers=False, normalize_inbound_headers=False))
        values = first_settings(self.is_server, settings)
        core.local_settings = H2Settings(not self.is_server, values)
        core.initiate_connection()
        values.pop(MAX_CONCURRENT_STREAMS, None)  # h2 ends the connection where a stream is to be refused (5.1.2)
        core.local_settings = H2Settings(not self.is_server, values)
        if more := settings.initial_connection_window_size - 65535:
            core.increment_flow_control_window(more)
        core.decoder = frames.LengthDecoder()
        self._widen()
        self._data = b""
        self._has_preface = not self.is_server
        self._is_within = False  # a field section that goes on
        self._was_reset = {}  # streams that were reset here, in order; a bound is kept
        self._lengths = {}  # stream id -> bytes of the body that are still to come
        self._endless = set()  # streams with a second section that does not end them
        self._queues = {}  # stream id -> frames.Queue
        self._out = []  # frames that h2 does not know of

    def _widen(self) -> None:
        self._core.decoder.max_header_list_size = self.settings.max_head_bytes * ROOM

    def receive(self, data: bytes) -> None:
        if self.is_closed:
            return
        gate = self.gate
        self._read(gate.check(data))
        self._forget_known()
        if gate.code or gate.flood is not None:
            self._end_at_gate()

    def _read(self, data: bytes) -> None:
        """Feed h2 with the frames that are whole now."""
        data = self._data + data
        at = 0
        if not self._has_preface and len(data) >= 24:
            self._has_preface = True
            self._feed(data[:24])
            at = 24
        while self._has_preface and not self.is_closed and len(data) - at >= 9:
            size = int.from_bytes(data[at:at + 3], "big")
            if len(data) - at < 9 + size:
                break
            self._frame(data[at:at + 9 + size])
            at += 9 + size
        self._data = data[at:]

    def _frame(self, frame: bytes) -> None:
        kind = frame[3]
        frame = frames.without_reserved_bit(frame, 5)
        stream_id = int.from_bytes(frame[5:9], "big")
        if kind in (HEADERS, CONTINUATION):
            self._is_within = not frame[4] & frames.END_HEADERS
        elif self._is_within:
            self._feed(frame)  # which is an error
            return
        if kind == GOAWAY and len(frame) >= 17 and frame[5:9] == b"\0\0\0\0":
            last_stream_id, code = _words(frame, 9)
            self.got_goaway(last_stream_id & MAX_STREAM_ID, code, frame[17:])
            return
        if kind == PRIORITY:
            if len(frame) != 14:  # its meaning is gone (5.3)
                self._refuse_stream(stream_id, FRAME_SIZE_ERROR)
            return
        if kind > CONTINUATION:
            return  # h2 looks into some
        if kind == SETTINGS:
            if frame[4] & frames.ACK and len(frame) > 9:
                self._broken(FRAME_SIZE_ERROR, "SETTINGS: expected an acknowledgement without payload")
                return
            frame = frames.plain_settings(frame)
        elif kind == WINDOW_UPDATE:
            frame = frames.without_reserved_bit(frame, 9)
            if stream_id and frame[9:] == bytes(4):
                self._refuse_stream(stream_id, PROTOCOL_ERROR)
                return
        elif kind == HEADERS and not frame[4] & frames.END_STREAM and self._has_head(stream_id):
            self._endless.add(stream_id)
            frame = frame[:4] + bytes((frame[4] | frames.END_STREAM,)) + frame[5:]
        self._feed(frame)

    def _has_head(self, stream_id: int) -> bool:
        stream = self.streams.get(stream_id)
        return stream is not None and (self.is_server or stream.is_answered)

    def _refuse_stream(self, stream_id: int, code: int) -> None:
        """Say a stream error that the peer made, and tell the sink."""
        if stream_id in self.streams:
            self._reset(stream_id, code)
            self.got_reset(stream_id, code, True)

    def _feed(self, data: bytes) -> None:
        try:
            found = self._core.receive_data(data)
        except H2ProtocolError as error:
            code = COMPRESSION_ERROR if isinstance(error.__cause__, HPACKError) else int(error.error_code)
            self._broken(code, str(error))
            return
        for event in found:
            handler = _HANDLERS.get(type(event))
            if handler is not None and not self.is_closed:
                handler(self, event)

    def _goaway(self, last_stream_id: int, code: int, debug: bytes = b"") -> None:
        self._flush_core()
        self._out.append(goaway(last_stream_id, code, debug))

    def _flush_core(self) -> None:
        if data := self._core.data_to_send():
            self._out.append(frames.once(data, self._was_reset) if self._was_reset else data)

    # what h2 tells

    def _on_request(self, event) -> None:
        section = frames.reveal(event.headers)
        if not self._is_strict(event.stream_id, section):
            return
        if self.is_finishing:
            self._reset(event.stream_id, REFUSED_STREAM)
            return
        self.got_request(event.stream_id, section, event.stream_ended is not None)
        head_of = self.streams.get(event.stream_id)
        if head_of is not None and head_of.is_told and event.stream_ended is None:
            self._expect(event.stream_id, section)

    def _expect(self, stream_id: int, section: tuple) -> None:
        length = dict(section).get(b"content-length")
        if length is not None:
            self._lengths[stream_id] = int(length)

    def _measures(self, stream_id: int, count: int, is_last: bool) -> bool:
        """Whether so many more bytes are what content-length says (8.1.1)."""
        left = self._lengths.get(stream_id)
        if left is None:
            return True
        left -= count
        self._lengths[stream_id] = left
        if left < 0 or is_last and left:
            self._refuse_stream(stream_id, PROTOCOL_ERROR)
            return False
        return True

    def _on_response(self, event) -> None:
        section = frames.reveal(event.headers)
        is_last = getattr(event, "stream_ended", None) is not None
        if self._is_strict(event.stream_id, section):
            self.got_response(event.stream_id, section, is_last)
            stream = self.streams.get(event.stream_id)
            if stream is not None and stream.is_answered and stream.kind != UPGRADE and not is_last:
                has_none = stream.kind == HEAD or section[0][1] in (b"204", b"304")
                self._expect(event.stream_id, _NO_BODY if has_none else section)
            self._ended(event)

    def _on_trailers(self, event) -> None:
        section = frames.reveal(event.headers)
        if event.stream_id in self._endless:
            self._refuse_stream(event.stream_id, PROTOCOL_ERROR)
            self._endless.discard(event.stream_id)
        elif self._is_strict(event.stream_id, section) and self._measures(event.stream_id, 0, True):
            self.got_trailers(event.stream_id, section)
            self._ended(event)

    def _is_strict(self, stream_id: int, section: tuple) -> bool:
        try:
            strict.check(section)
        except ProtocolError:
            self.sink.on_count(counter.MESSAGING_ERROR)
            self._reset(stream_id, PROTOCOL_ERROR)
            self.got_reset(stream_id, PROTOCOL_ERROR, True)
            return False
        return True

    def _on_data(self, event) -> None:
        padding = event.flow_controlled_length - len(event.data)
        if padding:
            self._credit(event.stream_id, padding)
        is_last = event.stream_ended is not None
        if self._measures(event.stream_id, len(event.data), is_last):
            self.got_data(event.stream_id, bytes(event.data), is_last)
            self._ended(event)
        elif event.data:
            self._credit(event.stream_id, len(event.data))

    def _ended(self, event) -> None:
        if getattr(event, "stream_ended", None) is not None:
            self._close(event.stream_id)

    def _close(self, stream_id: int) -> None:
        """Tell that a stream is closed, where both sides have ended it."""
        stream = self.streams.get(stream_id)
        queue = self._queues.get(stream_id)
        if stream is not None and stream.is_ended and queue is not None and queue.is_sent:
            self._forget(stream_id)
            self.got_closed(stream_id)

    def _on_reset(self, event) -> None:
        self._forget(event.stream_id)
        self.got_reset(event.stream_id, int(event.error_code), False)

    def _on_settings(self, event) -> None:
        self.got_settings({int(name): change.new_value for name, change in event.changed_settings.items()})

    def _on_settings_ack(self, event) -> None:
        self._widen()

    def _on_ping_ack(self, event) -> None:
        self.sink.on_ping_ack(event.ping_data)

    # the face

    def take(self) -> bytes:
        if not self.is_closed:
            for stream_id in list(self._queues):
                self._send_some(stream_id)
        self._flush_core()
        if self._lingering and self._end_lingering():
            self._flush_core()
        data = b"".join(self._out)
        self._out.clear()
        if data:
            self._has_sent(data)
        return data

    def _send_some(self, stream_id: int) -> None:
        queue, core = self._queues.get(stream_id), self._core
        if queue is None:
            return
        try:
            while queue.parts:
                room = min(core.local_flow_control_window(stream_id), core.max_outbound_frame_size)
                if room <= 0:
                    break
                data = queue.pop(room)
                core.send_data(stream_id, data, end_stream=queue.is_last and not queue.parts and not queue.trailers)
                queue.is_sent = queue.is_last and not queue.parts and not queue.trailers
            if queue.is_last and not queue.parts and not queue.is_sent:
                if queue.trailers:
                    core.send_headers(stream_id, frames.secured(queue.trailers), end_stream=True)
                else:
                    core.end_stream(stream_id)
                queue.is_sent = True
        except H2Error:
            self._queues.pop(stream_id, None)
            return
        stream = self.streams.get(stream_id)
        if stream is not None and stream.is_over and queue.size <= self.settings.write_low_bytes:
            stream.is_over = False
            self.sink.on_writable(stream_id)
            self._send_some(stream_id)
            return
        if queue.is_sent:
            self._close(stream_id)

    def send(self, stream_id: int, data: bytes, is_last: bool = False) -> int:
        queue = self._queues.get(stream_id)
        if queue is None or queue.is_last or self.is_closed:
            return 0
        if not queue.size:
            self._has_queued()
            if self.is_closed:
                return 0
        queue.push(data)
        queue.is_last = is_last
        if queue.size > self.settings.write_high_bytes:
            self.streams[stream_id].is_over = True
        return queue.size

    def trailers(self, stream_id: int, headers: Headers) -> None:
        queue = self._queues.get(stream_id)
        if queue is not None and not queue.is_last and not self.is_closed:
            queue.trailers = fields.write_trailers(headers)
            queue.is_last = True

    def queued(self, stream_id: int) -> int:
        queue = self._queues.get(stream_id)
        return 0 if queue is None else queue.size

    def _submit(self, stream_id: int, section: list, is_last: bool) -> None:
        if not self._send_head(stream_id, section, is_last):
            return
        queue = self._queues[stream_id] = frames.Queue()
        if is_last:
            queue.is_last = queue.is_sent = True
            self._close(stream_id)

    def _submit_informational(self, stream_id: int, section: list) -> None:
        self._send_head(stream_id, section, False)

    def _send_head(self, stream_id: int, section: list, is_last: bool) -> bool:
        """Send a head where the stream takes one; say whether it did."""
        try:
            self._core.send_headers(stream_id, frames.secured(section), end_stream=is_last)
        except H2Error:
            return False
        return True

    def _submit_request(self, section: list, is_last: bool) -> int:
        try:
            stream_id = self._core.get_next_available_stream_id()
        except H2Error:  # no number is left
            self.is_finishing = True
            return 0
        if not self._send_head(stream_id, section, is_last):
            return 0
        queue = self._queues[stream_id] = frames.Queue()
        queue.is_last = queue.is_sent = is_last
        return stream_id

    def _reset(self, stream_id: int, code: int) -> None:
        self._forget(stream_id)
        try:
            self._core.reset_stream(stream_id, code)
        except H2Error:  # it is closed, or h2 was told so
            if stream_id in self._endless:
                self._flush_core()
                self._out.append(frames.rst(stream_id, code))
            return
        self._was_reset.setdefault(stream_id, True)
        if len(self._was_reset) > 2 * MAX_KEPT_STREAMS:
            self._flush_core()
            for old in list(self._was_reset)[:MAX_KEPT_STREAMS]:
                del self._was_reset[old]

    def _forget(self, stream_id: int) -> None:
        self._queues.pop(stream_id, None)
        self._lengths.pop(stream_id, None)

    def _credit(self, stream_id: int, count: int) -> None:
        self._core.acknowledge_received_data(count, stream_id)

    def shut_down(self) -> None:
        if self._may_shut_down():
            self._goaway(MAX_STREAM_ID, 0)

    def finish(self, code: int = 0) -> None:
        if not self.is_closed and not self._has_finished:
            self.is_finishing = self._has_finished = True
            self._goaway(self.last_stream_id, code)

    def abort(self, code: int, message: str = "") -> None:
        if not self.is_closed:
            self.is_closed = True
            self._core.clear_outbound_data_buffer()
            self._goaway(self.last_stream_id, code, message.encode("latin-1", "replace")[:256])

    def ping(self, payload: bytes = b"meshd\0\0\0") -> None:
        if not self.is_closed:
            self._core.ping(payload)


_HANDLERS = {
    events.RequestReceived: PureSession._on_request, events.ResponseReceived: PureSession._on_response,
    events.InformationalResponseReceived: PureSession._on_response, events.TrailersReceived: PureSession._on_trailers,
    events.DataReceived: PureSession._on_data, events.StreamReset: PureSession._on_reset,
    events.RemoteSettingsChanged: PureSession._on_settings, events.SettingsAcknowledged: PureSession._on_settings_ack,
    events.PingAckReceived: PureSession._on_ping_ack,
}
