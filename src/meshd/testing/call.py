"""A call that a plugin under test has made with ``site.call``: the test answers it when it likes."""

from typing import Any

from twisted.internet.defer import CancelledError, Deferred

from meshd.api import CallAnswer, CallError, CallRequest, Headers


class FakeCall:
    """``cluster`` and ``request`` are what was asked; ``is_over`` once it was answered, failed or cancelled."""

    def __init__(self, cluster: str, request: CallRequest) -> None:
        self.cluster = cluster
        self.request = request
        self.is_cancelled = False
        self.done: Deferred = Deferred(self._cancel)

    @property
    def is_over(self) -> bool:
        """Nothing more can come of it."""
        return self.is_cancelled or self.done.called

    def header(self, name: bytes) -> bytes | None:
        """Return a field of the request by its lower-case name, or None."""
        return next((value for key, value in self.request.headers if key.lower() == name), None)

    def send(self, data: bytes) -> None:
        """Let a piece of a 2xx answer come, for a request with ``on_data``; what that raises ends the call."""
        try:
            self.request.on_data(data)
        except Exception:
            self.done.errback()

    def answer(self, status: int = 200, body: bytes = b"", headers: Any = (), trailers: Any = None) -> None:
        """Let the whole answer come, or what was left of it."""
        if self.request.on_data is not None and 200 <= status < 300:
            if body:
                self.send(body)
            body = b""
        if not self.is_over:
            self.done.callback(CallAnswer(status, Headers.of(*headers), body, trailers and Headers.of(*trailers)))

    def fail(self, cause: str = "connection refused", flag: int = 0) -> None:
        """Let it fail."""
        self.done.errback(CallError(self.cluster, "", cause, flag))

    def _cancel(self, done: Deferred) -> None:
        self.is_cancelled = True
        done.errback(CancelledError())
