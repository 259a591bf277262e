"""The messages of Envoy's rate-limit service (envoy/service/ratelimit/v3/rls.proto), by their numbers."""

import re

import attrs

from meshd.api import message

METHOD = b"/envoy.service.ratelimit.v3.RateLimitService/ShouldRateLimit"
OVER_LIMIT = 2
WINDOWS_S = {1: 1, 2: 60, 3: 3600, 4: 86400, 5: 30 * 86400, 6: 365 * 86400, 7: 7 * 86400}
"""Unit of a limit -> seconds: second, minute, hour, day, month, year, week."""
MOST_FIELDS = 64
"""Fields of an answer that are put on a request or a response."""
_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,256}")
_VALUE = re.compile(rb"[^\0\r\n]{0,8192}")
_OURS = frozenset((
    b"host", b"content-length", b"transfer-encoding", b"connection", b"upgrade", b"te", b"expect", b"trailer",
    b"keep-alive", b"proxy-connection",
))


@attrs.frozen
class Answer:
    """``request_headers`` and ``response_headers`` are (name, value) to add; ``limits`` x-ratelimit fields."""

    is_over: bool
    request_headers: tuple
    response_headers: tuple
    body: bytes
    limits: tuple


def request_of(domain, descriptors, hits_addend):
    """Return a RateLimitRequest."""
    parts = [message.text(1, domain)]
    for entries in descriptors:
        data = [message.data(1, message.text(1, key) + message.text(2, value)) for key, value in entries]
        if entries.limit is not None:
            data.append(message.data(2, message.number(1, entries.limit[0]) + message.number(2, entries.limit[1])))
        if entries.hits:
            data.append(message.data(3, message.number(1, entries.hits)))
        parts.append(message.data(2, b"".join(data)))
    parts.append(message.number(3, hits_addend))
    return b"".join(parts)


def answer_of(raw):
    """Return the Answer of a RateLimitResponse; raises ValueError where it is none."""
    fields = message.read(raw)
    return Answer(
        fields.number(1) == OVER_LIMIT, headers_of(fields.all(4)), headers_of(fields.all(3)), fields.data(5),
        limits_of([message.read(one) for one in fields.all(2)]),
    )


def headers_of(values):
    """Return HeaderValue messages as (name, value); what could not stand in a head, or would frame it, is left out."""
    found = []
    for raw in values[:MOST_FIELDS]:
        fields = message.read(raw)
        name, value = fields.text(1), fields.data(3) or fields.data(2)
        if _NAME.fullmatch(name) and _VALUE.fullmatch(value) and name.lower().encode() not in _OURS:
            found.append((name.lower().encode(), value.strip(b" \t")))
    return tuple(found)


def limits_of(statuses):
    """Return the fields of draft 03 for the limit with the fewest requests left, and the policy of all (Envoy's)."""
    nearest, policy = None, ""
    for status in statuses:
        limit = status.message(2)
        if limit is None:
            continue
        if nearest is None or status.number(3) < nearest[0].number(3):
            nearest = (status, limit)
        window_s, name = WINDOWS_S.get(limit.number(2)), limit.text(3)
        if window_s:
            policy += f", {limit.number(1)};w={window_s}" + (f';name="{quoted(name)}"' if name else "")
    if nearest is None:
        return ()
    status, limit = nearest
    reset = status.message(4)
    return (
        (b"x-ratelimit-limit", f"{limit.number(1)}{policy}".encode("latin-1", "replace")),
        (b"x-ratelimit-remaining", b"%d" % status.number(3)),
        (b"x-ratelimit-reset", b"%d" % (0 if reset is None else reset.number(1))),
    )


def quoted(name):
    """Return a limit's name without what would break the field."""
    return re.sub(r'[\0-\x1f"\\\x7f]', "?", name)
