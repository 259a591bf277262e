"""RESP2 as conversations: whatever the pieces, the replies are the same; what is no RESP2, or too much, is refused."""

import random
import unittest

from meshd_plugins.rate_limit.resp import (
    MAX_BULK_BYTES, MAX_ITEMS, MAX_LINE_BYTES, ErrorReply, Parser, RespError, command,
)

TALK = (b"+OK\r\n", b"-ERR no\r\n", b":-12\r\n", b"$-1\r\n", b"$0\r\n\r\n", b"$4\r\na\r\nb\r\n", b"*-1\r\n", b"*0\r\n",
        b"*3\r\n:1\r\n$2\r\nxy\r\n*1\r\n+a\r\n")
REPLIES = [b"OK", ErrorReply("ERR no"), -12, None, b"", b"a\r\nb", None, [], [1, b"xy", [b"a"]]]


class Commands(unittest.TestCase):
    def test_are_arrays_of_bulk_strings(self):
        self.assertEqual(command("SET", b"\r\n", 12), b"*3\r\n$3\r\nSET\r\n$2\r\n\r\n\r\n$2\r\n12\r\n")
        self.assertEqual(command("\N{SNOWMAN}"), b"*1\r\n$3\r\n\xe2\x98\x83\r\n")


class Replies(unittest.TestCase):
    def test_of_every_kind(self):
        self.assertEqual(Parser().receive(b"".join(TALK)), REPLIES)

    def test_in_any_pieces(self):
        data, draw = b"".join(TALK), random.Random(3)
        for _ in range(200):
            parser, found, at = Parser(), [], 0
            while at < len(data):
                size = draw.randint(1, 7)
                found += parser.receive(data[at:at + size])
                at += size
            self.assertEqual(found, REPLIES)

    def test_an_errors_code_is_its_first_word(self):
        self.assertEqual(ErrorReply("NOSCRIPT No matching script.").code, "NOSCRIPT")

    def test_what_is_no_resp_is_refused(self):
        for data in (b"HTTP/1.1 200 OK\r\n", b":1x\r\n", b":\r\n", b"$-2\r\n", b"*-2\r\n", b"$1\r\nab\r\n", b"$x\r\n",
                     b":99999999999999999999\r\n", b"_\r\n", b"%1\r\n", b"\r\n"):
            with self.subTest(data), self.assertRaises(RespError):
                Parser().receive(data)

    def test_what_is_too_much_is_refused_before_it_has_come(self):
        for data in (b"$%d\r\n" % (MAX_BULK_BYTES + 1), b"*%d\r\n" % (MAX_ITEMS + 1), b"*1\r\n" * 5,
                     b"+" + b"x" * (MAX_LINE_BYTES + 1), b"*1000\r\n" + b"$60000\r\n" + b"x" * 60000 + b"\r\n" * 1
                     + b"$60000\r\n" + b"x" * 50000):
            with self.subTest(data[:20]), self.assertRaises(RespError):
                Parser().receive(data)

    def test_garbage_never_raises_anything_else(self):
        draw = random.Random(5)
        for _ in range(3000):
            data = bytes(draw.choice(b"+-:$*0123456789\r\nabc") for _ in range(draw.randint(1, 40)))
            try:
                Parser().receive(data)
            except RespError:
                pass
