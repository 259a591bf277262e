"""What two configurations differ in."""

from types import SimpleNamespace
from unittest import TestCase

import attrs

from meshd.runtime.change import changes, same
from meshd.runtime.site import finish

from tests.runtime import model


def routes(**names):
    """Return a listener whose router has these routes."""
    host = SimpleNamespace(name="all", routes=tuple(SimpleNamespace(name=name, to=to) for name, to in names.items()))
    router = attrs.evolve(model.plug("router", "router"), config=SimpleNamespace(virtual_hosts=(host,)))
    return attrs.evolve(model.listener(), filters=(router,))


def texts(old, new):
    return [one.text for one in finish(changes(old, new)) if one]


class ChangeTest(TestCase):
    def test_at_the_start_everything_is_new(self):
        self.assertEqual(texts(None, model.snapshot(model.listener())), ["+1 ~0 -0 listeners"])

    def test_nothing_changed(self):
        one, other = (model.snapshot(model.listener(), clusters=[model.cluster()]) for _ in range(2))
        self.assertEqual(texts(one, other), [])

    def test_counts_by_name(self):
        old = model.snapshot(clusters=[model.cluster("a"), model.cluster("b"), model.cluster("c")])
        new = model.snapshot(clusters=[model.cluster("b", connect_timeout_s=9.0, endpoints=old.clusters[1].endpoints),
                                       model.cluster("c"), model.cluster("d"), model.cluster("e")])
        self.assertEqual(texts(old, new), ["+2 ~1 -1 clusters"])

    def test_counts_routes(self):
        old, new = (model.snapshot(routes(**names)) for names in ({"a": 1, "b": 1}, {"b": 2, "c": 1}))
        self.assertEqual(texts(old, new), ["+0 ~1 -0 listeners", "+1 ~1 -1 routes"])

    def test_a_plugin_that_stands_on_another_line_has_not_changed(self):
        one, other = (model.plug("one", where=where) for where in ("m.yaml:1:1", "m.yaml:9:1"))
        self.assertTrue(finish(same(one, other)))
        self.assertFalse(finish(same(one, attrs.evolve(one, on_error="fail-open"))))

    def test_works_in_steps(self):
        clusters = [model.cluster(f"c{number}") for number in range(50)]
        again = [model.cluster(f"c{number}") for number in range(50)]
        self.assertGreater(len(list(changes(model.snapshot(clusters=clusters), model.snapshot(clusters=again)))), 50)
