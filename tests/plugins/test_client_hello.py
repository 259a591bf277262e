"""The first flight of TLS clients, read without TLS: real ones, cut ones, broken ones."""

import random
import ssl
from unittest import TestCase

from meshd_plugins.listener_filter.client_hello import ClientHello, NoHello, TooLarge, read_hello


def hello(name="www.example.com", protocols=("h2", "http/1.1"), **options):
    """Return the first bytes that OpenSSL sends as a client."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    for key, value in options.items():
        setattr(context, key, value)
    if protocols:
        context.set_alpn_protocols(list(protocols))
    out = ssl.MemoryBIO()
    client = context.wrap_bio(ssl.MemoryBIO(), out, server_hostname=name)
    try:
        client.do_handshake()
    except ssl.SSLWantReadError:
        pass
    return out.read()


def in_records(data, size):
    """Return a one-record message in records of ``size`` bytes of content each."""
    content = data[5:]
    pieces = [content[place:place + size] for place in range(0, len(content), size)]
    return b"".join(data[:3] + len(piece).to_bytes(2, "big") + piece for piece in pieces)


class Reading(TestCase):
    def test_what_openssl_asks_for(self):
        self.assertEqual(read_hello(hello()), ClientHello("www.example.com", ("h2", "http/1.1")))

    def test_tls_1_2_without_protocols(self):
        data = hello(protocols=(), maximum_version=ssl.TLSVersion.TLSv1_2)
        self.assertEqual(read_hello(data), ClientHello("www.example.com", ()))

    def test_an_address_is_no_server_name(self):
        self.assertEqual(read_hello(hello(name="192.0.2.1")).server_name, "")

    def test_the_name_is_lower_case(self):
        self.assertEqual(read_hello(hello(name="WWW.Example.com")).server_name, "www.example.com")

    def test_any_beginning_of_it_is_not_enough(self):
        data = hello()
        for count in range(len(data)):
            self.assertIsNone(read_hello(data[:count]), count)

    def test_it_may_come_in_many_records(self):
        for size in (40, 64, 511):
            self.assertEqual(read_hello(in_records(hello(), size)).protocols, ("h2", "http/1.1"))
            self.assertIsNone(read_hello(in_records(hello(), size)[:-1]))
        self.assertIsNone(read_hello(in_records(hello(), 1)[:60]))

    def test_what_follows_does_not_count(self):
        self.assertEqual(read_hello(hello() + b"\x17\x03\x03\0\1x").server_name, "www.example.com")

    def test_no_extensions_at_all(self):
        body = b"\3\3" + bytes(32) + b"\0" + b"\0\2\0\x2f" + b"\1\0"
        message = b"\1" + len(body).to_bytes(3, "big") + body
        self.assertEqual(read_hello(b"\x16\3\1" + len(message).to_bytes(2, "big") + message), ClientHello())


class Refusing(TestCase):
    def test_other_protocols(self):
        for data in (b"GET / HTTP/1.1\r\n", b"\x15\3\3\0\2\1\0", b"\x16\2", b"\x16\3\1\0\0", b"SSH-2.0-", b"\x80\x2e\1",
                     b"\x16\3\1\0\4\2\0\0\0", b"\x16\3\1\xff\xff", b"\x16\3\1\0\1\2"):
            with self.assertRaises(NoHello, msg=data):
                read_hello(data)

    def test_a_size_beyond_the_limit_as_soon_as_it_is_known(self):
        with self.assertRaises(TooLarge):
            read_hello(hello()[:9], limit=256)
        with self.assertRaises(TooLarge):
            read_hello(b"\x16\3\1\0\4\1\0\x40\1")

    def test_lengths_that_do_not_add_up(self):
        data = hello()
        place = data.index(b"www.example.com")
        for offset in (-1, -2, -4, -6):  # of the name, of its list, of the extension
            broken = bytearray(data)
            broken[place + offset] ^= 0x40
            with self.assertRaises(NoHello, msg=offset):
                read_hello(bytes(broken))

    def test_more_records_than_anybody_needs(self):
        with self.assertRaises(NoHello):
            read_hello(in_records(hello(), 1))

    def test_a_name_with_odd_bytes(self):
        for odd in (b"www.example\0com", b"www example.com", b"www.exampl\xe9.com"):
            with self.assertRaises(NoHello):
                read_hello(hello().replace(b"www.example.com", odd))

    def test_noise_is_refused_or_read_and_nothing_else_happens(self):
        chance, data = random.Random(7), hello()
        for _ in range(3000):
            broken = bytearray(data)
            for _ in range(chance.randint(1, 8)):
                broken[chance.randrange(len(broken))] = chance.randrange(256)
            cut = bytes(broken[:chance.randint(0, len(broken))])
            try:
                found = read_hello(cut)
            except NoHello:
                continue
            self.assertTrue(found is None or isinstance(found, ClientHello))
