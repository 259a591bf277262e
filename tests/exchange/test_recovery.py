"""What a route or a request itself asks of retries, timeouts and priorities, and the flags of what comes of it."""

import attrs

from meshd.api import Extra, Timeouts
from meshd.http import flag
from meshd_plugins.limits import Budget, Limits
from meshd_plugins.limits.breaker import Breaker
from meshd_plugins.limits.budget import BudgetBreaker
from tests.exchange.mesh import GET, OK, MeshCase, head_of, status_of
from tests.upstream.counts import Counts

NO = b"HTTP/1.1 503 No\r\ncontent-length: 4\r\n\r\nnope"
INSIDE = {"http": {"use_remote_address": False}}


def asking(*fields):
    """Return a GET with these ``name: value`` fields."""
    return GET.replace(b"\r\n\r\n", b"\r\n" + b"\r\n".join(fields) + b"\r\n\r\n")


class Asked(MeshCase):
    def asked(self, *fields, upstreams=2, **options):
        """Return a mesh whose listener trusts who comes, and a client that has sent a GET with ``fields``."""
        mesh = self.mesh(upstreams=upstreams, **{**INSIDE, **options})
        policy = mesh.forward.plan.retry
        mesh.forward.plan = attrs.evolve(mesh.forward.plan, asked_retry=policy)
        return mesh, mesh.client(asking(*fields))

    def test_retries_that_a_request_asks_for(self):
        mesh, client = self.asked(b"x-envoy-retry-on: 5xx", b"x-envoy-max-retries: 2", upstreams=3, retry={})
        for upstream in mesh.upstreams[:2]:
            upstream.serve(NO)
            mesh.advance(0.3)
        _, data = mesh.upstreams[2].serve()
        self.assertEqual(client.read(), OK)
        self.assertNotIn(b"x-envoy", data)

    def test_one_where_it_says_not_how_many(self):
        mesh, client = self.asked(b"x-envoy-retry-on: gateway-error", upstreams=3, retry={})
        for upstream in mesh.upstreams[:2]:
            upstream.serve(NO)
            mesh.advance(0.3)
        self.assertEqual(client.read(), NO)
        self.assertEqual(mesh.last.flags, flag.URX)

    def test_none_where_it_asks_for_none(self):
        mesh, client = self.asked(b"x-envoy-max-retries: 0", retry={"retry_on": ("5xx",)})
        mesh.upstream.serve(NO)
        self.assertEqual(client.read(), NO)
        self.assertEqual((mesh.last.attempts, mesh.last.flags), (1, 0))

    def test_statuses_and_fields(self):
        for fields, head in (
            ((b"x-envoy-retry-on: retriable-status-codes", b"x-envoy-retriable-status-codes: 418, 404"), b"404 No"),
            ((b"x-envoy-retry-on: retriable-headers", b"x-envoy-retriable-header-names: X-Again, y"), b"200 OK"),
            ((b"x-envoy-retry-grpc-on: unavailable",), b"200 OK"),
        ):
            mesh, client = self.asked(*fields, retry={})
            mesh.upstream.serve(
                b"HTTP/1.1 %b\r\nx-again: 1\r\ngrpc-status: 14\r\ncontent-length: 0\r\n\r\n" % head)
            mesh.advance(0.3)
            mesh.upstreams[1].serve()
            self.assertEqual(client.read(), OK, fields)

    def test_timeouts(self):
        mesh, client = self.asked(b"x-envoy-upstream-rq-timeout-ms: 2000")
        peer = mesh.upstream.accept()
        self.assertNotIn(b"x-envoy", peer.read())
        mesh.advance(2.1)
        self.assertEqual(status_of(client.read()), 504)
        self.assertEqual((mesh.last.flags, mesh.last.detail), (flag.UT, "response_timeout"))

    def test_a_timeout_of_0_is_none(self):
        mesh, client = self.asked(b"x-envoy-upstream-rq-timeout-ms: 0")
        mesh.upstream.accept()
        mesh.advance(100)
        self.assertEqual(client.read(), b"")

    def test_a_timeout_of_each_attempt(self):
        mesh, client = self.asked(
            b"x-envoy-upstream-rq-per-try-timeout-ms: 1000", b"x-envoy-retry-on: 5xx", retry={})
        mesh.upstream.accept()
        mesh.advance(1.4)
        mesh.upstreams[1].serve()
        self.assertEqual(client.read(), OK)

    def test_one_that_is_not_below_the_whole_counts_for_nothing(self):
        mesh, client = self.asked(
            b"x-envoy-upstream-rq-per-try-timeout-ms: 2000", b"x-envoy-upstream-rq-timeout-ms: 2000",
            b"x-envoy-retry-on: 5xx", retry={})
        mesh.upstream.accept()
        mesh.advance(2.1)
        self.assertEqual(status_of(client.read()), 504)
        self.assertEqual((mesh.last.attempts, mesh.last.detail), (1, "response_timeout"))

    def test_204_in_the_place_of_504(self):
        mesh, client = self.asked(
            b"x-envoy-upstream-rq-timeout-alt-response: 204", b"x-envoy-upstream-rq-timeout-ms: 500")
        mesh.advance(0.6)
        self.assertEqual(status_of(client.read()), 204)
        self.assertEqual(mesh.last.flags, flag.UT)

    def test_hedging(self):
        mesh, client = self.asked(
            b"x-envoy-hedge-on-per-try-timeout: true", b"x-envoy-upstream-rq-per-try-timeout-ms: 1000", retry={})
        slow = mesh.upstream.accept()
        mesh.advance(1.4)
        self.assertEqual(slow.end(), "open")
        mesh.upstreams[1].serve()
        self.assertEqual(client.read(), OK)

    def test_what_is_none_changes_nothing(self):
        mesh, client = self.asked(
            b"x-envoy-retry-on: sometimes,,", b"x-envoy-max-retries: many", b"x-envoy-upstream-rq-timeout-ms: soon",
            b"x-envoy-upstream-rq-per-try-timeout-ms: -1", b"x-envoy-hedge-on-per-try-timeout: perhaps",
            b"x-envoy-retriable-status-codes: 99,x", retry={})
        mesh.upstream.serve(NO)
        self.assertEqual(client.read(), NO)
        self.assertEqual(mesh.last.plan.timeouts, mesh.forward.plan.timeouts)

    def test_from_outside_nothing_is_heeded_and_nothing_is_sent_on(self):
        mesh, client = self.asked(
            b"x-envoy-retry-on: 5xx", b"x-envoy-max-retries: 5", b"x-envoy-upstream-rq-timeout-ms: 1",
            b"x-envoy-is-timeout-retry: true", b"x-envoy-hedge-on-per-try-timeout: true",
            b"x-envoy-upstream-rq-timeout-alt-response: 1", http={"use_remote_address": True}, retry={})
        mesh.advance(1)
        _, data = mesh.upstream.serve(NO)
        self.assertNotIn(b"x-envoy", data)
        self.assertEqual(client.read(), NO)
        self.assertEqual((mesh.last.attempts, mesh.last.flags), (1, 0))


