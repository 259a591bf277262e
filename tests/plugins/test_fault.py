"""fault: the draws, the order, who may ask for faults by header, and that nothing of a fault is left behind."""

import random
import unittest

from meshd.api import CONTINUE, STOP, flag
from meshd.testing.contract.http import HttpFilterContract
from meshd.testing.exchange import FakeExchange
from meshd.testing.site import FakeSite
from meshd_plugins.fault import FaultFilter
from meshd_plugins.fault.chance import capped, is_drawn, number, source_test
from meshd_plugins.fault.config import Fault
from tests.plugins.reading import read

ALL = "{numerator: 100}"


class Faulty:
    """One filter and its site."""

    def __init__(self, text, site=None):
        config, faults = read(Fault, text)
        assert not faults, faults
        self.site = site or FakeSite("fault", owner="listener public")
        self.filter = FaultFilter(config, self.site)

    def ask(self, *headers, complete=True, **attributes):
        exchange = FakeExchange(b"GET", b"/", headers, **{"client": "10.1.1.1", **attributes})
        answer = self.filter.on_request(exchange)
        exchange.verdict = []
        if hasattr(answer, "addBoth"):
            exchange.waiting = answer.addBoth(exchange.verdict.append)
        else:
            exchange.verdict.append(answer)
        if complete and exchange.verdict:
            exchange.complete(self.filter)
        return exchange

    def value(self, name):
        return self.site.metrics.value(f"envoy_http_fault_{name}", "fault")


class Contract(HttpFilterContract, unittest.TestCase):
    def make(self):
        return Faulty(f"delay: {{fixed_delay: 1s, percentage: {ALL}}}\n"
                      f"abort: {{http_status: 503, percentage: {ALL}}}").filter


class Chances(unittest.TestCase):
    def test_one_in_a_million_is_one_in_a_million(self):
        class Next:
            def randrange(self, stop):
                self.stop = stop
                return self.value

        draw = Next()
        for value, expected in ((0, True), (1, False), (999_999, False)):
            draw.value = value
            self.assertEqual(is_drawn(draw, 1, 1_000_000), expected)
            self.assertEqual(draw.stop, 1_000_000)

    def test_all_and_none_are_certain(self):
        self.assertTrue(is_drawn(None, 100, 100))
        self.assertFalse(is_drawn(None, 0, 100))

    def test_the_share_is_what_is_asked_for(self):
        draw = random.Random(7)
        count = sum(is_drawn(draw, 250, 10_000) for _ in range(200_000))
        self.assertAlmostEqual(count / 200_000, 0.025, delta=0.0015)

    def test_a_field_may_only_lower_the_share(self):
        fields = (None, b"10", b"90", b"x", b"-1", b"")
        self.assertEqual([capped(40, value) for value in fields], [40, 10, 40, 40, 40, 40])

    def test_numbers_of_fields_are_strict(self):
        values = (b"5", b"05", b" 5", b"+5", b"5.0", b"\xb2", b"99999999999", None)
        self.assertEqual([number(value, 1, 100) for value in values], [5, 5] + [None] * 6)

    def test_internal_addresses(self):
        is_in = source_test(("10.0.0.0/8", "::1/128"))
        self.assertEqual([is_in(one) for one in ("10.2.3.4", "::ffff:10.2.3.4", "11.0.0.1", "::1", "unix", "")],
                         [True, True, False, True, False, False])


