"""The shipped listener filters: the contract, and what each finds."""

import socket
from unittest import TestCase

from meshd.api import CONTINUE, MORE, STOP
from meshd.testing.contract.connection import Arrival, ListenerFilterContract
from meshd.testing.site import FakeSite
from meshd_plugins.listener_filter.http_inspector import (
    PREFACE, HttpInspector, HttpInspectorOptions, protocol_of)
from meshd_plugins.listener_filter.original_dst import OriginalDst, destination_of
from meshd_plugins.listener_filter.tls_inspector import TlsInspector, TlsInspectorOptions
from tests.plugins.test_client_hello import hello


class TlsInspecting(ListenerFilterContract, TestCase):
    data = (hello(), hello(name="192.0.2.1", protocols=()))

    def setUp(self):
        self.site = FakeSite()

    def make(self):
        return TlsInspector(None, self.site)

    def test_finds_name_and_protocols(self):
        arrival, verdict = self.walk(self.make(), [hello()])
        self.assertIs(verdict, CONTINUE)
        self.assertEqual((arrival.transport_protocol, arrival.server_name, arrival.application_protocols),
                         ("tls", "www.example.com", ("h2", "http/1.1")))

    def test_takes_nothing_away(self):
        data = hello()
        self.assertEqual(self.walk(self.make(), [data[:7], data[7:]])[0].data, data)

    def test_one_byte_tells_what_is_no_tls(self):
        arrival, verdict = self.walk(self.make(), [b"G"])
        self.assertEqual((verdict, arrival.transport_protocol), (CONTINUE, ""))

    def test_leaves_alone_whose_chain_does_not_depend_on_it(self):
        plugin, arrival = TlsInspector(TlsInspectorOptions(when_needed=True), self.site), Arrival(hello())
        arrival.depends_on_client = False
        self.assertEqual((plugin.on_accept(arrival), arrival.server_name), (CONTINUE, ""))
        self.assertEqual(self.walk(plugin, [hello()])[0].server_name, "www.example.com")

    def test_refuses_a_hello_that_is_too_large(self):
        plugin = TlsInspector(TlsInspectorOptions(max_client_hello_bytes=256), self.site)
        self.assertIs(self.walk(plugin, [hello()])[1], STOP)


class HttpInspecting(ListenerFilterContract, TestCase):
    data = (b"GET /a HTTP/1.1\r\nhost: a\r\n\r\n", b"GET / HTTP/1.0\n\n", PREFACE + b"\0\0\0\4\0\0\0\0\0")

    def setUp(self):
        self.site = FakeSite()

    def make(self):
        return HttpInspector(None, self.site)

    def test_finds_the_version(self):
        for data, found in zip(self.data, ("http/1.1", "http/1.0", "h2c")):
            self.assertEqual(self.walk(self.make(), [data])[0].application_protocols, (found,))

    def test_leaves_alone_whose_chain_does_not_depend_on_it(self):
        plugin, arrival = HttpInspector(HttpInspectorOptions(when_needed=True), self.site), Arrival()
        self.assertIs(plugin.on_accept(arrival), MORE)
        arrival.depends_on_client = False
        self.assertIs(plugin.on_accept(arrival), CONTINUE)

    def test_what_is_not_http(self):
        for data in (b"\x16\3\1", b"SSH-2.0-x\r\n", b"*1\r\n", b"GET / HTTP/2.0\r\n", b"GET /\r\n", b"G\0",
                     b"\r\n\r\n\x01", b"PRI * HTTP/2.0\r\n\r\nSX", b"x" * 33, b"GET " + b"a" * 9000):
            self.assertEqual(protocol_of(data), "", data[:20])

    def test_what_needs_more(self):
        for data in (b"P", PREFACE[:-1], b"GE", b"GET /", b"\r\nGET / HTTP/1.1", b"GET / HTTP/1.1\r", b"\r\n"):
            self.assertIsNone(protocol_of(data), data)

    def test_leaves_tls_alone(self):
        arrival = Arrival()
        arrival.transport_protocol, arrival.application_protocols = "tls", ("h2",)
        self.assertIs(self.make().on_accept(arrival), CONTINUE)
        self.assertEqual(arrival.application_protocols, ("h2",))

    def test_waits_for_a_silent_client_for_a_second(self):
        self.assertIs(self.make().on_accept(Arrival()), MORE)
        self.assertEqual(self.make().silence_s, 1.0)


class Sock:
    """A socket whose original destination is known."""

    def __init__(self, family, data):
        self.family = family
        self.data = data

    def getsockopt(self, level, option, size):
        """Return sockaddr_in or sockaddr_in6."""
        if not self.data:
            raise OSError(2, "no such file or directory")
        return self.data


class OriginalDestination(ListenerFilterContract, TestCase):
    def make(self):
        return OriginalDst(None, FakeSite())

    def test_the_destination_takes_the_place_of_our_address(self):
        four = b"\2\0\x01\xbb" + socket.inet_aton("198.51.100.7") + bytes(8)
        six = b"\x0a\0\0\x50" + bytes(4) + socket.inet_pton(socket.AF_INET6, "2001:db8::7") + bytes(4)
        for sock, local in ((Sock(socket.AF_INET, four), "198.51.100.7:443"),
                            (Sock(socket.AF_INET6, six), "[2001:db8::7]:80")):
            arrival = Arrival(sock=sock)
            self.assertIs(self.make().on_accept(arrival), CONTINUE)
            self.assertEqual(arrival.local, local)

    def test_where_the_kernel_knows_none_it_stays(self):
        for family in (socket.AF_INET, socket.AF_INET6, socket.AF_UNIX):
            self.assertIsNone(destination_of(Sock(family, b"")))
        arrival = Arrival(sock=Sock(socket.AF_INET, b""))
        self.make().on_accept(arrival)
        self.assertEqual(arrival.local, "192.0.2.2:80")
