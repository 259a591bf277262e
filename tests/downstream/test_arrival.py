"""From accept to the filter chain: listener filters, their bounds, the choice, and that no byte is lost."""

import attrs
from twisted.internet.defer import Deferred

from meshd.api import CONTINUE, MORE, STOP
from meshd.downstream.listener_filters import ListenerFilters
from meshd.exchange.chain import Chain
from meshd.model.chain_match import ChainMatch
from meshd.model.listener import FilterChain
from meshd.model.plugin import FAIL_OPEN
from tests.downstream.echo import Echo
from tests.downstream.test_listener import ListenerCase
from tests.exchange.mesh import GET, status_of


class Looker:
    """Wants to see ``count`` bytes; says ``verdict`` then. Names the protocol after the first of them."""

    def __init__(self, count=1, verdict=CONTINUE, silence_s=0.0):
        self.count = count
        self.verdict = verdict
        self.silence_s = silence_s
        self.seen = []

    def on_accept(self, arrival):
        """Wait for bytes."""
        return self.on_data(arrival)

    def on_data(self, arrival):
        """Look at them."""
        self.seen.append(arrival.data)
        if len(arrival.data) < self.count:
            return MORE
        if callable(self.verdict):
            return self.verdict(arrival)
        arrival.application_protocols = (arrival.data[:1].decode(),)
        return self.verdict


class ArrivalCase(ListenerCase):
    """``chosen`` returns a mesh with chains by the first byte, ``G`` and ``P``, and listener filters."""

    def chosen(self, *lookers, fallback=True, on_error=None, **options):
        """Bind and start."""
        mesh = self.listening(Echo())
        self.chain_g, self.chain_p, self.rest = (Chain((mesh.use(Echo(size)),), ()) for size in (1, 2, 3))
        plugins = mesh.listener.spec.filters
        chains = tuple(FilterChain(name=name, filters=plugins, match=ChainMatch(application_protocols=(name,)))
                       for name in "GP")
        last = FilterChain(name="rest", filters=plugins) if fallback else None
        self.spec = attrs.evolve(
            mesh.listener.spec, filters=(), filter_chains=chains, default_filter_chain=last, **options)
        uses = [mesh.use((one, on_error) if on_error else one) for one in lookers]
        self.filters = ListenerFilters(tuple(uses)) if uses else None
        self.built = {"G": self.chain_g, "P": self.chain_p, "rest": self.rest}
        mesh.listener.replace(self.spec, self.built, self.filters)
        return mesh

    def cells(self, mesh):
        """Return the counters of the listener that are not 0."""
        cells = mesh.listener.cells
        names = ("arriving", "active", "unmatched", "filter_timeouts", "filter_closes", "filter_refused")
        return {name: getattr(cells, name).value for name in names if getattr(cells, name).value}

    def size_of(self, answer):
        """Return how much the chain that answered adds to the path: 1 for G, 2 for P, 3 for what is left."""
        return len(answer.partition(b"\r\n\r\n")[2]) - 1


