"""Large JSON in small pieces that together are the same as the whole."""

import json
import time
from unittest import TestCase

from meshd.admin.stream import config_json, is_small, rows_json, streamed
from meshd.api import ListOf, MapOf, Nested, Text, config, option
from meshd.document.encode import encode_class
from meshd.model.cluster import Cluster, EndpointSpec
from meshd.model.listener import Listener
from meshd.model.plugin import FAIL_OPEN, Plugin
from meshd.model.snapshot import Snapshot


@config
class Row:
    """One row of a plugin's configuration."""

    name: str = option(Text(), doc="name")
    token: str = option(Text(secret=True), default="hunter2", doc="secret")
    labels: tuple = option(MapOf(value=Text()), default=(), doc="labels")


@config
class Rows:
    """A plugin's configuration."""

    rows: tuple = option(ListOf(item=Nested(Row)), default=(), doc="rows")


def snapshot(count):
    """Return a snapshot with ``count`` clusters, and as many rows in a plugin."""
    rows = tuple(Row(name=f"r{number}", labels=(("a", "b"),)) for number in range(count))
    plugin = Plugin(kind="http_filter", type="router", name="mine", on_error=FAIL_OPEN, config=Rows(rows=rows))
    clusters = tuple(
        Cluster(name=f"c{number}", endpoints=(EndpointSpec(address="10.0.0.1:80"),)) for number in range(count))
    return Snapshot(clusters=clusters, listeners=(Listener(name="a", address="127.0.0.1:80", filters=(plugin,)),))


class Configurations(TestCase):
    def test_pieces_are_what_the_encoder_makes_of_the_whole(self):
        for count in (0, 1, 40, 1000):
            value = snapshot(count)
            text = "".join(config_json(Nested(Snapshot), value))
            self.assertEqual(json.loads(text), json.loads(json.dumps(encode_class(value))))
            self.assertNotIn("hunter2", text)

    def test_no_piece_is_large(self):
        pieces = list(streamed({}, "snapshot", config_json(Nested(Snapshot), snapshot(2000))).body)
        self.assertGreater(len(pieces), 20)
        self.assertLess(max(len(piece) for piece in pieces), 64 * 1024)

    def test_small_is_judged_without_looking_at_all(self):
        huge = snapshot(20_000)
        begin = time.perf_counter()
        self.assertFalse(is_small(huge))
        self.assertLess(time.perf_counter() - begin, 0.05)
        self.assertTrue(is_small(Snapshot()))


class Lists(TestCase):
    def test_rows_are_a_list(self):
        for rows in ([], [{"a": 1}], [{"a": 1}, {"b": b"x"}]):
            self.assertEqual(len(json.loads("".join(rows_json(rows)))), len(rows))
