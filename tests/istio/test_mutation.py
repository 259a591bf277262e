"""No document crashes the loader, whatever is wrong with it: valid ones are broken at random, and only faults come."""

import json
import unittest

import yaml
from hypothesis import HealthCheck, given, settings, strategies as st

from meshd.document.context import Context
from meshd.document.tree import parse_all
from meshd_plugins.istio.read import read
from tests.istio.corpus import all_cases

TREES = [yaml.compose(case.text) for case in all_cases() if case.is_valid]
ODD = ("~", "null", "true", "on", "-1", "0", "2.5", "1e999", "010", "1:30", ".nan", '""', '"*"', '"%"', "[]", "{}",
       "[[[]]]", "{a: {b: [1]}}", '"\\u2028"', "99999999999999999999999", "!x y", "*a", '"a/b/c"', "1s", "2024-01-01",
       '"' + "x" * 300 + '"', "[null, {}]", '"(a+)+$"', "-0.0", "yes", '"@request.auth.claims"', "unix://")
KEYS = ("", "x", "spec", "hosts", "http", "metadata", "name", "match", "port", "<<", "kind", "a b")


class Broken:
    """Writes a tree as flow YAML, with some of its nodes broken on the way."""

    def __init__(self, draw, places):
        self.draw = draw
        self.places = places
        self.count = 0

    def write(self, node):
        """Return the text of a node."""
        self.count += 1
        is_broken = self.count in self.places
        if is_broken and self.draw(st.booleans()):
            return self.draw(st.sampled_from(ODD))
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, is_broken)
        if isinstance(node, yaml.SequenceNode):
            items = [self.write(item) for item in node.value]
            return f"[{', '.join(items * 2 if is_broken else items)}]"
        return node.value if node.style is None and node.tag != "tag:yaml.org,2002:str" else json.dumps(node.value)

    def _mapping(self, node, is_broken):
        pairs = [(json.dumps(key.value), self.write(value)) for key, value in node.value]
        if is_broken and pairs:
            place = self.draw(st.integers(0, len(pairs) - 1))
            how = self.draw(st.sampled_from(("drop", "double", "rename", "swap")))
            if how == "drop":
                del pairs[place]
            elif how == "double":
                pairs.append(pairs[place])
            elif how == "rename":
                pairs[place] = (json.dumps(self.draw(st.sampled_from(KEYS))), pairs[place][1])
            else:
                pairs[place] = (pairs[place][0], pairs[-place - 1][1])
        return "{" + ", ".join(f"{key}: {value}" for key, value in pairs) + "}"


@st.composite
def broken_documents(draw):
    """Draw the text of a document with up to four broken places."""
    tree = draw(st.sampled_from(TREES))
    places = draw(st.sets(st.integers(1, 60), min_size=1, max_size=4))
    return Broken(draw, places).write(tree)


class TestBrokenDocuments(unittest.TestCase):
    @given(broken_documents(), st.booleans())
    @settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize=True)
    def test_there_are_only_faults(self, text, is_strict):
        context = Context(is_strict=is_strict)
        roots = parse_all("broken.yaml", text.encode(), context.faults)
        found = read(roots, context) if roots else []
        faults = context.faults.sorted()
        self.assertEqual([str(one) for one in faults if one.code == "MSH0117"], [], text)
        if not found:
            self.assertTrue(faults, text)


if __name__ == "__main__":
    unittest.main()
