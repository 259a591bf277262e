"""Messages of Protocol Buffers: bytes that the real library writes and reads, and bytes that are none."""

import unittest

from meshd.http import message


class Messages(unittest.TestCase):
    def test_what_is_written(self):
        self.assertEqual(message.number(1, 150), b"\x08\x96\x01")
        self.assertEqual(message.text(2, "testing"), b"\x12\x07testing")
        self.assertEqual(message.data(3, message.number(1, 150)), b"\x1a\x03\x08\x96\x01")
        self.assertEqual((message.number(1, 0), message.text(1, ""), message.data(1, b"")), (b"", b"", b"\x0a\0"))
        self.assertEqual(message.text(16, b"\xff"), b"\x82\x01\x03\xef\xbf\xbd")
        self.assertEqual(message.varint(2 ** 64 - 1), b"\xff" * 9 + b"\x01")

    def test_there_and_back(self):
        raw = message.text(1, "é") + message.number(2, 2 ** 40) + message.data(3, b"\x08\x01") + message.data(3, b"")
        found = message.read(raw + b"\x25\0\0\0\0" + b"\x29" + b"\0" * 8)
        self.assertEqual((found.text(1), found.number(2), found.all(3)), ("é", 2 ** 40, [b"\x08\x01", b""]))
        self.assertEqual((found.number(9), found.text(9), found.all(9), found.message(9)), (0, "", [], None))
        self.assertEqual(message.read(b"\x0a\x02\x08\x07").message(1).number(1), 7)

    def test_the_last_counts(self):
        self.assertEqual(message.read(b"\x08\x01\x08\x02").number(1), 2)

    def test_what_is_none(self):
        for raw in (b"\x08", b"\x0a\x05a", b"\x0a", b"\xff" * 11, b"\x0b", b"\x00\x01", b"\x25\0",
                    b"\x08" + b"\xff" * 10):
            with self.assertRaises(ValueError, msg=raw):
                message.read(raw)

    def test_another_type_than_expected(self):
        found = message.read(b"\x08\x01\x12\x01\xff")
        for read in (found.data, found.all):
            with self.assertRaises(ValueError):
                read(1)
        for read in (found.number, found.text):
            with self.assertRaises(ValueError):
                read(2)
