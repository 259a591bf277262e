"""What docs/conformance.md says beside its tables: which rule decides where the peers differ."""

INTRODUCTION = """# Conformance

How meshd {meshd}, Envoy {Envoy}, nginx {nginx} and HAProxy {HAProxy} answer the same hostile and odd HTTP/1.1
requests, byte for byte. The requests are in `tests/conversation/` (`cases.py` and the tables beside it); the peers
run with the configurations of `tests/conversation/peers.py`, which leave HTTP's rules at their defaults. `python -m
tests.conversation.verdicts` writes this page anew, and the tests hold meshd to its column: in one write and byte by
byte, with a fresh request after each case.

How to read a cell: the statuses in order (`200` came from the upstream), `closed` where the proxy ends the
connection, `waits` where it asks for more, `forwarded N` where the upstream got another number of requests than
were answered with 200, `body of N` the bytes of the body that the upstream was given for a request that meshd
refuses.

The rule behind meshd's column: a request that two implementations could read differently is refused with a 4xx, and
the connection is closed, for what follows can no longer be told apart (RFC 9112 11.2). Many of the lenient readings
below have been one half of a smuggling attack.
"""

REASONS = {
    "line": ("Request line", """\
RFC 9112 3 gives one form: method, one space, target, one space, version, CRLF. Section 3 lets a server split at
other white space and warns of what follows from it; meshd does not. Section 2.2 lets a server ignore one empty line
before the request line; a second one, or one of a bare LF or CR, is refused. Bare LF as a line's end is a MAY of
2.2 that meshd does not use. Methods are tokens, told apart by case (RFC 9110 9.1): an unknown one is the upstream's
business, which is why meshd forwards what nginx and Envoy refuse. Other versions than 1.0 and 1.1 get 505 (RFC 9110
15.6.6); Envoy takes HTTP/1.0 only when told (426). A fragment is no part of a target (RFC 9112 3.2)."""),
    "target": ("Target", """\
RFC 9112 3.2 has four forms: origin, absolute, authority (CONNECT alone) and asterisk (OPTIONS alone). The authority
of an absolute target wins over Host (3.2.2); HAProxy refuses where the two differ, which is safe too. `OPTIONS *`
matches no route with a path, as in Envoy; nor does its absolute form, which is `*` to whoever forwards it (3.2.4),
where Envoy and nginx ask for `/`. A userinfo is refused (RFC 9110 4.2.4), and so is a scheme that is not http or
https (RFC 9110 7.4). A missing Host beside an absolute target is a 400 in HTTP/1.1 (RFC 9112 3.2)."""),
    "host": ("Host", """\
RFC 9112 3.2: a request of HTTP/1.1 with no Host, with more than one, or with an invalid value MUST get 400. An
invalid value is what `uri-host [":" port]` does not derive (RFC 9110 7.2, RFC 3986 3.2.2); meshd checks all of it,
since Host chooses the virtual host, is copied into redirects, and is a key of caches. Two equal ones are still two.
An empty value is allowed by the grammar for a target without an authority, which http does not have (RFC 9110
4.2.1): 400. HTTP/1.0 without a Host goes upstream with the address that the client came to."""),
    "head": ("Fields", """\
RFC 9112 5.1: white space before the colon MUST be refused. 5.2: obs-fold in a request MUST be refused, or be
replaced by spaces; meshd refuses, as a field's value then is the same for everybody. RFC 9110 5.5: CR, LF and NUL
are invalid and dangerous, and a recipient MUST refuse or replace them; other controls MAY be kept, and meshd
refuses them also, for they end up in logs. A name is a token (5.1, 5.6.2): what is none is refused, not dropped as
nginx does, because what is dropped here could count there. Limits are RFC 6585 5 (431): 100 fields as in Envoy."""),
    "cl": ("Content-Length", """\
RFC 9110 8.6: `1*DIGIT`, nothing else. RFC 9112 6.3 rule 5: an invalid value MUST be answered with 400 and the
connection closed; a list of equal values, or the same line again, MAY be read as one, which HAProxy does and meshd
does not. Lengths that a signed number of 63 bits cannot hold are refused at once (8.6: a recipient MUST anticipate
large numbers)."""),
    "te": ("Transfer-Encoding", """\
RFC 9112 6.1: with Content-Length beside Transfer-Encoding a server MAY refuse, or drop the length and close; meshd
refuses. A coding that is not understood SHOULD get 501 (6.1), one that does not end in `chunked` MUST get 400 (6.3
rule 4), and no sender may apply `chunked` twice (6.1). An HTTP/1.0 message with Transfer-Encoding MUST be treated
as faulty (6.1). `identity` is no coding any more (RFC 7230 A.2). Only one line that says `chunked`, in any case, is
taken."""),
    "chunk": ("Chunks", """\
RFC 9112 7.1 is the grammar: hex digits, extensions, CRLF, data, CRLF. White space is allowed only around an
extension's `;` and `=` (7.1.1), not behind the size. A bare LF ends neither a size line nor an extension: proxies
that disagree on that were split apart in 2025 (CVE-2025-22871). A recipient MUST ignore extensions that it does not
know, and ought to limit them (7.1.1): 1 KiB a line, 16 KiB a body. A size has at most 16 digits (7.1: MUST
anticipate large values and prevent overflow). What is behind the data must be CRLF, or the lengths of the two sides
already differ."""),
    "trailer": ("Trailers", """\
RFC 9110 6.5.1: a sender MUST NOT put fields for framing, routing or authentication into trailers. meshd refuses
those that frame or route (a recipient that merges them would read another message: RFC 9112 7.1.2), and drops those
that authenticate. The section's lines obey the rules of fields, and its limits. The others drop all trailers
unread, or pass them on."""),
    "hop": ("Hop-by-hop fields", """\
RFC 9110 7.6.1: an intermediary MUST drop Connection and the fields that it names, and a sender MUST NOT name one
that is meant for all recipients. meshd drops what is named, but keeps what frames, routes or authenticates a
request (CVE-2022-31813: a client that names X-Forwarded-For wants to strip it); Envoy refuses such a request. An
option that is no token is refused. Upgrade is dropped unless Connection names it and the request has no body (7.8).
TE is reduced to `trailers` (10.1.4)."""),
    "expect": ("Expect", """\
RFC 9110 10.1.1: a server that gets an expectation other than `100-continue` MAY answer 417. One that cannot be met
must not reach an upstream that would act on the request all the same. meshd answers 100 itself, when the upstream
takes the request, and does not pass Expect on; without a body, or in HTTP/1.0, there is nothing to wait for, and it
is dropped."""),
    "pipe": ("Pipelines", """\
RFC 9112 9.3.2: answers in the order of the requests. What follows a request that was refused is not read, as nobody
knows where it begins (9.6, 11.2)."""),
    "size": ("Sizes", """\
RFC 9112 3: a target that is too long MUST get 414. RFC 6585 5: fields that are too large get 431. meshd's limit for
a head is 60 KiB, Envoy's figure; nginx and HAProxy have 8 and 16 KiB and answer 400."""),
    "status": ("Answers: status line", """\
From here on the odd one is the upstream. RFC 9112 4: a status line has a version, a space, three digits, and a
space that may be followed by nothing. What is none is answered with 502 (RFC 9110 15.6.3), since a proxy that
guesses at a broken head lets the upstream write into another client's connection. RFC 9110 15 has the classes 1 to
5; 600 and above SHOULD be treated as a 5xx, and meshd refuses them. Cells: the statuses that the client got,
interim ones first; `cut` where the answer ended before its end; `relayed` where the client got a head that HTTP
does not allow; `waits` where the answer is not complete while the upstream is still connected: nginx takes what has
no status line for a body of HTTP/0.9."""),
    "FIELDS": ("Answers: fields", """\
RFC 9112 5.1: white space before the colon in an answer MUST be removed by a proxy, and 5.2: obs-fold MUST be
replaced by spaces or the answer be discarded with 502. meshd answers 502 to both, which is stricter: an upstream
that does this is misconfigured or hostile, and the client behind us may read it otherwise. RFC 9110 5.5 on NUL, CR
and LF as for requests."""),
    "LENGTHS": ("Answers: length", """\
RFC 9112 6.3 rule 5: with an invalid Content-Length from an upstream a proxy MUST close the connection to it,
discard the answer and send 502. Rule 8: without a length the body ends with the connection, which is why a reset is
not an end. RFC 9112 8: an incomplete answer MUST be told from a complete one: the client's connection is cut. nginx
reads until the end where a length is broken. 9.2: bytes behind an answer, with no request outstanding, MUST NOT be
taken for another answer: the connection is not used again."""),
    "CHUNKS": ("Answers: chunks", """\
RFC 9112 6.1 and 7.1 as for requests. Content-Length beside Transfer-Encoding, which 6.3 rule 3 calls an attempt at
response splitting, is a 502; others drop the length. A fault behind the head can only cut the answer: its status is
on the way already, where it is not still in the same write."""),
    "BODILESS": ("Answers without a body", """\
RFC 9110 6.4.1: answers to HEAD, and 1xx, 204 and 304, have no content, whatever their fields say (RFC 9112 6.3 rule
1). 8.6 and RFC 9112 6.1: a server MUST NOT send Content-Length or Transfer-Encoding with 1xx or 204; meshd answers
502 unless the length is 0. Bytes that follow are nobody's answer, and the connection is closed."""),
    "INTERIM": ("Interim answers", """\
RFC 9110 15.2: a proxy MUST forward 1xx, unless it asked for them itself; a client of HTTP/1.0 MUST NOT get one.
Envoy drops them unless it is told otherwise, nginx of this version takes them for the answer, HAProxy passes any
number on. In meshd more than eight for one request are refused, as a flood costs the upstream nothing. RFC 9110
7.8: 101 only for a request with Upgrade that the route lets through."""),
    "HOPS": ("Answers: hop-by-hop fields", """\
RFC 9110 7.6.1, as for requests. The upstream's `Connection: close` ends its connection and not the client's."""),
}
