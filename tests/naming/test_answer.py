"""What a query gets at once."""

import random
import time
from unittest import TestCase

from twisted.names import dns

from meshd.model.naming import DnsHost
from meshd.naming.answer import ANSWERED, FORWARDED, REFUSED, decide, failure, is_answer_to
from meshd.naming.table import Table

HOSTS = (
    DnsHost(name="orders.shop.test", addresses=("240.240.0.1", "2001:2::1")),
    DnsHost(name="many.test", addresses=tuple(f"10.0.{one // 250}.{one % 250}" for one in range(400))),
    DnsHost(name="two.test", addresses=("10.0.0.1", "10.0.0.2")),
    DnsHost(name="*.wild.test", addresses=("10.0.0.3",)),
    DnsHost(name="*.deep.wild.test", addresses=("10.0.0.4",)),
    DnsHost(name="own.wild.test", addresses=("10.0.0.5",)),
)


def query(name, kind=dns.A, **options):
    """Return a query as it is sent."""
    message = dns.Message(4711, recDes=1, **options)
    message.addQuery(name, kind)
    return message.toStr()


class TestAnswer(TestCase):
    def setUp(self):
        self.table = Table(HOSTS)

    def ask(self, name, kind=dns.A, is_udp=True):
        found = decide(query(name, kind), self.table, 30.0, is_udp)
        self.assertEqual(found.result, ANSWERED)
        message = dns.Message()
        message.fromStr(found.reply)
        return message

    def addresses(self, name, kind=dns.A):
        return [one.payload.dottedQuad() for one in self.ask(name, kind).answers]

    def test_a_name_of_the_mesh(self):
        message = self.ask("orders.shop.test")
        self.assertEqual((message.id, message.answer, message.auth, message.recDes, message.recAv), (4711, 1, 1, 1, 1))
        self.assertEqual([(one.payload.dottedQuad(), one.ttl) for one in message.answers], [("240.240.0.1", 30)])
        self.assertEqual(self.addresses("ORDERS.Shop.Test"), ["240.240.0.1"])
        self.assertEqual(self.ask("orders.shop.test", dns.AAAA).answers[0].payload.TYPE, dns.AAAA)

    def test_a_name_without_addresses_of_the_kind_exists_all_the_same(self):
        message = self.ask("two.test", dns.AAAA)
        self.assertEqual((message.rCode, message.answers), (dns.OK, []))

    def test_addresses_take_turns(self):
        self.assertEqual({tuple(self.addresses("two.test")) for _ in range(4)},
                         {("10.0.0.1", "10.0.0.2"), ("10.0.0.2", "10.0.0.1")})

    def test_the_closest_wildcard_counts_and_a_name_of_its_own_before_it(self):
        self.assertEqual(self.addresses("a.b.wild.test"), ["10.0.0.3"])
        self.assertEqual(self.addresses("a.deep.wild.test"), ["10.0.0.4"])
        self.assertEqual(self.addresses("own.wild.test"), ["10.0.0.5"])
        self.assertEqual(decide(query("wild.test"), self.table, 30.0, True).result, FORWARDED)

    def test_what_does_not_fit_a_datagram_is_asked_for_again_over_tcp(self):
        message = self.ask("many.test")
        self.assertEqual((message.trunc, len(message.answers)), (1, (512 - len(query("many.test"))) // 16))
        self.assertEqual(len(self.ask("many.test", is_udp=False).answers), 400)

    def test_a_message_over_tcp_never_gets_too_long(self):
        hosts = [DnsHost(name="all.test", addresses=tuple(f"2001:2::{part}:{one:x}" for one in range(1000)))
                 for part in range(3)]
        found = decide(query("all.test", dns.AAAA), Table(hosts), 30.0, False)
        self.assertEqual(found.result, ANSWERED)
        self.assertLess(len(found.reply), 65536)

    def test_a_long_name_below_a_wildcard(self):
        wire = query(".".join(["x" * 60] * 9) + ".wild.test", maxSize=0)
        found = decide(wire, self.table, 30.0, True)
        self.assertEqual((found.result, found.reply[2] & 2), (ANSWERED, 2))

    def test_names_that_point_to_one_another_cost_little(self):
        labels = b"\1a" * 1000 + b"\0"
        wire = query("a.test")[:12] + labels + b"\0\1\0\1" + b"\xc0\x0c\0\1\0\1" * 300
        for count in (1, 301):
            wire = wire[:4] + count.to_bytes(2, "big") + wire[6:]
            start = time.thread_time()
            for _ in range(10):
                decide(wire, self.table, 30.0, True)
            self.assertLess(time.thread_time() - start, 0.3)

    def test_other_names_and_types_are_for_a_resolver(self):
        for name, kind in (("example.com", dns.A), ("orders.shop.test", dns.MX), ("shop.test", dns.A)):
            self.assertEqual(decide(query(name, kind), self.table, 30.0, True).result, FORWARDED)

    def test_an_answer_gets_no_answer(self):
        for wire in (query("orders.shop.test", answer=1), b"", b"x" * 11):
            found = decide(wire, self.table, 30.0, True)
            self.assertEqual((found.result, found.reply), (REFUSED, None))

    def test_what_is_no_plain_query_is_refused(self):
        two = dns.Message(4711)
        two.addQuery("a.test")
        two.addQuery("b.test")
        self.assertEqual(self.code(two.toStr()), dns.EFORMAT)
        self.assertEqual(self.code(query("a.test", opCode=dns.OP_UPDATE)), dns.ENOTIMP)
        loop = query("a.test")[:12] + b"\xc0\x0c\0\1\0\1"
        self.assertEqual(self.code(loop), dns.EFORMAT)

    def code(self, wire):
        found = decide(wire, self.table, 30.0, True)
        self.assertEqual((found.result, found.reply[:2]), (REFUSED, wire[:2]))
        return found.reply[3] & 15

    def test_no_octets_break_it(self):
        draw, good = random.Random(4), query("orders.shop.test")
        for _ in range(3000):
            wire = bytearray(good)
            for _ in range(draw.randrange(1, 6)):
                wire[draw.randrange(len(wire))] = draw.randrange(256)
            wire = bytes(wire[:draw.randrange(len(wire) + 1)])
            found = decide(wire, self.table, 30.0, True)
            self.assertTrue(found.reply is None or found.reply[:2] == wire[:2])
            if found.result == FORWARDED:
                self.assertEqual(failure(wire)[:2], wire[:2])

    def test_failure_has_the_question(self):
        asked = query("example.com")
        message = dns.Message()
        message.fromStr(failure(asked))
        self.assertEqual((message.id, message.rCode, message.queries[0].name.name), (4711, dns.ESERVER, b"example.com"))

    def test_only_an_answer_to_the_question_counts(self):
        asked = query("example.com")
        good = query("EXAMPLE.com", answer=1)
        self.assertTrue(is_answer_to(good, asked))
        self.assertFalse(is_answer_to(asked, asked))
        self.assertFalse(is_answer_to(b"\0\0" + good[2:], asked))
        self.assertFalse(is_answer_to(query("example.org", answer=1), asked))
