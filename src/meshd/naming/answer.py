"""What a query gets at once: an answer of the mesh, a refusal, or nothing, and then it is for a resolver."""

import io
import struct

import attrs
from twisted.names import dns

from meshd.naming.table import Table

HEADER = 12
MAX_UDP = 512
"""Octets of an answer over UDP to a client without EDNS (RFC 1035, section 4.2.1)."""
MAX_ADDRESSES = 1000
"""In an answer, as many as an entry of ``dns_hosts`` may have; of more, each answer begins with the next one."""
ANSWERED, FORWARDED, REFUSED = "answered", "forwarded", "refused"


@attrs.frozen
class Decided:
    """``reply`` is None where a resolver is to be asked, or where nothing at all is said (``REFUSED``)."""

    result: str
    reply: bytes | None = None


def decide(query: bytes, table: Table, ttl_s: float, is_udp: bool) -> Decided:
    """Return what becomes of a query; what is no query gets no answer, so that nothing can be reflected."""
    if len(query) < HEADER or query[2] & 0x80:
        return Decided(REFUSED)
    if query[2] >> 3 & 15 != dns.OP_QUERY:
        return Decided(REFUSED, header(query, dns.ENOTIMP))
    asked = dns.Query()
    source = io.BytesIO(query)
    source.seek(HEADER)
    try:
        asked.decode(source)  # and no more: records may point to one another, which costs a lot
    except Exception:  # the codec raises what its parts raise
        return Decided(REFUSED, header(query, dns.EFORMAT))
    if query[4:6] != b"\0\1":
        return Decided(REFUSED, header(query, dns.EFORMAT))
    is_address = asked.cls == dns.IN and asked.type in (dns.A, dns.AAAA)
    host = table.find(asked.name.name) if is_address else None
    if host is None:
        return Decided(FORWARDED)
    is_v6 = asked.type == dns.AAAA
    return Decided(ANSWERED, answer(query, asked, host.take(is_v6), round(ttl_s), is_udp))


def answer(query: bytes, asked: dns.Query, addresses: list[bytes], ttl_s: int, is_udp: bool) -> bytes:
    """Return the answer for a name of the mesh, perhaps without addresses of this kind; with as many as fit."""
    reply = dns.Message(struct.unpack("!H", query[:2])[0], answer=1, recDes=query[2] & 1, recAv=1, auth=1, maxSize=0)
    reply.queries = [asked]
    for packed in addresses[:MAX_ADDRESSES]:
        record = dns.Record_AAAA(ttl=ttl_s) if asked.type == dns.AAAA else dns.Record_A(ttl=ttl_s)
        record.address = packed
        reply.answers.append(dns.RRHeader(asked.name.name, asked.type, dns.IN, ttl_s, record, auth=True))
    wire = reply.toStr()
    if is_udp and len(wire) > MAX_UDP:
        end = question_end(wire) or HEADER
        size = (len(wire) - end) // max(1, len(reply.answers))
        reply.answers, reply.trunc = reply.answers[:max(0, MAX_UDP - end) // max(1, size)], 1
        wire = reply.toStr()
    return wire


def header(query: bytes, code: int) -> bytes:
    """Return an answer without sections: the id of the query, its opcode and RD, and a code."""
    return query[:2] + bytes((0x80 | query[2] & 0x79, 0x80 | code)) + bytes(8)


def failure(query: bytes) -> bytes:
    """Return SERVFAIL with the question where it is plain to see, as resolvers of libraries want it."""
    end = question_end(query)
    if end is None:
        return header(query, dns.ESERVER)
    return header(query, dns.ESERVER)[:4] + b"\0\1" + bytes(6) + query[HEADER:end]


def question_end(message: bytes) -> int | None:
    """Return where the first question ends; None where it is not whole."""
    at = HEADER
    if message[4:6] == b"\0\0":
        return None
    while at < len(message):
        length = message[at]
        if length > 63:
            return None
        at += 1 + length
        if not length:
            return at + 4 if at + 4 <= len(message) else None
    return None


def is_answer_to(reply: bytes, query: bytes) -> bool:
    """Say whether a message answers this query: its id, its question."""
    end = question_end(query)
    if len(reply) < HEADER or reply[:2] != query[:2] or not reply[2] & 0x80:
        return False
    return end is None or reply[HEADER:end].lower() == query[HEADER:end].lower() or reply[4:6] == b"\0\0"
