"""The chain: how filters are walked, how they wait, and how their faults are contained."""

from twisted.internet.defer import Deferred

from meshd.api.exchange import CONTINUE, STOP
from meshd.http import flag
from meshd.model.plugin import FAIL_OPEN
from tests.exchange.chain_case import POST, ChainCase, boom
from tests.exchange.mesh import GET, OK, status_of


class Route:
    """A route by identity."""


class Order(ChainCase):
    def test_there_in_order_and_back_in_reverse(self):
        mesh = self.mesh(self.filter("a"), self.filter("b"))
        self.assertEqual(self.serve(mesh), OK)
        self.assertEqual(self.notes, ["a.request", "b.request", "b.response", "a.response", "a.complete", "b.complete"])

    def test_a_filter_with_one_phase_is_called_in_that_alone(self):
        class Late:
            def on_complete(self, exchange):
                notes.append(exchange.response.status)

        notes = self.notes
        mesh = self.mesh(Late())
        self.assertEqual(len(mesh.chain.request_steps), 1)
        self.assertEqual(mesh.chain.response_steps, ())
        self.serve(mesh)
        self.assertEqual(notes, [200])

    def test_the_one_that_replies_ends_the_walk(self):
        def refuse(exchange):
            exchange.reply(403, b"no\n", ((b"x-why", b"because"),), flag.UAEX, "denied")
            return STOP

        mesh = self.mesh(self.filter("a"), self.filter("b", request=refuse), self.filter("c"))
        answer = mesh.ask()
        self.assertEqual(status_of(answer), 403)
        self.assertIn(b"x-why: because\r\n", answer)
        self.assertNotIn("c.request", self.notes)
        self.assertIn("a.response", self.notes)
        exchange = mesh.last
        self.assertEqual((exchange.flags, exchange.detail, exchange.is_local_reply), (flag.UAEX, "denied", True))
        self.assertFalse(mesh.upstream.is_wanted())

    def test_one_that_replies_and_goes_on_all_the_same_reaches_no_upstream(self):
        def confused(exchange):
            exchange.reply(403, b"no\n")
            return CONTINUE

        mesh = self.mesh(self.filter("a", request=confused))
        self.assertEqual(status_of(mesh.ask()), 403)
        self.assertFalse(mesh.upstream.is_wanted())
        self.assert_at_rest(mesh)

    def test_a_second_reply_is_not_heeded(self):
        def twice(exchange):
            exchange.reply(403, b"one\n")
            exchange.reply(404, b"two\n")
            return STOP

        mesh = self.mesh(self.filter("a", request=twice))
        answer = mesh.ask()
        self.assertTrue(answer.endswith(b"\r\n\r\none\n"))

    def test_an_answer_that_is_no_verdict_is_a_fault(self):
        mesh = self.mesh(self.filter("a", request=lambda exchange: None))
        self.assertEqual(status_of(mesh.ask()), 500)
        self.assertIn("expected CONTINUE, STOP", mesh.uses[0].record.last_fault)

    def test_overrides_of_a_route(self):
        other = self.filter("other")
        mesh = self.mesh(self.filter("a"), self.filter("b"))
        first, second = mesh.uses[0], mesh.uses[1]
        route = mesh.forward.route = Route()
        first.overrides[route] = other
        second.overrides[route] = None
        mesh.chain.bind()
        self.serve(mesh)
        self.assertEqual(self.notes, ["other.request", "other.response", "other.complete"])
        self.notes.clear()
        mesh.forward.route = None
        client = mesh.client(GET)
        mesh.upstream.peers[0].read()
        mesh.upstream.peers[0].send(OK)
        self.assertEqual(client.read(), OK)
        self.assertEqual(self.notes[:2], ["a.request", "b.request"])


