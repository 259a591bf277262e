"""An upstream that reads strictly what a proxy writes, remembers it, and gives it back in its answer."""

import re
from typing import NamedTuple

from tests.conversation.client import SIZE, fields_of
from tests.integration.harness.upstream import Upstream, reply

REQUEST_LINE = re.compile(rb"([!#$%&'*+\-.^_`|~0-9A-Za-z]+) ([!-~]+) HTTP/1\.1").fullmatch
HOP_BY_HOP = (b"keep-alive", b"proxy-connection", b"upgrade", b"expect")


class Seen(NamedTuple):
    """A request that came whole: ``head`` as it was written, ``body`` without its framing."""

    head: bytes
    body: bytes
    trailers: list

    @property
    def method(self):
        """The method."""
        return self.head.split(b" ", 1)[0]

    @property
    def target(self):
        """The target."""
        return self.head.split(b" ", 2)[1]

    @property
    def fields(self):
        """[(lower-case name, value)], in order; fails on what RFC 9112 does not allow."""
        return fields_of(self.head[:-4].split(b"\r\n")[1:])

    def get(self, name):
        """Return the values of a field."""
        return [value for key, value in self.fields if key == name]

    def faults(self):
        """Return what a proxy may not write: [sentence]."""
        line = self.head.split(b"\r\n")[0]
        found = [] if REQUEST_LINE(line) else [f"request line {line!r}"]
        names = [name for name, _ in self.fields]
        for name in (b"host", b"x-forwarded-for", b"x-forwarded-proto", b"x-request-id"):
            if names.count(name) != 1:
                found.append(f"{names.count(name)} times {name!r}")
        if names.count(b"content-length") + names.count(b"transfer-encoding") > 1:
            found.append("framed twice")
        found += [f"leaked {name!r}" for name in HOP_BY_HOP if name in names]
        if self.get(b"connection") not in ([], [b"te"]):
            found.append(f"connection {self.get(b'connection')!r}")
        return found


class Recorder(Upstream):
    """``begun`` are the heads that came, ``whole`` the requests; ``ended`` counts connections that are over."""

    def __init__(self):
        self.begun = []
        self.whole = []
        super().__init__(self.serve)

    def serve(self, peer):
        """Answer every request with what it was."""
        while True:
            head = peer.head()
            self.begun.append(head)
            body, trailers = read_body(peer, head)
            seen = Seen(head, body, trailers)
            self.whole.append(seen)
            peer.send(reply(head + body, headers=b"x-number: %d\r\n" % len(self.whole)))


def read_body(peer, head):
    """Return (body, trailers) of the request with this head, as its framing says."""
    fields = dict(fields_of(head[:-4].split(b"\r\n")[1:]))
    if b"transfer-encoding" not in fields:
        return peer.read(int(fields.get(b"content-length", 0))), []
    parts = []
    while True:
        line = peer.line()
        assert SIZE(line), f"no chunk size: {line!r}"
        if not int(line, 16):
            break
        parts.append(peer.read(int(line, 16)))
        assert peer.read(2) == b"\r\n"
    lines = []
    while line := peer.line():
        lines.append(line)
    return b"".join(parts), fields_of(lines)