class Fields(MeshCase):
    def test_the_number_of_the_attempt(self):
        mesh = self.mesh(upstreams=2, retry={"retry_on": ("5xx",)},
                         plan={"extra": Extra(attempt_in_request=True, attempt_in_response=True)})
        client = mesh.client(GET)
        self.assertIn(b"x-envoy-attempt-count: 1\r\n", mesh.upstream.serve(NO)[1])
        mesh.advance(0.3)
        self.assertIn(b"x-envoy-attempt-count: 2\r\n", mesh.upstreams[1].serve()[1])
        self.assertEqual(head_of(client.read())[1][b"x-envoy-attempt-count"], b"2")

    def test_answers_of_our_own_have_it_too(self):
        mesh = self.mesh(plan={"extra": Extra(attempt_in_response=True)})
        mesh.upstream.stop()
        self.assertEqual(head_of(mesh.ask())[1][b"x-envoy-attempt-count"], b"1")

    def test_whether_a_retry_follows_a_timeout(self):
        mesh = self.mesh(upstreams=3, retry={"retry_on": ("5xx",), "attempts": 2}, timeouts=Timeouts(per_try_s=1.0),
                         plan={"extra": Extra(timeout_retry_in_request=True)})
        mesh.client(GET)
        self.assertNotIn(b"x-envoy-is-timeout-retry", mesh.upstream.accept().read())
        mesh.advance(1.5)
        self.assertIn(b"x-envoy-is-timeout-retry: true\r\n", mesh.upstreams[1].serve(NO)[1])
        mesh.advance(0.5)
        self.assertIn(b"x-envoy-is-timeout-retry: false\r\n", mesh.upstreams[2].serve()[1])

    def test_how_long_the_attempt_may_take(self):
        for timeouts, wanted in ((Timeouts(), b"15000"), (Timeouts(per_try_s=1.0), b"1000"),
                                 (Timeouts(request_s=0.0), None)):
            mesh = self.mesh(timeouts=timeouts, plan={"extra": Extra(expected_timeout_in_request=True)})
            mesh.client(GET)
            _, data = mesh.upstream.serve()
            self.assertEqual(head_of(data)[1].get(b"x-envoy-expected-rq-timeout-ms"), wanted)


