"""The way of one request: eight stops, by name, visited in this order by one request through real objects.

The request runs in a process of its own with the plain Python modules, for compiled functions cannot be watched.
"""

import json
import os
import subprocess
import sys
import unittest
from pathlib import Path
from random import Random

from meshd.api.exchange import CONTINUE

STOPS = (
    "Connection.received", "RequestParser.receive", "Chain.request", "router", "Cluster.pick", "Pool.take",
    "Attempt.run", "Chain.response", "Chain.complete",
)
SEEN_AS = {
    "Connection.received": "Connection.received", "RequestParser.receive": "RequestParser.receive",
    "Chain.request": "Chain.request", "Filter.on_request": "filter", "RouterFilter.on_request": "router",
    "RoundRobin.pick": "Cluster.pick",  # the cluster keeps its balancer's method in this attribute
    "Pool.take": "Pool.take",
    "Attempt.on_connection": "Attempt.run",  # sends as soon as the pool gives or brings a connection
    "Chain.response": "Chain.response", "Filter.on_response": "filter", "Chain.complete": "Chain.complete",
}
ROOT = Path(__file__).parent.parent


class Filter:
    """A filter that only passes by."""

    def on_request(self, exchange):
        """On the way there."""
        return CONTINUE

    def on_response(self, exchange):
        """On the way back."""


def drive():
    """Send two requests through a listener, the router and an upstream; return the stops that the second visited."""
    from meshd.exchange.chain import Chain
    from meshd.testing.site import FakeSite
    from meshd_plugins.round_robin import RoundRobin
    from tests.exchange.mesh import GET, OK, Mesh
    from tests.plugins.router_case import route, router

    mesh = Mesh()
    balancer = mesh.cluster.balancer = RoundRobin(Random(1))
    balancer.update(mesh.cluster.endpoints)
    mesh.cluster.pick = balancer.pick
    terminal = router(route(cluster="up"), site=FakeSite(clusters={"up": mesh.cluster}))
    mesh.listener.whole.chain = Chain((mesh.use(Filter()), mesh.use(terminal)), (mesh.use(mesh.sink),))
    visited = []
    client = mesh.client(GET)
    peer, _ = mesh.upstream.serve()
    assert client.read() == OK

    def watch(frame, event, argument):
        stop = SEEN_AS.get(frame.f_code.co_qualname) if event == "call" else None
        if stop is not None:
            visited.append(stop)

    sys.setprofile(watch)
    client.send(GET)
    peer.send(OK)
    sys.setprofile(None)
    assert client.read() == OK
    mesh.close()
    return visited


class EightStops(unittest.TestCase):
    def test_one_request_visits_them_in_this_order(self):
        environ = {**os.environ, "MESHD_PURE": "1", "PYTHONPATH": os.pathsep.join([str(ROOT), *sys.path])}
        code = "import json; from tests.test_eight_stops import drive; print(json.dumps(drive()))"
        done = subprocess.run([sys.executable, "-c", code], env=environ, capture_output=True, text=True, timeout=60)
        self.assertEqual(done.returncode, 0, done.stderr)
        visited = json.loads(done.stdout)
        self.assertEqual([stop for stop in visited if stop != "filter"], list(STOPS))
        self.assertEqual([place for place, stop in enumerate(visited) if stop == "filter"], [3, 9])

    def test_the_names_stand_in_the_docstring_and_in_the_readme(self):
        import meshd.exchange
        readme = (ROOT / "README.md").read_text()
        for text in (meshd.exchange.__doc__, readme[readme.index("## How it is built"):]):
            places = [text.find(stop) for stop in STOPS]
            self.assertNotIn(-1, places, text)
            self.assertEqual(places, sorted(places))

    def test_each_name_is_that_of_something(self):
        from meshd.downstream.connection import Connection
        from meshd.exchange.attempt import Attempt
        from meshd.exchange.chain import Chain
        from meshd.http.request import RequestParser
        from meshd.upstream.pool import Pool
        found = {kind.__name__: kind for kind in (Connection, RequestParser, Chain, Pool, Attempt)}
        for stop in STOPS:
            owner, _, method = stop.partition(".")
            if owner in found:
                self.assertTrue(callable(getattr(found[owner], method)), stop)
