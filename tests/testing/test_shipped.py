"""The contract suites hold for the shipped plugins of a cluster and of telemetry."""

import json
import tempfile
from pathlib import Path
from unittest import TestCase

from meshd.api import EndpointSpec
from meshd.document.fault import Faults
from meshd.document.tree import parse
from meshd.testing.contract.cluster import CircuitBreakerContract, DiscoveryContract, LoadBalancerContract
from meshd.testing.contract.configuration import ConfigDialectContract
from meshd.testing.contract.retry import RetryPolicyContract
from meshd.testing.contract.telemetry import TelemetryContract
from meshd.testing.site import FakeSite


class Shipped:
    """Builds the plugin ``type`` of the suite's kind with its default configuration."""

    type = ""
    more: dict = {}

    def setUp(self):
        self.site = FakeSite()

    def make(self):
        found = self.site.registry.type(self.kind, self.type)
        config = found.config(**self.more) if found.config is not None else None
        return self.site.make(self.kind, self.type, config)


class RoundRobinTest(Shipped, LoadBalancerContract, TestCase):
    type = "round_robin"


class LeastRequestTest(Shipped, LoadBalancerContract, TestCase):
    type = "least_request"


class LimitsTest(Shipped, CircuitBreakerContract, TestCase):
    type = "limits"


class StaticDiscoveryTest(Shipped, DiscoveryContract, TestCase):
    type = "static"
    more = {"endpoints": (EndpointSpec(address="192.0.2.1:80"), EndpointSpec(address="192.0.2.2:80"))}


class FileDiscoveryTest(Shipped, DiscoveryContract, TestCase):
    type = "file"

    def setUp(self):
        super().setUp()
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        path = Path(folder.name, "endpoints.json")
        path.write_text(json.dumps({"endpoints": [{"address": "192.0.2.1:80"}]}))
        self.more = {"path": str(path)}

    def find(self, discovery):
        self.site.advance(60.0)


class RetryTest(Shipped, RetryPolicyContract, TestCase):
    type = "retry"


class PrometheusTest(Shipped, TelemetryContract, TestCase):
    type = "prometheus"


class NativeTest(ConfigDialectContract, TestCase):
    def make(self):
        return FakeSite().make("config_dialect", "native")

    def own(self):
        return (self.tree("node: {id: one}\n"),)

    def foreign(self):
        return (self.tree("apiVersion: v1\nkind: Service\n"),)

    def tree(self, text):
        return parse("m.yaml", text.encode(), Faults())
