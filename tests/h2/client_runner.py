"""Runs client cases on a session in memory."""

from meshd.http.h2.code import GOAWAY, RST_STREAM
from meshd.http.h2.session import start
from meshd.http.h2.settings import Settings
from meshd.http.head import RequestHead
from meshd.http.headers import Headers
from tests.h2.cases.client import ClientCase
from tests.h2.pair import Log
from tests.h2.wire import Reader


def play(case: ClientCase, engine: str) -> str:
    """Return "" where the client did as the case says, else what it did."""
    log = Log()
    session = log.session = start("client", Settings(), log, engine)
    session.request(RequestHead(case.method, b"/", b"a.example", 11, Headers.of((b"host", b"a.example"))), True)
    session.take()
    session.receive(case.first)
    log.take()
    session.receive(case.send)
    said = Reader().read(session.take())
    told = tuple(event[0] for event in log.take() if event[0] != "settings")
    codes = [frame.code for frame in said if frame.kind == (GOAWAY if session.is_closed else RST_STREAM)]
    is_met = (told in (case.told, *case.others) and log.bodies.get(1, b"") == case.body
              and session.is_closed == ("error" in told) and set(codes) <= set(case.codes)
              and (codes or engine == "pure" or not case.codes or told in case.others))
    return "" if is_met else f"told {told}, codes {codes}, body {log.bodies.get(1, b'')!r}"
