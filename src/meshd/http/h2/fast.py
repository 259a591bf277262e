"""The fast engine: libnghttp2 through ngh2."""

import functools

import ngh2
from ngh2 import (
    ConnectionClosed, ConnectionStateError, DataReceived, GoAwayReceived, InformationalResponseReceived, NGH2Error,
    PingAcknowledged, RequestReceived, ResponseReceived, SettingsReceived, StreamClosed, StreamReset,
    TrailersReceived,
)

from meshd.http.h2 import fields
from meshd.http.h2.code import MAX_CONCURRENT_STREAMS, PROTOCOL_ERROR
from meshd.http.h2.common import CommonSession, goaway
from meshd.http.h2.settings import ROOM, first_settings
from meshd.http.headers import Headers


class FastSession(CommonSession):
    """One connection on libnghttp2."""

    engine = "fast"

    def __init__(self, role: str, settings, sink, clock=None) -> None:
        super().__init__(role, settings, sink, clock)
        role, configuration, values, limit = _plan(self.is_server, settings)
        self._core = core = ngh2.Connection(role, configuration)
        core.initiate_connection(values)
        core.set_local_window_size(settings.initial_connection_window_size)
        self._first = core.data_to_send()
        if limit is not None:
            self._first = _with_limit(self._first, limit)
        self._over = []
        self._goaway = None  # code and text of the peer's
        self._high = settings.write_high_bytes
        self._receive, self._take, self._events = core.receive_data, core.data_to_send, core.events
        self._send_data, self._queued = core.send_data, core.queued_body_size
        self._send_response, self._acknowledge = core.send_response, core.acknowledge_received_data

    def receive(self, data: bytes) -> None:
        if self.is_closed or not data:
            return
        gate = self.gate
        data = gate.check(data)
        try:
            self._receive(data)
        except ConnectionStateError:
            pass  # it is ending: in order, or with an error that take() will tell
        except NGH2Error as error:
            self._dispatch()
            self._fail(error)
            return
        self._dispatch()
        self._forget_known()
        if gate.code or gate.flood is not None:
            self._end_at_gate()

    def take(self) -> bytes:
        try:
            data = self._take()
        except NGH2Error:
            return b""
        self._dispatch()
        if self._first:
            data = self._first + data
            self._first = b""
        if self._lingering and self._end_lingering():
            data += self._take()
            self._dispatch()
        if data:
            self._has_sent(data)
        if self._over and self._look_at_queues():
            data += self.take()
        return data

    def _look_at_queues(self) -> bool:
        """Tell of queues that have emptied; say whether there were any, as the sink may have sent more."""
        was_told = False
        low = self.settings.write_low_bytes
        for stream_id in list(self._over):
            stream = self.streams.get(stream_id)
            if stream is None or stream.is_closed:
                self._over.remove(stream_id)
            elif self._queued(stream_id) <= low:
                self._over.remove(stream_id)
                stream.is_over = False
                self.sink.on_writable(stream_id)
                was_told = True
        return was_told

    def _dispatch(self) -> None:
        for event in self._events():
            if self.is_closed:
                return
            kind = type(event)
            if kind is RequestReceived:
                self.got_request(event.stream_id, event.headers, event.end_stream)
            elif kind is DataReceived:
                self.got_data(event.stream_id, event.data, event.end_stream)
            elif kind is ResponseReceived:
                self.got_response(event.stream_id, event.headers, event.end_stream)
            elif kind is StreamClosed:
                self._closed(event)
            elif kind is TrailersReceived:
                self.got_trailers(event.stream_id, event.headers)
            elif kind is StreamReset:
                self.got_reset(event.stream_id, event.error_code, False)
            elif kind is InformationalResponseReceived:
                self.got_response(event.stream_id, event.headers, False)
            else:
                self._control(kind, event)

    def _closed(self, event) -> None:
        if event.error_code:
            self.got_reset(event.stream_id, event.error_code, True)
        else:
            self.got_closed(event.stream_id)

    def _control(self, kind, event) -> None:
        if kind is SettingsReceived:
            self.got_settings(event.settings)
        elif kind is GoAwayReceived:
            self._goaway = (event.error_code, event.debug_data)
            last_stream_id = self.gate.goaway if self.is_server else event.last_stream_id
            self.got_goaway(last_stream_id, event.error_code, event.debug_data)
        elif kind is PingAcknowledged:
            self.sink.on_ping_ack(event.opaque_data)
        elif kind is ConnectionClosed and event.error_code and not self.is_closed and not self._is_orderly(event):
            self.is_closed = True
            text = event.debug_data.decode("latin-1")
            self.sink.on_error(event.error_code, "http2.protocol_error", text or f"error {event.error_code}")

    def _is_orderly(self, event) -> bool:
        """Say whether the end is that of the peer's GOAWAY, whatever its code: no stream is open any more."""
        return not self.streams and self._goaway == (event.error_code, event.debug_data)

    def _fail(self, error: Exception) -> None:
        if not self.is_closed:
            self.is_closed = True
            self.sink.on_error(PROTOCOL_ERROR, "http2.protocol_error", str(error))

    def send(self, stream_id: int, data: bytes, is_last: bool = False) -> int:
        stream = self.streams.get(stream_id)
        if stream is None or self.is_closed or stream.is_closed:
            return 0
        try:
            if is_last:
                self._send_data(stream_id, data, end_stream=True)
            else:
                self._send_data(stream_id, data)
            queued = self._queued(stream_id)
        except NGH2Error:
            return 0  # the stream is gone, of which an event will tell
        if queued <= len(data):
            self._has_queued()
        if queued > self._high and not stream.is_over:
            stream.is_over = True
            self._over.append(stream_id)
        return queued

    def trailers(self, stream_id: int, headers: Headers) -> None:
        stream = self.streams.get(stream_id)
        if stream is None or self.is_closed or stream.is_closed:
            return
        if section := fields.write_trailers(headers):
            self._try(self._core.send_trailers, stream_id, section)
        else:
            self.send(stream_id, b"", True)

    def queued(self, stream_id: int) -> int:
        return self._queued(stream_id) if stream_id in self.streams and not self.is_closed else 0

    def _try(self, method, *arguments, **options) -> None:
        """Call a method of the library for a stream or a connection that may be gone, of which an event tells."""
        try:
            method(*arguments, **options)
        except NGH2Error:
            pass

    def _submit(self, stream_id: int, section: list, is_last: bool) -> None:
        try:
            self._send_response(stream_id, section, end_stream=is_last)
        except NGH2Error:
            pass  # as in _try

    def _submit_informational(self, stream_id: int, section: list) -> None:
        self._try(self._core.send_informational_response, stream_id, section)

    def _submit_request(self, section: list, is_last: bool) -> int:
        try:
            return self._core.send_request(section, end_stream=is_last)
        except NGH2Error:  # no number is left, or it is ending
            self.is_finishing = True
            return 0

    def _reset(self, stream_id: int, code: int) -> None:
        self._try(self._core.reset_stream, stream_id, code)

    def _credit(self, stream_id: int, count: int) -> None:
        try:
            self._acknowledge(count, stream_id)
        except NGH2Error:
            pass  # as in _try

    def shut_down(self) -> None:
        if self._may_shut_down():
            self._try(self._core.send_shutdown_notice)

    def finish(self, code: int = 0) -> None:
        if not self.is_closed and not self._has_finished:
            self.is_finishing = self._has_finished = True
            try:
                self._core.send_goaway(code, last_stream_id=self.last_stream_id)
            except NGH2Error:  # the peer has said it, too, and no stream is open: the library is done
                self._first = goaway(self.last_stream_id, code)

    def abort(self, code: int, message: str = "") -> None:
        if not self.is_closed:
            self.is_closed = True
            self._try(self._core.terminate_connection, code, last_stream_id=self.last_stream_id)

    def ping(self, payload: bytes = b"meshd\0\0\0") -> None:
        if not self.is_closed:
            self._try(self._core.ping, payload)