class Faults(ChainCase):
    def test_fail_closed_answers_500_and_names_the_plugin(self):
        mesh = self.mesh(self.filter("a", request=boom), self.filter("b"))
        self.assertEqual(status_of(mesh.ask()), 500)
        self.assertEqual(mesh.last.detail, "plugin_error{filter}")
        self.assertEqual(mesh.uses[0].record.faults, {"on_request": 1})
        self.assertNotIn("b.request", self.notes)

    def test_fail_open_goes_on(self):
        mesh = self.mesh((self.filter("a", request=boom), FAIL_OPEN), self.filter("b"))
        self.assertEqual(self.serve(mesh), OK)
        self.assertEqual(mesh.uses[0].record.errors, 1)

    def test_fail_open_after_it_has_replied_goes_nowhere(self):
        def reply_and_raise(exchange):
            exchange.reply(403, b"no\n")
            raise RuntimeError("boom")

        mesh = self.mesh((self.filter("a", request=reply_and_raise), FAIL_OPEN), self.filter("b"))
        self.assertEqual(status_of(mesh.ask()), 403)
        self.assertFalse(mesh.upstream.is_wanted())
        self.assertNotIn("b.request", self.notes)

    def test_on_the_way_back_fail_closed_answers_500_once(self):
        for filters in (("b",), ("a", "b")):
            acts = {name: {"response": boom} for name in filters}
            mesh = self.mesh(*(self.filter(name, **acts.get(name, {})) for name in ("a", "b")))
            answer = self.serve(mesh)
            self.assertEqual((status_of(answer), answer.count(b"HTTP/1.1")), (500, 1))
            self.assertTrue(answer.endswith(b"a plugin failed\n"))
            self.assertTrue(mesh.last.is_local_reply)
            self.assertEqual(mesh.upstream.peers[-1].end(), "fin")

    def test_on_the_way_back_of_a_local_reply_too(self):
        mesh = self.mesh(self.filter("a", response=boom), upstreams=1)
        mesh.upstream.stop()
        answer = mesh.ask()
        self.assertEqual((status_of(answer), answer.count(b"HTTP/1.1")), (500, 1))

    def test_on_the_way_back_fail_open_lets_it_pass(self):
        mesh = self.mesh((self.filter("a", response=boom), FAIL_OPEN))
        self.assertEqual(self.serve(mesh), OK)

    def test_the_connection_serves_on_after_a_fault_on_the_way_back(self):
        faults = [boom, lambda exchange: None]
        mesh = self.mesh(self.filter("a", response=lambda exchange: faults.pop(0)(exchange)))
        client = mesh.client(GET)
        mesh.upstream.serve()
        self.assertEqual(status_of(client.read()), 500)
        client.send(GET)
        mesh.upstream.serve()
        self.assertEqual(client.read(), OK)

    def test_at_the_end_it_costs_nobody_anything(self):
        mesh = self.mesh(self.filter("a", complete=boom), self.filter("b"))
        self.assertEqual(self.serve(mesh), OK)
        self.assertEqual(self.notes[-1], "b.complete")
        self.assertEqual(len(mesh.sink.ended), 1)
        self.assertEqual(mesh.uses[0].record.faults, {"on_complete": 1})

    def test_bypassed_after_too_many_fail_open_is_passed_by(self):
        mesh = self.mesh((self.filter("a", request=boom), FAIL_OPEN), max_errors=1)
        self.assertEqual(self.serve(mesh), OK)
        self.notes.clear()
        client = mesh.client(GET)
        mesh.upstream.peers[0].send(OK)
        self.assertEqual(client.read(), OK)
        self.assertEqual(self.notes, [])

    def test_bypassed_after_too_many_fail_closed_is_refused(self):
        mesh = self.mesh(self.filter("a", request=boom), max_errors=1)
        self.assertEqual(status_of(mesh.ask()), 500)
        self.notes.clear()
        self.assertEqual(status_of(mesh.ask()), 503)
        self.assertEqual(mesh.last.detail, "plugin_bypassed{filter}")
        self.assertEqual(self.notes, [])

    def test_a_bypass_meanwhile_lets_no_waiting_request_skip_a_filter(self):
        waits = []

        def wait(exchange):
            waits.append(Deferred())
            return waits[-1]

        def fail_late(exchange):
            if exchange.request.path == b"/bad":
                raise RuntimeError("boom")
            return CONTINUE

        mesh = self.mesh((self.filter("open", request=fail_late), FAIL_OPEN), self.filter("wait", request=wait),
                         self.filter("guard"), max_errors=1)
        mesh.client(GET)
        mesh.client(GET.replace(b"/ ", b"/bad "))
        self.assertTrue(mesh.uses[0].record.is_bypassed)
        self.notes.clear()
        waits[0].callback(CONTINUE)
        self.assertEqual(self.notes, ["guard.request"])

    def test_a_transform_that_raises_is_answered_while_nothing_has_been(self):
        def bad(exchange):
            exchange.transform_request(lambda data, is_end: 1 / 0)
            return CONTINUE

        mesh = self.mesh(self.filter("a", request=bad))
        client = mesh.client(POST + b"body")
        self.assertEqual(status_of(client.read()), 500)
        self.assertIn("plugin_error", mesh.last.detail)

    def test_a_transform_that_raises_on_the_way_back_cuts_the_answer(self):
        def bad(exchange):
            exchange.transform_response(lambda data, is_end: 1 / 0)

        mesh = self.mesh(self.filter("a", response=bad))
        client = mesh.client(GET)
        peer, _ = mesh.upstream.serve()
        client.read()
        self.assertNotEqual(client.end(), "open")
        self.assertEqual(peer.end(), "fin")
        self.assertIn("plugin_error", mesh.last.detail)


class Sampling(ChainCase):
    def test_one_request_in_so_many_is_timed(self):
        mesh = self.mesh(self.filter("a"), sample_every=3)
        client = mesh.client(GET)
        peer, _ = mesh.upstream.serve()
        for _ in range(5):
            client.send(GET)
            peer.send(OK)
        self.assertEqual(client.read(), OK * 6)
        self.assertEqual([one.is_sampled for one in mesh.sink.ended], [False, False, True] * 2)
        self.assertIn("filter", mesh.sink.ended[2].durations)
        self.assertIsNone(mesh.sink.ended[0].durations)

    def test_a_timed_request_is_contained_and_waits_as_any_other(self):
        deferred = Deferred()
        acts = [boom, lambda exchange: deferred]
        mesh = self.mesh((self.filter("a", request=lambda exchange: acts.pop(0)(exchange)), FAIL_OPEN), sample_every=1)
        self.assertEqual(self.serve(mesh), OK)
        client = mesh.client(GET)
        deferred.callback(CONTINUE)
        mesh.upstream.peers[0].send(OK)
        self.assertEqual(client.read(), OK)


class Ends(ChainCase):
    def test_a_retired_chain_is_idle_once_nothing_is_in_flight(self):
        mesh = self.mesh()
        told = []
        client = mesh.client(GET)
        mesh.chain.retire(lambda: told.append("idle"))
        self.assertEqual(told, [])
        mesh.upstream.serve()
        self.assertEqual(client.read(), OK)
        self.assertEqual(told, ["idle"])

    def test_a_chain_at_rest_is_idle_at_once(self):
        told = []
        self.mesh().chain.retire(lambda: told.append("idle"))
        self.assertEqual(told, ["idle"])

    def test_it_is_told_when_the_last_of_many_ends(self):
        mesh = self.mesh()
        told = []
        clients = [mesh.client(GET) for _ in range(3)]
        mesh.chain.retire(lambda: told.append("idle"))
        for client in clients:
            self.assertEqual(told, [])
            client.close()
        self.assertEqual(told, ["idle"])
