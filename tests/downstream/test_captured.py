"""Listeners that take captured connections: by where clients meant to go, and nobody else's."""

import attrs

from meshd.api import CONTINUE
from meshd.model.chain_match import ChainMatch
from meshd.model.listener import FilterChain, Listener
from meshd.model.plugin import Plugin
from tests.downstream.test_arrival import ArrivalCase

MEANT = "10.9.9.9:80"


class Original:
    """The kernel's word for every connection; None: it knows no other address."""

    def __init__(self, address=MEANT):
        self.address = address

    def on_accept(self, arrival):
        """Tell it."""
        arrival.local = self.address or arrival.local
        return CONTINUE


class Captured(ArrivalCase):
    def captured(self, address=MEANT, **options):
        """Return a mesh whose chain G is for port 80, and what is left for all others."""
        mesh = self.chosen(Original(address), use_original_dst=True, **options)
        chains = [FilterChain(name=one.name, filters=one.filters, match=ChainMatch(destination_port=port))
                  for one, port in zip(self.spec.filter_chains, (80, 81))]
        self.spec = attrs.evolve(self.spec, filter_chains=tuple(chains))
        mesh.listener.replace(self.spec, self.built, self.filters)
        return mesh

    def test_the_chain_is_found_by_the_port_that_was_meant(self):
        for port, size in ((80, 1), (81, 2), (82, 3)):
            self.assertEqual(self.size_of(self.ask(self.captured(f"10.9.9.9:{port}"))), size)

    def test_the_connection_is_known_as_captured_and_its_address_is_what_was_meant(self):
        mesh = self.captured()
        client = self.connect(mesh)
        mesh.turn()
        (connection,) = mesh.listener.connections
        self.assertEqual((connection.local, connection.listener.is_capturing), (MEANT, True))
        client.end()

    def test_what_comes_directly_is_refused_and_counted(self):
        mesh = self.captured(address=None)
        client = self.connect(mesh)
        self.assertNotEqual(client.end(), "open")
        self.assertEqual((mesh.listener.cells.direct.value, self.cells(mesh)), (1, {}))

    def test_without_the_option_our_own_address_is_as_good_as_any(self):
        mesh = self.chosen(Original(None))
        self.assertEqual(self.size_of(self.ask(mesh)), 3)
        self.assertEqual(mesh.listener.cells.direct.value, 0)


class Options(ArrivalCase):
    def faults(self, **options):
        """Return what the model has against a listener."""
        looks = (Plugin(kind="listener_filter", type="original_dst", config=None, name="original_dst"),)
        given = {"name": "a", "address": "0.0.0.0:1", "filters": looks, "listener_filters": looks, **options}
        return [text for _, text in Listener(**given).check()]

    def test_the_listener_filter_is_needed(self):
        self.assertEqual(self.faults(use_original_dst=True), [])
        self.assertEqual(self.faults(use_original_dst=True, listener_filters=()),
                         ["expected original_dst among the listener_filters"])

    def test_nothing_is_captured_for_a_unix_socket(self):
        self.assertEqual(self.faults(transparent=True, address="unix:/x"),
                         ["expected HOST:PORT, as nothing is captured for a unix socket"])
