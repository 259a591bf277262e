"""The Dubbo codec: frames as Dubbo's own library writes them, and the broken ones."""

import struct
import unittest

from meshd.api import (
    HEARTBEAT, HEARTBEAT_ANSWER, NO_ROUTE, ONEWAY, OTHER, REQUEST, RESPONSE, TIMEOUT, UNAVAILABLE, ProtocolError,
)
from meshd.testing.contract.connection import ProtocolCodecContract
from meshd_plugins.codec.dubbo import Dubbo, DubboCodec
from meshd_plugins.codec.hessian import MAX_UNITS, read_string, write_string


def codec(**options):
    return DubboCodec(Dubbo(**options), None)


def text(value):
    """A string of Hessian 2 as Java's writer has it (bytes of each unit)."""
    data = value.encode("utf-16-be", "surrogatepass")
    units = [int.from_bytes(data[place : place + 2]) for place in range(0, len(data), 2)]
    body = b"".join(chr(unit).encode("utf-8", "surrogatepass") for unit in units)
    if len(units) < 32:
        return bytes((len(units),)) + body
    if len(units) < 1024:
        return bytes((0x30 | len(units) >> 8, len(units) & 255)) + body
    return b"S" + struct.pack("!H", len(units)) + body


def frame(flags, number, body, status=0):
    return struct.pack("!HBBQI", 0xDABB, flags, status, number, len(body)) + body


def request(number=1, service="org.acme.Greeter", version="1.0", method="hello", flags=0xC2):
    names = [text(one) for one in ("2.0.2", service, version, method, "Ljava/lang/String;", "world")]
    return frame(flags, number, b"".join(names) + b"H\x04pathZ")


def response(number=1, body=b"\x91\x02ok", status=20):
    return frame(0x02, number, body, status)


def one(data):
    (found,), rest = codec().decode(data)
    assert rest == b""
    return found


class Contract(ProtocolCodecContract, unittest.TestCase):
    frames = (request(7), response(7), frame(0xE2, 9, b"N"), request(8, flags=0x82), response(8, b"\x05wrong", 70))

    def make(self):
        return codec()


class Frames(unittest.TestCase):
    def test_kinds(self):
        for data, kind in ((request(), REQUEST), (request(flags=0x82), ONEWAY), (response(), RESPONSE),
                           (frame(0xE2, 1, b"N"), HEARTBEAT), (frame(0xA2, 1, b"\x01R"), OTHER),
                           (frame(0x22, 1, b"N", 20), HEARTBEAT_ANSWER)):
            self.assertEqual(one(data).kind, kind)

    def test_a_request_says_service_version_and_method(self):
        fields = dict(codec().fields(one(request())))
        self.assertEqual(fields, {b"dubbo": b"2.0.2", b"service": b"org.acme.Greeter", b"service-version": b"1.0",
                                  b"method": b"hello"})

    def test_another_serialization_says_nothing(self):
        self.assertEqual(list(codec().fields(one(request(flags=0xC6)))), [])

    def test_responses_tell_how_they_went(self):
        for data, status, is_error in (
            (response(), "ok", False), (response(body=b"\x94\x05value"), "ok", False),
            (response(body=b"\x90Oops"), "exception", True), (response(body=b"\x93Oops"), "exception", True),
            (response(status=31), "server_timeout", True), (response(status=99), "unknown", True),
        ):
            found = one(data)
            self.assertEqual((found.status, found.is_error), (status, is_error))

    def test_a_heartbeat_is_answered_with_its_id_and_serialization(self):
        answer = codec().heartbeat_answer(one(frame(0xE2, 0x1122334455667788, b"N")))
        self.assertEqual(answer.data, frame(0x22, 0x1122334455667788, b"N", 20))

    def test_refusals_have_dubbos_words(self):
        for reason, status in ((NO_ROUTE, "service_not_found"), (UNAVAILABLE, "server_error"),
                               (TIMEOUT, "server_timeout")):
            found = one(codec().refusal(one(request(5)), reason))
            self.assertEqual((found.id, found.status), (5, status))
            self.assertIn(b"meshd: ", read_string(found.data, 16)[0])
        self.assertEqual(codec().refusal(one(request(flags=0x82)), NO_ROUTE), b"")

    def test_a_frame_too_long_is_refused_with_its_head(self):
        made = codec(max_frame_bytes=1024)
        self.assertEqual(made.frame_bytes(frame(0xC2, 1, b"x" * 1008)[:16]), 1024)
        with self.assertRaises(ProtocolError):
            made.decode(frame(0xC2, 1, b"x" * 1009)[:16])

    def test_what_follows_a_frame_must_be_one(self):
        with self.assertRaises(ProtocolError):
            codec().decode(request() + b"x")
        with self.assertRaises(ProtocolError):
            codec().decode(b"\xda\xbc")


class Strings(unittest.TestCase):
    def test_every_form_is_read(self):
        for value in ("", "a", "x" * 31, "x" * 32, "x" * 1023, "x" * 1024, "Grüße", "日本語", "a\U0001f600b"):
            data = text(value) + b"rest"
            found, at = read_string(data, 0)
            self.assertEqual((found.decode("utf-8", "surrogatepass").encode("utf-16", "surrogatepass"), data[at:]),
                             (value.encode("utf-16"), b"rest"))
        self.assertEqual(read_string(b"\x03a\xf0\x9f\x98\x80", 0), ("a\U0001f600".encode(), 6))
        self.assertEqual(read_string(b"R\x00\x02ab\x01c.", 0), (b"abc", 7))
        self.assertEqual(read_string(b"N.", 0), (b"", 1))

    def test_what_is_no_string_is_refused(self):
        for data in (b"", b"\x02a", b"S\x00", b"0", b"R\x00\x01a", b"R\x00\x01aN", b"\x01\x80", b"\x01\xc3", b"\x90",
                     b"\x01\xf0\x9f\x98\x80", b"\x02\xed\xa0", b"H"):
            with self.assertRaises(ProtocolError, msg=data):
                read_string(data, 0)

    def test_the_length_is_bounded(self):
        with self.assertRaises(ProtocolError):
            read_string(b"S" + struct.pack("!H", MAX_UNITS + 1) + b"x" * (MAX_UNITS + 1), 0)
        with self.assertRaises(ProtocolError):
            read_string(b"R\x10\x00" + b"x" * 4096 + b"R\x10\x00" + b"x" * 4096, 0)

    def test_what_is_written_is_read(self):
        for value in ("", "x" * 31, "x" * 32, "x" * 1023):
            self.assertEqual(read_string(write_string(value), 0)[0], value.encode())