class Choosing(ArrivalCase):
    def test_the_chain_is_found_by_what_the_filters_saw_and_gets_every_byte(self):
        mesh = self.chosen(Looker())
        for data, size in ((GET, 1), (GET.replace(b"GET", b"PUT"), 2), (GET.replace(b"GET", b"OUT"), 3)):
            client = self.connect(mesh)
            client.send(data)
            answer = client.read()
            self.assertEqual((status_of(answer), self.size_of(answer)), (200, size))
        self.assertEqual(self.cells(mesh), {"active": 3})

    def test_bytes_that_come_one_by_one(self):
        looker = Looker(3)
        mesh = self.chosen(looker)
        client = self.connect(mesh)
        mesh.turn()
        for place in range(len(GET)):
            client.send(GET[place:place + 1])
        self.assertEqual(self.size_of(client.read()), 1)
        self.assertEqual(looker.seen, [b"", b"G", b"GE", b"GET"])

    def test_without_listener_filters_too(self):
        mesh = self.chosen()
        self.assertEqual(self.size_of(self.ask(mesh)), 3)

    def test_what_no_chain_takes_is_closed_and_counted(self):
        mesh = self.chosen(Looker(), fallback=False)
        client = self.connect(mesh)
        client.send(b"xyz")
        self.assertNotEqual(client.end(), "open")
        self.assertEqual(self.cells(mesh), {"unmatched": 1})

    def test_filters_run_in_order(self):
        first, second = Looker(1), Looker(5)
        mesh = self.chosen(first, second)
        client = self.connect(mesh)
        mesh.turn()
        client.send(b"GE")
        client.send(GET[2:])
        self.assertEqual(self.size_of(client.read()), 1)
        self.assertEqual((first.seen, second.seen), ([b"", b"GE"], [b"GE", GET]))

    def test_a_reload_meanwhile_counts_and_the_filters_that_began_go_on(self):
        mesh = self.chosen(Looker())
        client = self.connect(mesh)
        mesh.turn()
        old = self.filters
        self.assertEqual(old.active, 1)
        retired = []
        fresh = Chain((mesh.use(Echo(7)),), ())
        mesh.listener.replace(self.spec, {**self.built, "G": fresh}, ListenerFilters((mesh.use(Looker()),)))
        old.retire(lambda: retired.append(True))
        self.assertEqual(retired, [])
        client.send(GET)
        self.assertEqual(self.size_of(client.read()), 7)
        self.assertEqual(retired, [True])


class Bounds(ArrivalCase):
    def test_a_silent_client_is_closed_after_the_timeout(self):
        mesh = self.chosen(Looker())
        client = self.connect(mesh)
        mesh.turn()
        self.assertEqual(self.cells(mesh), {"arriving": 1, "active": 1})
        mesh.advance(14.0)
        self.assertEqual(client.end(), "open")
        mesh.advance(2.0)
        self.assertNotEqual(client.end(), "open")
        self.assertEqual(self.cells(mesh), {"filter_timeouts": 1})

    def test_or_goes_on_where_that_is_wanted(self):
        mesh = self.chosen(Looker(1000), continue_on_listener_filters_timeout=True, listener_filters_timeout_s=2.0)
        client = self.connect(mesh)
        client.send(GET)
        mesh.advance(3.0)
        self.assertEqual(self.size_of(client.read()), 3)
        self.assertEqual(self.cells(mesh), {"filter_timeouts": 1, "active": 1})

    def test_a_filter_gives_a_silent_client_up_without_harm(self):
        mesh = self.chosen(Looker(silence_s=1.0), Looker(silence_s=1.0))
        client = self.connect(mesh)
        mesh.turn()
        mesh.advance(2.0)
        self.assertEqual(self.cells(mesh), {"active": 1})
        client.send(GET)
        self.assertEqual(self.size_of(client.read()), 3)

    def test_one_that_has_begun_to_speak_is_waited_for(self):
        mesh = self.chosen(Looker(3, silence_s=1.0))
        client = self.connect(mesh)
        client.send(b"G")
        mesh.advance(5.0)
        client.send(GET[1:])
        self.assertEqual(self.size_of(client.read()), 1)

    def test_a_client_is_silent_from_the_end_of_what_a_proxy_said_for_it(self):
        def taken(arrival):
            arrival.consume(3)
            return CONTINUE

        mesh = self.chosen(Looker(3, verdict=taken), Looker(silence_s=1.0))
        client = self.connect(mesh)
        mesh.advance(1.5)
        client.send(b"PP!")
        mesh.advance(0.5)
        client.send(GET)
        self.assertEqual(self.size_of(client.read()), 1)

    def test_no_more_than_64_kib_are_waited_for(self):
        mesh = self.chosen(Looker(10**9))
        client = self.connect(mesh)
        client.send(GET + b"x" * 70000)
        self.assertIn(b"content-length: 4\r\n", client.read().partition(b"\r\n\r\n")[0])

    def test_a_client_that_leaves_is_counted_and_freed(self):
        mesh = self.chosen(Looker())
        client = self.connect(mesh)
        mesh.turn()
        client.close()
        mesh.turn()
        self.assertEqual(self.cells(mesh), {"filter_closes": 1})
        self.assertEqual((len(mesh.listener.connections), mesh.listener.places.used(0)), (0, 0))

    def test_a_drain_tells_the_connection_once_it_is_served(self):
        mesh = self.chosen(Looker())
        client = self.connect(mesh)
        mesh.turn()
        done = mesh.listener.drain(60.0)
        client.send(GET)
        self.assertIn(b"connection: close", client.read())
        self.assertTrue(done.called)

    def test_a_drain_cuts_what_never_speaks(self):
        mesh = self.chosen(Looker(), listener_filters_timeout_s=0.0)
        client = self.connect(mesh)
        mesh.turn()
        done = mesh.listener.drain(60.0)
        mesh.advance(61.0)
        self.assertTrue(done.called)
        self.assertNotEqual(client.end(), "open")


