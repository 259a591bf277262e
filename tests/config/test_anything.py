"""Whatever stands in a file, loading answers with a configuration or with faults, never otherwise."""

import os

import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from meshd.config.load import load
from meshd.errors import ConfigurationError
from tests.config.sample import ConfigTestCase

KEYS = st.sampled_from([
    "listeners", "clusters", "node", "name", "address", "filters", "gate", "rules", "match", "tag", "on", "labels",
    "endpoints", "plugins", "telemetry", "documents", "drain", "admin", "prefix", "data", "",
])
VALUES = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=8),
    st.sampled_from(["gate", "tag", "plain", "users", "127.0.0.1:80", "5s", "on", "010", "1:30", "(", "unix:/x"]),
)
TREES = st.recursive(
    VALUES, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=5), max_leaves=30
)
QUICK = settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))


class TestAnything(ConfigTestCase):
    def attempt(self, data: bytes) -> None:
        path = os.path.join(self.folder, "x.yaml")
        with open(path, "wb") as stream:
            stream.write(data)
        try:
            load([path], self.registry, with_origins=True)
        except ConfigurationError as error:
            self.assertTrue(error.faults)

    @QUICK
    @given(TREES)
    def test_any_tree_loads_or_has_faults(self, value):
        self.attempt(yaml.safe_dump(value, allow_unicode=True).encode("utf-8", "replace"))

    @QUICK
    @given(st.binary(max_size=60) | st.text("[]{}:,-#&*!|>'\"%@`~ \n\tab1", max_size=60).map(str.encode))
    def test_any_bytes_load_or_have_faults(self, data):
        self.attempt(data)
