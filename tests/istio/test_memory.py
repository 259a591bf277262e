"""What a reading takes over from the one before is what a cold reading makes: the same snapshot, the same findings."""

import os
import random
import tempfile
from unittest import TestCase

from meshd.config.load import load_documents, plugin_settings
from meshd.config.source import read
from meshd.document.memory import Memory
from meshd.errors import ConfigurationError
from meshd.registry import Registry
from tests.istio import random_mesh
from tests.istio.scale import write

REGISTRY = Registry.load(environ={})
RUNS, EDITS = 6, 40


def outcome(path, memory=None):
    """Return (snapshot or None, digest, findings with all that they say) of one reading."""
    documents = read([path], memory)
    plugin_settings(documents)
    try:
        loaded = load_documents(documents, REGISTRY, memory=memory)
    except ConfigurationError as error:
        return None, "", [repr(one) for one in error.faults]
    return loaded.snapshot, loaded.digest, [repr(one) for one in loaded.warnings]


def places(value):
    """Return every ``where`` of a value of the model, which equality leaves out."""
    return repr(value) and [place for _, place in sorted(_places(value, ""))]


def _places(value, path):
    if isinstance(value, tuple):
        for number, item in enumerate(value):
            yield from _places(item, f"{path}.{number}")
    for name in getattr(value, "__attrs_attrs__", ()):
        found = getattr(value, name.name)
        if name.name == "where":
            yield path, found
        else:
            yield from _places(found, f"{path}.{name.name}")


class TestMemory(TestCase):
    def folder(self):
        made = tempfile.TemporaryDirectory()
        self.addCleanup(made.cleanup)
        return made.name

    def test_any_edits_give_what_a_cold_reading_gives(self):
        good = 0
        for seed in range(RUNS):
            chance, folder, memory = random.Random(seed), self.folder(), Memory()
            path = random_mesh.start(folder, 18080, ("ingress", "sidecar")[seed % 2])
            for number in range(EDITS):
                random_mesh.edit(folder, chance)
                memory.turn()
                warm, cold = outcome(path, memory), outcome(path)
                self.assertEqual(warm[2], cold[2], (seed, number))
                self.assertEqual(warm[:2], cold[:2], (seed, number))
                self.assertEqual(places(warm[0]), places(cold[0]), (seed, number))
                good += warm[0] is not None
        self.assertGreater(good, RUNS * EDITS // 10)

    def test_what_has_not_changed_is_the_same_object(self):
        folder = self.folder()
        path, memory = write(folder, 20, 60), Memory()
        first, _, _ = outcome(path, memory)
        with open(os.path.join(folder, "mesh.d", "rule-00003.yaml")) as file:
            text = file.read()
        with open(os.path.join(folder, "mesh.d", "rule-00003.yaml"), "w") as file:
            file.write(text.replace("maxConnections: 100", "maxConnections: 7"))
        memory.turn()
        second, _, _ = outcome(path, memory)
        changed = [two.name for one, two in zip(first.clusters, second.clusters) if one is not two]
        self.assertEqual(changed, ["outbound|80|v2|svc-3.shop.test", "outbound|80|v1|svc-3.shop.test"])
        hosts = [one.listeners[0].filters[-1].config.virtual_hosts for one in (first, second)]
        self.assertTrue(all(one is two for one, two in zip(*hosts)))

    def test_what_is_no_longer_used_is_gone(self):
        folder = self.folder()
        path, memory = write(folder, 20, 60), Memory()
        outcome(path, memory)
        size = len(memory)
        for number in range(10):
            with open(os.path.join(folder, "mesh.d", "entry-00000.yaml"), "a") as file:
                file.write(f"# {number}\n")
            memory.turn()
            outcome(path, memory)
        self.assertLess(len(memory), 2 * size + 10)
        for name in os.listdir(os.path.join(folder, "mesh.d")):
            if name != "gateway.yaml":
                os.remove(os.path.join(folder, "mesh.d", name))
        for _ in range(2):
            memory.turn()
            outcome(path, memory)
        self.assertLess(len(memory), 20)