class Verdicts(ArrivalCase):
    def test_a_refusal_closes(self):
        mesh = self.chosen(Looker(verdict=STOP))
        client = self.connect(mesh)
        client.send(GET)
        self.assertNotEqual(client.end(), "open")
        self.assertEqual(self.cells(mesh), {"filter_refused": 1})

    def test_a_fault_closes_or_passes_by_on_error(self):
        def broken(arrival):
            raise RuntimeError("broken")

        mesh = self.chosen(Looker(verdict=broken))
        client = self.connect(mesh)
        client.send(GET)
        self.assertNotEqual(client.end(), "open")
        mesh = self.chosen(Looker(verdict=broken), on_error=FAIL_OPEN)
        self.assertEqual(self.size_of(self.ask(mesh)), 3)

    def test_something_else_than_a_verdict_is_a_fault(self):
        mesh = self.chosen(Looker(verdict=lambda arrival: None))
        client = self.connect(mesh)
        client.send(GET)
        self.assertNotEqual(client.end(), "open")
        self.assertEqual(self.filters.uses[0].record.errors, 1)

    def test_a_later_answer(self):
        answer = Deferred()
        mesh = self.chosen(Looker(verdict=lambda arrival: answer))
        client = self.connect(mesh)
        client.send(GET)
        self.assertEqual(client.read(), b"")
        answer.callback(CONTINUE)
        self.assertEqual(self.size_of(client.read()), 3)

    def test_a_later_answer_that_nobody_waits_for_is_cancelled(self):
        answer = Deferred()
        mesh = self.chosen(Looker(verdict=lambda arrival: answer), listener_filters_timeout_s=1.0)
        client = self.connect(mesh)
        client.send(GET)
        mesh.advance(2.0)
        self.assertNotEqual(client.end(), "open")
        self.assertTrue(answer.called)
        self.assertEqual(self.filters.uses[0].record.errors, 0)


class Reloading(ArrivalCase):
    def test_connections_stay_with_the_chain_of_their_name(self):
        mesh = self.chosen(Looker())
        client = self.connect(mesh)
        client.send(GET)
        self.assertEqual(self.size_of(client.read()), 1)
        gone = mesh.listener.replace(self.spec, {**self.built, "G": Chain((mesh.use(Echo(9)),), ())}, self.filters)
        self.assertEqual(gone, [])
        client.send(GET)
        self.assertEqual(self.size_of(client.read()), 9)

    def test_those_of_a_chain_that_has_gone_are_drained_and_the_others_not(self):
        mesh = self.chosen(Looker())
        client, other = self.connect(mesh), self.connect(mesh)
        for peer, data in ((client, GET), (other, GET.replace(b"GET", b"PUT"))):
            peer.send(data)
            peer.read()
        spec = attrs.evolve(self.spec, filter_chains=self.spec.filter_chains[1:])
        (gone,) = mesh.listener.replace(spec, self.built, self.filters)
        done = mesh.listener.drain_chain(gone, 60.0)
        mesh.advance(2.0)
        self.assertNotEqual(client.end(), "open")
        self.assertTrue(done.called)
        self.assertEqual(other.end(), "open")

    def test_from_one_chain_to_several_and_back(self):
        mesh = self.listening(Echo())
        client = self.connect(mesh)
        client.send(GET)
        client.read()
        short = mesh.listener.spec
        mesh = self.chosen(Looker())
        (gone, *_) = mesh.listener.replace(short, {"": mesh.chain}, None)
        self.assertEqual(gone.count, 0)
        self.assertEqual(status_of(self.ask(mesh)), 200)
