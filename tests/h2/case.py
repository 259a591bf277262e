"""What a conformance case is, and how what came back is judged."""

from collections.abc import Callable

import attrs

from meshd.http.h2.code import GOAWAY, HEADERS, INTERNAL_ERROR, PING, PROTOCOL_ERROR, RST_STREAM
from tests.h2.wire import ACK, START, Frame

BARRIER = b"barrier!"
GENERIC = (PROTOCOL_ERROR, INTERNAL_ERROR)
"""Codes that can always be used in place of more specific ones (5.4)."""


@attrs.frozen
class Until:
    """A step: read until the answer on a stream has ended."""

    stream_id: int


@attrs.define
class Heard:
    """What came so far. ``is_over``: the peer closed, ``is_done``: nothing more will come. ``is_foreign``: the peer is
    none of ours, and may use the generic codes.
    """

    frames: list[Frame] = attrs.field(factory=list)
    is_over: bool = False
    is_done: bool = False
    is_foreign: bool = False

    def allows(self, code: int, codes: tuple[int, ...]) -> bool:
        """Say whether the peer may use a code where these are meant."""
        return code in codes or self.is_foreign and code in GENERIC

    def of(self, kind: int, stream_id: int | None = None) -> list[Frame]:
        """Return the frames of a kind."""
        return [frame for frame in self.frames
                if frame.kind == kind and (stream_id is None or frame.stream_id == stream_id)]

    @property
    def goaway(self) -> Frame | None:
        """The last GOAWAY."""
        return (self.of(GOAWAY) or [None])[-1]

    @property
    def is_alive(self) -> bool:
        """Whether the PING after the case was answered, and no error came before."""
        errors = [frame for frame in self.of(GOAWAY) if frame.code]
        return not errors and any(frame.payload == BARRIER and frame.flags & ACK for frame in self.of(PING))

    @property
    def summary(self) -> str:
        """What came, in words."""
        words = [f"{'GOAWAY' if frame.kind == GOAWAY else f'RST_STREAM {frame.stream_id}'} code {frame.code}"
                 for frame in self.frames if frame.kind in (GOAWAY, RST_STREAM)]
        words += [f"status {frame.status} on {frame.stream_id}" for frame in self.of(HEADERS) if frame.status]
        words += ["closed"] if self.is_over else []
        words += ["alive"] if self.is_alive else []
        return ", ".join(words) or "nothing"


PASS = ""


@attrs.frozen
class Connection:
    """A connection error: GOAWAY with one of the codes, then the end. A peer may close without it (5.4.1)."""

    codes: tuple[int, ...]

    def judge(self, heard: Heard) -> str | None:
        """Return "" where it is met, None where it may still be, else what came instead."""
        goaway = heard.goaway
        if goaway is not None and goaway.code:
            return PASS if heard.allows(goaway.code, self.codes) else heard.summary
        if heard.is_over:
            return PASS
        return heard.summary if heard.is_done or heard.is_alive else None


@attrs.frozen
class Stream:
    """A stream error: RST_STREAM with one of the codes, where ``may_answer`` also an answer of 4xx or 5xx (8.1.1).

    The connection goes on; as any stream error may be taken for a connection error (5.4.1), that passes too, but not
    of meshd's own engines.
    """

    stream_id: int
    codes: tuple[int, ...]
    may_answer: bool = False
    is_strict: bool = True

    def judge(self, heard: Heard) -> str | None:
        """See ``Connection``."""
        resets = heard.of(RST_STREAM, self.stream_id)
        if any(heard.allows(frame.code, self.codes) for frame in resets):
            return self._goes_on(heard)
        if self.may_answer and any(frame.status >= 400 for frame in heard.of(HEADERS, self.stream_id)):
            return self._goes_on(heard)
        goaway = heard.goaway
        if goaway is not None and goaway.code or heard.is_over:
            return PASS if goaway is None or heard.allows(goaway.code, self.codes) else heard.summary
        return heard.summary if heard.is_done else None

    def _goes_on(self, heard: Heard) -> str | None:
        goaway = heard.goaway
        if heard.is_alive or heard.is_over or goaway is not None and heard.allows(goaway.code, self.codes):
            return PASS
        return heard.summary if heard.is_done else None


def malformed(stream_id: int = 1) -> Stream:
    """Return what a malformed message must bring (8.1.1)."""
    return Stream(stream_id, (PROTOCOL_ERROR,), may_answer=True)


@attrs.frozen
class Answered:
    """Final answers on these streams, with their ends, and a connection that lives; ``status`` 0 is any below 500."""

    stream_ids: tuple[int, ...] = (1,)
    status: int = 0

    def judge(self, heard: Heard) -> str | None:
        """See ``Connection``."""
        for stream_id in self.stream_ids:
            heads = [frame.status for frame in heard.of(HEADERS, stream_id) if frame.status >= 200]
            is_ended = any(frame.is_end and frame.kind != RST_STREAM for frame in heard.frames
                           if frame.stream_id == stream_id)
            if not heads or not is_ended or not heard.is_alive:
                return heard.summary if heard.is_done else None
            if heads[0] >= 500 or self.status and heads[0] != self.status:
                return heard.summary
        return PASS


@attrs.frozen
class Alive:
    """The connection goes on as if nothing had been sent."""

    def judge(self, heard: Heard) -> str | None:
        """See ``Connection``."""
        if heard.is_alive:
            return PASS
        return heard.summary if heard.is_done else None


@attrs.frozen
class Either:
    """One of several."""

    choices: tuple

    def judge(self, heard: Heard) -> str | None:
        """See ``Connection``."""
        verdicts = [choice.judge(heard) for choice in self.choices]
        if PASS in verdicts:
            return PASS
        return None if None in verdicts else verdicts[0]


@attrs.frozen
class Frames:
    """What ``test`` says of all that came: True, or None for not yet; False at the end fails."""

    test: Callable[[Heard], bool | None]

    def judge(self, heard: Heard) -> str | None:
        """See ``Connection``."""
        if self.test(heard):
            return PASS
        return heard.summary if heard.is_done else None


@attrs.frozen
class Case:
    """One case. ``section`` is of RFC 9113, or names another RFC. ``send``: bytes and steps, or a function that makes
    them of the peer's settings ({id: value}; None where the case cannot be tried on such a peer); bytes with no step
    between them go in one write. ``words`` are the RFC's, cited where a well-known proxy decides otherwise.
    ``is_held``: of the server's side, nobody may take the body of a request for /hold.
    """

    section: str
    name: str
    send: object
    expect: object
    words: str = ""
    first: bytes = START
    has_barrier: bool = True
    is_held: bool = False

    @property
    def id(self) -> str:
        """Names the case in reports."""
        return f"{self.section} {self.name}"

    def steps(self, settings: dict[int, int]) -> tuple | None:
        """Return what is sent to a peer with these settings."""
        made = self.send(settings) if callable(self.send) else self.send
        return (made,) if isinstance(made, bytes) else made