class Timers(MeshCase):
    def test_the_longest_life_of_a_request(self):
        for answer, status in ((b"", 504), (OK[:-1], 200)):
            mesh = self.mesh(plan={"extra": Extra(max_stream_s=3.0)}, timeouts=Timeouts(request_s=0.0))
            client = mesh.client(GET)
            mesh.upstream.serve(answer)
            mesh.advance(3.1)
            self.assertEqual(status_of(client.read()), status)
            self.assertEqual((mesh.last.flags, mesh.last.detail), (flag.UMSDR, "max_duration_timeout"))

    def test_a_request_that_is_not_whole_then_gets_408(self):
        mesh = self.mesh(plan={"extra": Extra(max_stream_s=3.0)})
        client = mesh.client(b"PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 6\r\n\r\nabc")
        mesh.upstream.accept()
        mesh.advance(3.1)
        self.assertEqual(status_of(client.read()), 408)

    def test_silence_of_an_attempt_leads_to_another(self):
        mesh = self.mesh(upstreams=2, retry={"retry_on": ("5xx",)}, plan={"extra": Extra(per_try_idle_s=1.0)})
        client = mesh.client(GET)
        mesh.upstream.accept()
        mesh.advance(1.4)
        mesh.upstreams[1].serve()
        self.assertEqual(client.read(), OK)
        self.assertEqual(mesh.cluster.cells.per_try_idle_timeouts.value, 1)

    def test_the_last_ones_silence_is_answered(self):
        mesh = self.mesh(plan={"extra": Extra(per_try_idle_s=1.0)})
        client = mesh.client(GET)
        mesh.upstream.accept()
        mesh.advance(1.4)
        self.assertEqual(status_of(client.read()), 504)
        self.assertEqual((mesh.last.flags, mesh.last.detail), (flag.UT, "upstream_per_try_idle_timeout"))

    def test_silence_within_an_answer_cuts_it(self):
        mesh = self.mesh(plan={"extra": Extra(per_try_idle_s=1.0)})
        client = mesh.client(GET)
        peer, _ = mesh.upstream.serve(OK[:-2])
        mesh.advance(0.8)
        peer.send(b"o")
        mesh.advance(0.8)
        self.assertEqual(client.read(), OK[:-1])
        self.assertEqual(client.end(), "open")
        mesh.advance(0.6)
        self.assertIn(client.end(), ("fin", "reset"))

    def test_the_routes_timeout_is_never_retried(self):
        mesh = self.mesh(upstreams=2, retry={"retry_on": ("5xx", "reset")}, timeouts=Timeouts(request_s=1.0))
        client = mesh.client(GET)
        mesh.upstream.accept()
        mesh.advance(1.1)
        self.assertEqual(status_of(client.read()), 504)
        self.assertEqual(mesh.last.attempts, 1)


class Flags(MeshCase):
    def test_a_status_that_stands_because_no_attempt_is_left(self):
        mesh = self.mesh(upstreams=2, retry={"retry_on": ("503",)})
        client = mesh.client(GET)
        for upstream in mesh.upstreams:
            upstream.serve(NO)
            mesh.advance(0.3)
        self.assertEqual(client.read(), NO)
        self.assertEqual((mesh.last.flags, mesh.last.detail), (flag.URX, "via_upstream"))
        self.assertEqual(mesh.cluster.cells.retry_limit_exceeded.value, 1)

    def test_a_status_that_is_not_retried_has_no_flag(self):
        mesh = self.mesh(upstreams=2, retry={"retry_on": ("503",)})
        client = mesh.client(GET)
        mesh.upstream.serve(NO)
        mesh.advance(0.3)
        mesh.upstreams[1].serve(NO.replace(b"503", b"500"))
        self.assertEqual(status_of(client.read()), 500)
        self.assertEqual(mesh.last.flags, 0)

    def test_a_retry_that_the_breaker_refused(self):
        mesh = self.mesh(retry={"retry_on": ("503",)}, breaker={"max_retries": 0})
        client = mesh.client(GET)
        mesh.upstream.serve(NO)
        answer = client.read()
        self.assertEqual(answer, NO)
        self.assertEqual(mesh.last.flags, flag.UO)

    def test_a_retry_that_succeeds_is_counted(self):
        mesh = self.mesh(upstreams=2, retry={"retry_on": ("503",)})
        client = mesh.client(GET)
        mesh.upstream.serve(NO)
        mesh.advance(0.3)
        mesh.upstreams[1].serve()
        self.assertEqual(client.read(), OK)
        self.assertEqual(mesh.cluster.cells.retry_success.value, 1)
        self.assertEqual(mesh.cluster.cells.retry_limit_exceeded.value, 0)


