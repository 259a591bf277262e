"""Configurations of one listener, written in a line."""

import tempfile
from pathlib import Path
from unittest import TestCase

from meshd.config.load import load
from meshd.model.plugin import PluginSettings
from meshd.registry import Registry

CLUSTERS = "clusters: [{name: a, endpoints: [{address: '127.0.0.1:80'}]}]\n"
TCP = "network_filters: [{tcp_proxy: {cluster: a}}]"
HTTP = "filters: [{router: {virtual_hosts: [{name: a, domains: ['*'], routes: [{match: {prefix: /}, cluster: a}]}]}}]"


class ListenerTestCase(TestCase):
    def setUp(self):
        self.registry = Registry.load(PluginSettings(), {})

    def read(self, listener: str, before: str = CLUSTERS):
        """Return what ``load`` makes of a listener with these keys behind the text ``before``."""
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, "mesh.yaml")
            path.write_text(before + "listeners:\n  - {name: l, address: '127.0.0.1:8080', " + listener + "}\n")
            return load([str(path)], self.registry)