class Delays(unittest.TestCase):
    TEXT = f"delay: {{fixed_delay: 2s, percentage: {ALL}}}"

    def test_a_request_waits_and_goes_on(self):
        faulty = Faulty(self.TEXT)
        exchange = faulty.ask()
        self.assertEqual((exchange.verdict, faulty.value("active_faults")), ([], 1))
        faulty.site.advance(1.9)
        self.assertEqual(exchange.verdict, [])
        faulty.site.advance(0.2)
        self.assertEqual((exchange.verdict, exchange.flags), ([CONTINUE], flag.DI))
        exchange.complete(faulty.filter)
        self.assertEqual((faulty.value("active_faults"), faulty.value("delays_injected")), (0, 1))

    def test_when_the_client_goes_the_timer_ends(self):
        faulty = Faulty(self.TEXT)
        exchange = faulty.ask()
        exchange.waiting.cancel()
        exchange.complete(faulty.filter)
        self.assertEqual((faulty.site.world.reactor.getDelayedCalls(), faulty.value("active_faults")), ([], 0))

    def test_the_delay_comes_first_and_then_the_abort(self):
        faulty = Faulty(self.TEXT + f"\nabort: {{http_status: 418, percentage: {ALL}}}")
        exchange = faulty.ask()
        self.assertEqual(exchange.replies, [])
        faulty.site.advance(2.1)
        self.assertEqual(exchange.verdict, [STOP])
        self.assertEqual((exchange.replies[0].status, exchange.flags), (418, flag.DI | flag.FI))

    def test_the_two_are_drawn_each_for_itself(self):
        half = "{numerator: 50}"
        faulty = Faulty(f"delay: {{fixed_delay: 1s, percentage: {half}}}\n"
                        f"abort: {{http_status: 418, percentage: {half}}}")
        seen = {}
        for _ in range(2000):
            exchange = faulty.ask(complete=False)
            faulty.site.advance(1.1)
            exchange.complete(faulty.filter)
            seen[exchange.flags] = seen.get(exchange.flags, 0) + 1
        self.assertEqual(set(seen), {0, flag.DI, flag.FI, flag.DI | flag.FI})
        self.assertTrue(all(420 < count < 580 for count in seen.values()), seen)


class Aborts(unittest.TestCase):
    def reply(self, text, *headers, **attributes):
        exchange = Faulty(text).ask(*headers, **attributes)
        return exchange.replies[0] if exchange.replies else None

    def test_with_a_status_flag_and_detail_of_envoys(self):
        found = self.reply(f"abort: {{http_status: 503, percentage: {ALL}}}")
        self.assertEqual((found.status, found.body, found.flag, found.detail),
                         (503, b"fault filter abort", flag.FI, "fault_filter_abort"))

    def test_a_grpc_status_for_grpc_callers_and_its_http_status_for_others(self):
        text = f"abort: {{grpc_status: 14, percentage: {ALL}}}"
        found = self.reply(text, (b"content-type", b"application/grpc+proto"))
        self.assertEqual((found.status, found.header(b"grpc-status")), (503, b"14"))
        found = self.reply(text)
        self.assertEqual((found.status, found.header(b"grpc-status")), (503, None))

    def test_only_what_meets_the_conditions(self):
        text = f"abort: {{http_status: 503, percentage: {ALL}}}\nheaders: [{{name: x-user, prefix: te}}]\n" \
               "downstream_nodes: [web-1]"
        self.assertIsNone(self.reply(text, (b"x-user", b"test")))
        self.assertIsNone(self.reply(text, (b"x-envoy-downstream-service-node", b"web-1")))
        node = (b"x-envoy-downstream-service-node", b"web-1")
        self.assertIsNone(self.reply(text, node, (b"x-user", b"ann")))
        self.assertIsNotNone(self.reply(text, node, (b"x-user", b"test")))


