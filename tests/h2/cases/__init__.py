"""The conformance cases, as data; one module for each part of the RFCs."""

from tests.h2.cases import connection, control, field, flow, hpack, message, pseudo, stream

SERVER = (
    *connection.CASES, *stream.CASES, *control.CASES, *flow.CASES, *message.CASES, *field.CASES, *pseudo.CASES,
    *hpack.CASES,
)