class Budgets(MeshCase):
    def test_retries_are_a_share_of_what_is_in_flight(self):
        mesh = self.mesh(upstreams=1, retry={"retry_on": ("503",), "base_s": 1.0})
        limits = Limits(budget=Budget(percent=50.0, min_retry_concurrency=0))
        mesh.breaker = mesh.cluster.breaker = BudgetBreaker(
            limits, Counts.made(), mesh.world.metrics, "up", "default", True)
        clients = [mesh.client(GET) for _ in range(4)]
        peers = [mesh.upstream.accept() for _ in clients]
        for peer in peers:
            peer.send(NO)
        self.assertEqual(mesh.breaker.ledger.retries, 1)
        self.assertEqual([client.read() for client in clients].count(NO), 3)
        self.assertEqual(mesh.cluster.cells.retry_overflow.value, 3)
        for client in clients:
            client.close()


class Priorities(MeshCase):
    def test_high_has_limits_of_its_own(self):
        mesh = self.mesh(breaker={"max_requests": 0}, plan={"extra": Extra(is_high=True)})
        high = Counts.made()
        mesh.cluster.breaker.high = Breaker(Limits(max_requests=1), high, mesh.world.metrics, "up", "high")
        mesh.cluster.endpoints[0].pool.bind(mesh.cluster)
        client = mesh.client(GET)
        self.assertEqual((high.requests, high.connections), (1, 1))
        self.assertEqual(status_of(mesh.ask()), 503)
        mesh.upstream.serve()
        self.assertEqual(client.read(), OK)
        self.assertEqual((high.requests, high.pending), (0, 0))
        self.assertEqual(mesh.breaker.ledger.requests, 0)

    def test_without_limits_of_its_own_it_is_counted_with_the_others(self):
        mesh = self.mesh(breaker={"max_requests": 0}, plan={"extra": Extra(is_high=True)})
        self.assertEqual(status_of(mesh.ask()), 503)

    def test_connections_to_one_endpoint(self):
        mesh = self.mesh()
        mesh.cluster.breaker.max_connections_per_endpoint = 1
        mesh.cluster.endpoints[0].pool.bind(mesh.cluster)
        clients = [mesh.client(GET) for _ in range(2)]
        peer = mesh.upstream.accept()
        self.assertFalse(mesh.upstream.is_wanted())
        for client in clients:
            peer.read()
            peer.send(OK)
            self.assertEqual(client.read(), OK)
        self.assertEqual(mesh.cluster.cells.connection_overflow.value, 1)


class Ages(MeshCase):
    def test_an_old_connection_takes_no_more_requests(self):
        mesh = self.mesh(pool={"max_connection_duration_s": 10.0, "idle_timeout_s": 0.0})
        client = mesh.client(GET)
        peer, _ = mesh.upstream.serve()
        client.read()
        self.assertEqual(peer.end(), "open")
        mesh.advance(10.5)
        self.assertEqual(peer.end(), "fin")

    def test_one_in_use_ends_after_its_answer(self):
        mesh = self.mesh(pool={"max_connection_duration_s": 10.0})
        client = mesh.client(GET)
        peer = mesh.upstream.accept()
        mesh.advance(12)
        peer.send(OK)
        self.assertEqual(client.read(), OK)
        self.assertEqual(peer.end(), "fin")


class Reselection(MeshCase):
    def picking(self, *order, **retry):
        """Return (mesh, client) whose balancer picks the endpoints in this order."""
        mesh = self.mesh(upstreams=2, retry={"retry_on": ("5xx",), **retry})
        numbers = iter(order)
        mesh.cluster.pick = lambda exchange: mesh.cluster.endpoints[next(numbers)]
        client = mesh.client(GET)
        mesh.upstreams[0].serve(NO)
        mesh.advance(0.3)
        return mesh, client

    def test_a_balancer_that_comes_back_to_what_failed_is_asked_again(self):
        mesh, client = self.picking(0, 0, 0, 1)
        mesh.upstreams[1].serve()
        self.assertEqual(client.read(), OK)

    def test_not_for_ever(self):
        mesh, client = self.picking(*[0] * 4, host_selection_retry_max_attempts=2)
        mesh.upstreams[0].serve()
        self.assertEqual(client.read(), OK)

    def test_not_at_all_where_what_failed_may_be_used(self):
        mesh, client = self.picking(0, 0, previous_hosts=False)
        mesh.upstreams[0].serve()
        self.assertEqual(client.read(), OK)
        self.assertEqual(mesh.last.tried, ())