@functools.lru_cache(maxsize=64)
def _plan(is_server: bool, settings) -> tuple:
    """Return what all connections with these settings begin with: the library's role and configuration, SETTINGS, and
    the limit of streams, which the library does not learn."""
    configuration = ngh2.Configuration(
        auto_window_update=False, max_continuations=settings.max_continuations + 1,
        max_inbound_header_list_size=settings.max_head_bytes * ROOM,
        max_inbound_header_count=settings.max_fields * ROOM,
        max_outbound_ack=settings.max_outbound_control_frames + 1,
        max_send_header_block_length=1 << 20,
        stream_reset_rate_limit=(1 << 40, 1 << 40), glitch_rate_limit=(1 << 40, 1 << 40),
    )
    values = first_settings(is_server, settings)
    limit = values.pop(MAX_CONCURRENT_STREAMS, None)
    return ngh2.Role.SERVER if is_server else ngh2.Role.CLIENT, configuration, values, limit


def _with_limit(data: bytes, limit: int) -> bytes:
    """Return a server's first bytes with a limit of streams in SETTINGS, the first frame.

    libnghttp2 does not know of it: it ends the connection where the RFC wants a stream refused (5.1.2).
    """
    size = int.from_bytes(data[:3], "big")
    pair = MAX_CONCURRENT_STREAMS.to_bytes(2, "big") + limit.to_bytes(4, "big")
    return (size + 6).to_bytes(3, "big") + data[3:9 + size] + pair + data[9 + size:]
