"""What plugins that bring or keep configuration must keep to: dialects, sources, stores."""

from meshd.document.context import Context
from meshd.document.decode import decode
from meshd.document.merge import merge
from meshd.model.plugin import Plugin
from meshd.model.snapshot import Node, Snapshot
from meshd.testing.contract.kind import KindContract


class ConfigDialectContract(KindContract):
    """For ``config_dialect``: ``own()`` and ``foreign()`` return documents."""

    kind = "config_dialect"

    def own(self):
        """Return documents of this dialect that have no fault."""
        raise NotImplementedError("own: expected documents of this dialect")

    def foreign(self):
        """Return documents of other dialects."""
        raise NotImplementedError("foreign: expected documents of other dialects")

    def context(self):
        """Return a fresh context; override it where the documents need plugin types."""
        return Context(make_plugin=Plugin, node=Node())

    def load(self, roots):
        """Return (snapshot or None, number of faults) of the sections that the dialect makes of ``roots``."""
        context = self.context()
        sections = tuple(self.make().load(roots, context))
        return decode(Snapshot, merge(Snapshot, sections, context), context), context.faults.errors()

    def test_accepts_its_own_documents_alone(self):
        dialect = self.make()
        self.assertTrue(all(dialect.accepts(root) for root in self.own()))
        self.assertFalse(any(dialect.accepts(root) for root in self.foreign()))

    def test_loads_a_snapshot_without_faults(self):
        snapshot, faults = self.load(self.own())
        self.assertIsInstance(snapshot, Snapshot)
        self.assertEqual(faults, 0)

    def test_loading_twice_gives_the_same(self):
        self.assertEqual(self.load(self.own())[0], self.load(self.own())[0])


class ConfigSourceContract(KindContract):
    """For ``config_source``: documents are (name, text) pairs, and the same until they change."""

    kind = "config_source"

    def test_reads_names_and_texts(self):
        for name, text in self.make().read():
            self.assertIsInstance(name, str)
            self.assertIsInstance(text, str)

    def test_names_are_unique(self):
        names = [name for name, _ in self.make().read()]
        self.assertEqual(len(names), len(set(names)))

    def test_reading_twice_gives_the_same(self):
        source = self.make()
        self.assertEqual(list(source.read()), list(source.read()))


class StoreContract(KindContract):
    """For ``store``: bytes that were put are got, byte for byte."""

    kind = "store"

    def test_a_key_that_was_never_put_has_nothing(self):
        self.assertIsNone(self.make().get("meshd-contract-none"))

    def test_gets_what_was_put(self):
        store = self.make()
        for value in (b"", b"value", bytes(range(256)), b"x" * 100_000):
            store.put("meshd-contract", value)
            self.assertEqual(store.get("meshd-contract"), value)

    def test_keys_do_not_mix(self):
        store = self.make()
        for key in ("a", "A", "a/b", "../a", "ä", "a b"):
            store.put(key, key.encode())
        for key in ("a", "A", "a/b", "../a", "ä", "a b"):
            self.assertEqual(store.get(key), key.encode())
