"""What must come out of meshd for a row of ``cases``: statuses, what is forwarded, whether the connection ends.

The rows speak of the codec; what the rules of a listener add (paths, CONNECT) stands here.
"""

from typing import NamedTuple

from tests.conversation.case import CODEC, Case, Request

UNFINISHED = ("chunk", "trailer")  # groups whose refused rows have a body that never ends


class Expected(NamedTuple):
    """``statuses`` of the final answers; ``detail`` of the refusal, empty where there is none."""

    statuses: tuple[int, ...]
    requests: tuple[Request, ...]
    is_closed: bool
    detail: str
    flag: str = "DPE"


ASTERISK = Expected((404,), (), False, "route_not_found", "NR")  # no route matches it, as in Envoy
RULES = {
    "target/asterisk": ASTERISK,
    "target/absolute-options": ASTERISK,
    "target/connect": Expected((405,), (), True, "connect_not_allowed"),  # what follows may be bytes of the tunnel
    "pipe/body-one-too-long": Expected((200, 400), (Request(b"POST", body=b"hell"),), True, CODEC),
    "line/two-slashes": Expected((200,), (Request(target=b"/b/c"),), False, ""),  # merge_slashes
}


def expect(case: Case) -> Expected:
    """Return what is expected of a case."""
    if case.name in RULES:
        return RULES[case.name]
    if not case.status:
        return Expected((200,) * len(case.requests), case.requests, not case.requests[-1].keep_alive, "")
    whole = () if case.name.partition("/")[0] in UNFINISHED else case.requests
    return Expected((200,) * len(whole) + (case.status,), whole, True, case.detail)
