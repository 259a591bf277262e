"""The MQTT codec: CONNECT to the letter of 3.1.1 and 5."""

import struct
import unittest

from meshd.api import NO_ROUTE, SESSION, UNAVAILABLE, ProtocolError
from meshd.testing.contract.connection import ProtocolCodecContract
from meshd_plugins.codec.mqtt import Mqtt, MqttCodec


def codec(**options):
    return MqttCodec(Mqtt(**options), None)


def field(value):
    return struct.pack("!H", len(value)) + value


def packet(body, first=0x10):
    length, size = b"", len(body)
    while True:
        size, digit = divmod(size, 128)
        length += bytes((digit | (0x80 if size else 0),))
        if not size:
            return bytes((first,)) + length + body


def connect(client=b"sensor-7", level=4, flags=0x02, rest=b"", properties=b"", name=b"MQTT"):
    head = field(name) + bytes((level, flags)) + b"\x00\x3c"
    if level == 5:
        head += bytes((len(properties),)) + properties
    return packet(head + field(client) + rest)


def fields(data):
    (frame,), rest = codec().decode(data)
    assert rest == b""
    return dict(codec().fields(frame))


class Contract(ProtocolCodecContract, unittest.TestCase):
    frames = (connect(b"x" * 200, rest=field(b"u"), flags=0x82),)

    def make(self):
        return codec()


class Good(unittest.TestCase):
    def test_both_versions_say_who_the_client_is(self):
        for level in (4, 5):
            found = fields(connect(level=level, flags=0xC2, rest=field(b"ann") + field(b"\0secret")))
            self.assertEqual(found, {b"client-id": b"sensor-7", b"username": b"ann", b"clean-start": b"true",
                                     b"protocol-level": b"%d" % level})

    def test_wills_are_passed_over(self):
        will = field(b"a/b") + field(b"gone\0")
        self.assertEqual(fields(connect(flags=0x2E, rest=will))[b"client-id"], b"sensor-7")
        properties = (b"\x18\0\0\0\x05\x01\x01\x02\0\0\0\x01\x03" + field(b"t") + b"\x08" + field(b"r") + b"\x09"
                      + field(b"\0"))
        found = fields(connect(level=5, flags=0x0E, rest=bytes((len(properties),)) + properties + will))
        self.assertEqual(found[b"client-id"], b"sensor-7")

    def test_properties_of_version_5(self):
        properties = (b"\x11\0\0\0\x05\x21\0\x01\x27\0\0\x01\0\x22\0\0\x19\x01\x17\0\x26" + field(b"a") + field(b"b")
                      + b"\x26" + field(b"a") + field(b"c") + b"\x15" + field(b"SCRAM") + b"\x16" + field(b"\0\1"))
        self.assertEqual(fields(connect(level=5, properties=properties))[b"client-id"], b"sensor-7")

    def test_an_empty_id_where_the_session_is_not_kept(self):
        self.assertEqual(fields(connect(b""))[b"client-id"], b"")
        self.assertEqual(fields(connect(b"", level=5, flags=0))[b"client-id"], b"")

    def test_what_follows_belongs_to_the_session(self):
        found, rest = codec().decode(connect() + b"\xc0\0\x30\x01")
        self.assertEqual(([one.kind for one in found], rest), ([SESSION], b"\xc0\0\x30\x01"))


class Bad(unittest.TestCase):
    def refused(self, data, answer):
        with self.assertRaises(ProtocolError, msg=data):
            codec().decode(data)
        self.assertEqual(codec().malformed(data), answer, data)

    def test_3_1_1_closes_without_a_word(self):
        for data in (
            b"\xc0\0", b"\x11\0", packet(b""), packet(field(b"MQTT")), connect(name=b"MQTX"), connect(flags=0x03),
            connect(flags=0x1E, rest=field(b"a") + field(b"b")), connect(flags=0x0A), connect(flags=0x22),
            connect(flags=0x42, rest=field(b"p")), connect(b"a\0b"), connect(b"a\nb"), connect(b"\xc2\x85"),
            connect(b"\xff"), connect(b"\xed\xa0\x80"), connect(rest=b"x"), connect(flags=0x82),
            b"\x10\xff\xff\xff\xff\x01", b"\x10\x80\x00",
        ):
            self.refused(data, b"")

    def test_3_1_1_has_words_for_version_and_id(self):
        self.refused(connect(level=3, name=b"MQIsdp"), b"\x20\x02\0\x01")
        self.refused(connect(b"", flags=0), b"\x20\x02\0\x02")

    def test_5_names_its_reason(self):
        self.refused(connect(level=6), b"\x20\x03\0\x84\0")
        for data in (
            connect(level=5, flags=0x03), connect(b"a\0b", level=5), connect(level=5, properties=b"\x21\0\0"),
            connect(level=5, properties=b"\x17\x02"), connect(level=5, properties=b"\x17\x01\x17\x01"),
            connect(level=5, properties=b"\x23\0\x01"), connect(level=5, properties=b"\x11\0\0"),
            connect(level=5, properties=b"\x16" + field(b"x")), connect(level=5, rest=b"x"),
            connect(level=5, properties=b"\x26" + field(b"a") + b"\0"),
        ):
            self.refused(data, b"\x20\x03\0\x81\0")

    def test_a_connect_too_long_is_refused_with_its_length(self):
        made = codec(max_connect_bytes=64)
        self.assertEqual(made.frame_bytes(b"\x10\x3e"), 64)
        with self.assertRaises(ProtocolError):
            made.decode(b"\x10\x3f")


class Refusals(unittest.TestCase):
    def test_connack_of_the_clients_version(self):
        for level, reason, answer in ((4, UNAVAILABLE, b"\x20\x02\0\x03"), (4, NO_ROUTE, b"\x20\x02\0\x05"),
                                      (5, UNAVAILABLE, b"\x20\x03\0\x88\0"), (5, NO_ROUTE, b"\x20\x03\0\x87\0")):
            (frame,), _ = codec().decode(connect(level=level))
            self.assertEqual(codec().refusal(frame, reason), answer)
