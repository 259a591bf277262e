"""What meshd must make of a row of ``answers``: what the client gets, and whether the upstream's connection lives."""

from typing import NamedTuple

from tests.conversation.answers import ANSWERS, Answer

RESET = "upstream_reset_%s_response_started{%s}"
ROWS = [row for row in ANSWERS if row.method != b"CONNECT"]  # which the daemon does not forward


class Expected(NamedTuple):
    """``status`` of the answer, ``is_cut`` where it must not look whole; ``is_reused``: the upstream's connection."""

    status: int
    body: bytes | None = None
    is_cut: bool = False
    is_reused: bool = False
    flag: str = "-"
    detail: str = "via_upstream"


def expect(row):
    """Return what is expected of a row."""
    finals = [answer for answer in row.answers if answer.status >= 200 or answer.ending == "tunnel"]
    final = finals[-1] if finals else None
    bit, word = ("UC", "connection_termination")
    if row.refusal not in ("", "truncated") or row.refusal and not final:
        bit, word = ("UPE", "protocol_error")  # part of a head is as bad as a wrong one
    if final is None:
        return Expected(503 if bit == "UC" else 502, flag=bit, detail=RESET % ("before", word))
    if final.ending == "open" and row.name != "resp/until-close-open":
        return Expected(final.status, is_cut=True, flag=bit, detail=RESET % ("after", word))
    is_reused = final.keep_alive and not row.is_closed and not row.refusal and final.ending == "end"
    body = final.body if not row.refusal else None
    return Expected(final.status, body, is_reused=is_reused)


def plays(row):
    """Return how the upstream goes on after the row's bytes: {is_closed, is_last}."""
    if row.refusal not in ("", "truncated"):
        return {"is_last": True}
    last = row.answers[-1] if row.answers else Answer()
    is_over = row.is_closed or last.ending in ("open", "tunnel") or last.status < 200
    return {"is_closed": True} if is_over else {"is_last": not last.keep_alive}
