"""Feeds bytes to a parser and writes down what comes out, so that tests can compare conversations."""

import random

from meshd.errors import ProtocolError
from meshd.http.framing import DONE


class Log:
    """A sink: ``events`` with body pieces joined; asks for the next request at once, as a quick server does."""

    def __init__(self) -> None:
        self.events = []
        self.parser = None

    def on_request(self, head):
        self.events.append(["request", head, b"", "open"])

    def on_response(self, head):
        self.events.append(["response", head, b"", "open"])

    def on_informational(self, head):
        self.events.append(["informational", head, b"", "ended"])

    def on_body(self, data):
        assert data, "an empty piece of body"
        self.events[-1][2] += data

    def on_end(self, trailers):
        assert self.events[-1][3] == "open", "the end came twice"
        self.events[-1][3] = "ended" if trailers is None else list(trailers)
        if self.parser is not None and self.parser.state == DONE:
            self.parser.next()


def whole(data):
    """The conversation in one piece."""
    return [data]


def single(data):
    """The conversation byte by byte."""
    return [data[at:at + 1] for at in range(len(data))]


def split(data, seed):
    """The conversation in pieces of random length."""
    source = random.Random(seed)
    pieces, at = [], 0
    while at < len(data):
        size = source.choice((1, 2, 3, 7, 20, 100, 5000))
        pieces.append(data[at:at + size])
        at += size
    return pieces


def feed(parser, pieces):
    """Feed until the end or the refusal, which is returned."""
    try:
        for piece in pieces:
            parser.receive(piece)
    except ProtocolError as error:
        return error
    return None
