"""The native dialect keeps to the contract of dialects."""

from unittest import TestCase

from meshd.document.fault import Faults
from meshd.document.tree import parse
from meshd.testing.contract.configuration import ConfigDialectContract
from meshd_plugins.native import build


def root(text: str):
    return parse("mesh.yaml", text.encode(), Faults())


class TestNative(ConfigDialectContract, TestCase):
    def make(self):
        return build(None, None)

    def own(self):
        return (root("node: {id: x}\n"), root("clusters: [{name: a, endpoints: [{address: 'h:1'}]}]\n"))

    def foreign(self):
        return (root("apiVersion: networking.istio.io/v1\nkind: VirtualService\n"),)

    def test_several_files_are_one_snapshot(self):
        snapshot, faults = self.load(self.own())
        self.assertEqual((snapshot.node.id, snapshot.clusters[0].name, faults), ("x", "a", 0))
