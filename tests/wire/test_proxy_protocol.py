"""The PROXY protocol's header, against the words of its specification and a script of broken ones."""

import random
import socket
import struct

from twisted.trial.unittest import TestCase

from meshd.wire.crc32c import crc32c
from meshd.wire.proxy_protocol import (
    AUTHORITY, CRC32C, NOOP, NOT_FOUND, SIGNATURE, V1_BYTES, V2_BYTES, BadHeader, read, write,
)

IPV4 = socket.inet_pton(socket.AF_INET, "192.0.2.1") + socket.inet_pton(socket.AF_INET, "198.51.100.2")
PORTS = struct.pack("!HH", 56324, 443)


def version_2(body, family=0x11, command=0x21):
    return SIGNATURE + struct.pack("!BBH", command, family, len(body)) + body


def tlv(kind, value):
    return struct.pack("!BH", kind, len(value)) + value


def summed(body):
    """A header of version 2 that ends with its checksum."""
    blank = version_2(body + tlv(CRC32C, bytes(4)))
    return blank[:-4] + crc32c(blank).to_bytes(4)


class Version1Test(TestCase):

    def test_addresses_of_both_families(self):
        found = read(b"PROXY TCP4 192.0.2.1 198.51.100.2 56324 443\r\nGET /")
        self.assertEqual((found.version, found.size), (1, 45))
        self.assertEqual((found.source, found.destination), ("192.0.2.1:56324", "198.51.100.2:443"))
        found = read(b"PROXY TCP6 2001:db8::1 2001:DB8:0:0::2 1 65535\r\n")
        self.assertEqual((found.source, found.destination), ("[2001:db8::1]:1", "[2001:db8::2]:65535"))

    def test_unknown_tells_nothing_whatever_follows(self):
        for line in (b"PROXY UNKNOWN\r\n", b"PROXY UNKNOWN ffff:f...f:ffff ffff:f...f:ffff 65535 65535\r\n"):
            found = read(line)
            self.assertEqual((found.size, found.source, found.destination), (len(line), "", ""))

    def test_every_cut_is_waited_for(self):
        line = b"PROXY TCP4 192.0.2.1 198.51.100.2 56324 443\r\n"
        for end in range(len(line)):
            self.assertIsNone(read(line[:end]), line[:end])

    def test_the_longest_line_and_one_byte_more(self):
        longest = b"PROXY UNKNOWN " + b"x" * (V1_BYTES - 16) + b"\r\n"
        self.assertEqual(len(longest), V1_BYTES)
        self.assertEqual(read(longest).size, V1_BYTES)
        with self.assertRaises(BadHeader):
            read(b"PROXY UNKNOWN " + b"x" * (V1_BYTES - 15) + b"\r\n")
        self.assertIsNone(read(b"PROXY UNKNOWN " + b"x" * (V1_BYTES - 15)))

    def test_what_is_not_to_the_letter_is_refused(self):
        good = b"TCP4 192.0.2.1 198.51.100.2 56324 443"
        for rest in (
            b"TCP4  192.0.2.1 198.51.100.2 56324 443", b" " + good, good + b" ", good.lower(), b"TCP5" + good[4:],
            b"TCP4 192.0.2.1 198.51.100.2 56324", b"TCP4 192.0.2.1 198.51.100.2 056324 443",
            b"TCP4 192.0.2.1 198.51.100.2 +5 443", b"TCP4 192.0.2.1 198.51.100.2 65536 443",
            b"TCP4 192.0.2.001 198.51.100.2 1 443", b"TCP4 192.0.2 198.51.100.2 1 443", b"TCP4 ::1 ::1 1 443",
            b"TCP6 192.0.2.1 198.51.100.2 1 443", b"TCP6 fe80::1%eth0 ::1 1 443", b"TCP6 ::1::2 ::1 1 443",
            b"UNKNOWNX", b"", b"TCP4\t192.0.2.1 198.51.100.2 1 443", b"UDP4 192.0.2.1 198.51.100.2 1 443",
        ):
            with self.assertRaises(BadHeader, msg=rest) as caught:
                read(b"PROXY " + rest + b"\r\n")
            self.assertEqual(caught.exception.version, 1)
        with self.assertRaises(BadHeader):
            read(b"PROXY " + good + b"\n")
        with self.assertRaises(BadHeader):
            read(b"PROXY " + good + b"\r\r\n")