class HeaderControl(unittest.TestCase):
    TEXT = f"abort: {{header_abort: true, percentage: {ALL}}}\ndelay: {{header_delay: true, percentage: {ALL}}}"

    def test_only_where_it_is_configured(self):
        asked = ((b"x-envoy-fault-abort-request", b"418"), (b"x-envoy-fault-delay-request", b"1000"))
        exchange = Faulty(f"abort: {{http_status: 503, percentage: {ALL}}}").ask(*asked)
        self.assertEqual((exchange.replies[0].status, exchange.verdict), (503, [STOP]))

    def test_asks_for_a_status_a_grpc_status_and_a_delay(self):
        faulty = Faulty(self.TEXT)
        self.assertEqual(faulty.ask((b"x-envoy-fault-abort-request", b"418")).replies[0].status, 418)
        self.assertEqual(faulty.ask((b"x-envoy-fault-abort-grpc-request", b"5")).replies[0].status, 404)
        exchange = faulty.ask((b"x-envoy-fault-delay-request", b"1500"))
        faulty.site.advance(1.4)
        self.assertEqual(exchange.verdict, [])
        faulty.site.advance(0.2)
        self.assertEqual(exchange.verdict, [CONTINUE])

    def test_values_out_of_bounds_are_as_none(self):
        faulty = Faulty(self.TEXT)
        for value in (b"199", b"600", b"abc", b""):
            self.assertEqual(faulty.ask((b"x-envoy-fault-abort-request", value)).verdict, [CONTINUE])
        self.assertEqual(faulty.ask((b"x-envoy-fault-delay-request", b"3600001")).verdict, [CONTINUE])

    def test_a_share_of_nothing(self):
        none = (b"x-envoy-fault-abort-request-percentage", b"0")
        self.assertEqual(Faulty(self.TEXT).ask((b"x-envoy-fault-abort-request", b"418"), none).verdict, [CONTINUE])

    def test_strangers_are_not_heard_and_their_fields_go_no_further(self):
        exchange = Faulty(self.TEXT).ask((b"x-envoy-fault-abort-request", b"418"), client="203.0.113.9")
        self.assertEqual(exchange.verdict, [CONTINUE])
        self.assertIsNone(exchange.request.headers.get(b"x-envoy-fault-abort-request"))


class Limits(unittest.TestCase):
    def test_max_active_faults(self):
        faulty = Faulty(f"delay: {{fixed_delay: 1s, percentage: {ALL}}}\nmax_active_faults: 2")
        waiting = [faulty.ask(stream_id=number) for number in range(3)]
        self.assertEqual([one.verdict for one in waiting], [[], [], [CONTINUE]])
        self.assertEqual(faulty.value("faults_overflow"), 1)
        faulty.site.advance(1.1)
        for one in waiting:
            one.complete(faulty.filter)
        self.assertEqual((faulty.value("active_faults"), faulty.filter._ledger.used(0)), (0, 0))

    def test_a_new_configuration_counts_the_old_ones_faults(self):
        text = f"delay: {{fixed_delay: 1s, percentage: {ALL}}}\nmax_active_faults: 1"
        before = Faulty(text)
        exchange = before.ask()
        site = FakeSite("fault", table=before.site.table, world=before.site.world, owner="listener public")
        after = Faulty(text, site)
        self.assertEqual(after.ask(stream_id=9).verdict, [CONTINUE])
        before.site.advance(2)
        exchange.complete(before.filter)
        self.assertEqual(after.ask(stream_id=10, complete=False).verdict, [])


class Configuration(unittest.TestCase):
    def test_what_is_wrong(self):
        for text in (f"abort: {{percentage: {ALL}}}", f"abort: {{http_status: 503, grpc_status: 1, percentage: {ALL}}}",
                     "abort: {http_status: 503}", f"abort: {{http_status: 100, percentage: {ALL}}}",
                     "delay: {fixed_delay: 1s, percentage: {numerator: 101}}",
                     f"delay: {{fixed_delay: 0s, percentage: {ALL}}}", "trusted_sources: [10.0.0.1/8]",
                     "headers: [{name: a, exact: b, prefix: c}]"):
            with self.subTest(text):
                self.assertEqual(len(read(Fault, text)[1]), 1)

    def test_a_part_of_a_million(self):
        config, faults = read(Fault, "abort: {http_status: 503, percentage: {numerator: 1, denominator: MILLION}}")
        self.assertEqual((config.abort.percentage.total, faults), (1_000_000, []))


class Explained(unittest.TestCase):
    def test_chances_are_told_and_nothing_is_drawn(self):
        faulty = Faulty("delay: {fixed_delay: 2s, percentage: {numerator: 5, denominator: MILLION}}\n"
                        f"abort: {{http_status: 503, percentage: {ALL}}}\nheaders: [{{name: x-a}}]")
        exchange = FakeExchange(b"GET", b"/", [(b"x-a", b"1")])
        self.assertEqual(faulty.filter.explain(exchange),
                         "delays 0.0005 % of requests by 2s; aborts 100 % of requests with status 503")
        self.assertEqual(faulty.filter.explain(FakeExchange()), "no fault: its field x-a is not as asked for")
        self.assertEqual(faulty.value("aborts_injected"), 0)