class Version2Test(TestCase):

    def test_addresses_of_each_family(self):
        found = read(version_2(IPV4 + PORTS) + b"\x16\x03")
        self.assertEqual((found.version, found.size), (2, 28))
        self.assertEqual((found.source, found.destination), ("192.0.2.1:56324", "198.51.100.2:443"))
        both = socket.inet_pton(socket.AF_INET6, "2001:db8::1") + socket.inet_pton(socket.AF_INET6, "::2")
        found = read(version_2(both + PORTS, 0x21))
        self.assertEqual((found.source, found.destination), ("[2001:db8::1]:56324", "[::2]:443"))
        names = b"/run/a".ljust(108, b"\0") + b"\0b".ljust(108, b"\0")
        found = read(version_2(names, 0x31))
        self.assertEqual((found.source, found.destination), ("unix:/run/a", "unix:@b"))
        self.assertEqual(read(version_2(bytes(216), 0x31)).source, "unix:")

    def test_local_and_unspecified_tell_nothing(self):
        for header in (version_2(b"", 0, 0x20), version_2(b"junk", 0x11, 0x20), version_2(b"anything", 0x00),
                       version_2(b"", 0x10)):
            found = read(header)
            self.assertEqual((found.size, found.source, found.destination), (len(header), "", ""))

    def test_tlvs_are_told_in_their_order(self):
        found = read(version_2(IPV4 + PORTS + tlv(AUTHORITY, b"a.example") + tlv(NOOP, b"xx") + tlv(0xE0, b"")))
        self.assertEqual(found.tlvs, ((AUTHORITY, b"a.example"), (0xE0, b"")))

    def test_every_cut_is_waited_for(self):
        header = summed(IPV4 + PORTS + tlv(AUTHORITY, b"a.example"))
        for end in range(len(header)):
            self.assertIsNone(read(header[:end]))
        self.assertEqual(read(header).size, len(header))

    def test_a_checksum_must_fit(self):
        good = summed(IPV4 + PORTS + tlv(AUTHORITY, b"a.example"))
        self.assertEqual(read(good).tlvs[0], (AUTHORITY, b"a.example"))
        for place in set(range(16, len(good))) - {len(good) - 7}:  # that one says that it is a checksum
            bad = bytearray(good)
            bad[place] ^= 1
            with self.assertRaises(BadHeader, msg=place):
                read(bytes(bad))
        with self.assertRaises(BadHeader):
            read(version_2(IPV4 + PORTS + tlv(CRC32C, b"123")))

    def test_what_is_not_to_the_letter_is_refused(self):
        for header in (
            version_2(IPV4 + PORTS, command=0x11), version_2(IPV4 + PORTS, command=0x22),
            version_2(IPV4 + PORTS, 0x41), version_2(IPV4 + PORTS, 0x13), version_2(IPV4 + PORTS, 0x12),
            version_2(IPV4), version_2(IPV4 + PORTS, 0x21), version_2(bytes(215), 0x31),
            version_2(IPV4 + PORTS + b"\x02\0"), version_2(IPV4 + PORTS + b"\x02\0\x05four"),
        ):
            with self.assertRaises(BadHeader, msg=header) as caught:
                read(header)
            self.assertEqual(caught.exception.version, 2)

    def test_a_length_beyond_the_bound_is_refused_before_it_comes(self):
        with self.assertRaises(BadHeader):
            read(SIGNATURE + struct.pack("!BBH", 0x21, 0x11, V2_BYTES - 15))
        self.assertIsNone(read(SIGNATURE + struct.pack("!BBH", 0x21, 0x11, V2_BYTES - 16)))


class OtherBytesTest(TestCase):

    def test_what_is_no_header_is_known_by_its_first_byte_that_differs(self):
        for data in (b"GET / HTTP/1.1\r\n", b"PROPFIND /", b"PROXY\t", b"\x16\x03\x01", b"\r\n\r\nG",
                     SIGNATURE[:-1] + b"\r"):
            self.assertIs(read(data), NOT_FOUND, data)
        for data in (b"", b"P", b"PRO", b"\r\n", b"\r\n\r\n\0"):
            self.assertIsNone(read(data), data)

    def test_drawn_bytes_never_do_anything_else(self):
        chance = random.Random(7)
        for _ in range(2000):
            start = chance.choice((SIGNATURE, b"PROXY ", SIGNATURE + b"\x21\x11\0\x20", b"PROXY TCP4 "))
            data = start + chance.randbytes(chance.randrange(60))
            try:
                found = read(data)
            except BadHeader:
                continue
            self.assertTrue(found is None or found.size <= len(data))


class WriteTest(TestCase):

    def test_what_is_written_is_read(self):
        for version in (1, 2):
            for source, destination in (("192.0.2.1:1", "198.51.100.2:65535"), ("[2001:db8::1]:7", "[::1]:8")):
                found = read(write(version, source, destination))
                self.assertEqual((found.version, found.source, found.destination), (version, source, destination))

    def test_two_families_are_written_as_one(self):
        found = read(write(1, "192.0.2.1:5", "[2001:db8::1]:8"))
        self.assertEqual((found.source, found.destination), ("[::ffff:192.0.2.1]:5", "[2001:db8::1]:8"))

    def test_an_end_without_an_address(self):
        self.assertEqual(write(1, "unix:", "192.0.2.1:1"), b"PROXY UNKNOWN\r\n")
        self.assertEqual(write(1, "", ""), b"PROXY UNKNOWN\r\n")
        self.assertEqual(write(2, "", ""), SIGNATURE + b"\x20\0\0\0")
        found = read(write(2, "unix:/run/a", "unix:@b"))
        self.assertEqual((found.source, found.destination), ("unix:/run/a", "unix:@b"))

    def test_tlvs_are_sent_and_bounded(self):
        header = write(2, "192.0.2.1:1", "192.0.2.2:2", ((AUTHORITY, b"a.example"),))
        self.assertEqual(read(header).tlvs, ((AUTHORITY, b"a.example"),))
        with self.assertRaises(ValueError):
            write(2, "192.0.2.1:1", "192.0.2.2:2", ((0xE0, b"x" * V2_BYTES),))

    def test_the_checksum_is_castagnolis(self):
        self.assertEqual(crc32c(b"123456789"), 0xE3069283)
