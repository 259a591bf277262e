"""``ring_hash`` and ``maglev`` in the real meshd and in the real Envoy: the same keys come to the same endpoints."""

import http.client
import itertools
from unittest import TestCase

from tests.integration.harness.case import EXTENSION
from tests.integration.harness.daemon import Daemon, document
from tests.integration.harness.envoy import Envoy, different_ports, envoy_program
from tests.integration.harness.ports import Ports

KEYS = 1000
COUNT = 20
TYPES = ("ring_hash", "maglev")
NAMES = [f"{kind}-{weights}-{count}" for kind, weights, count in itertools.product(
    TYPES, ("equal", "weighted"), ("all", "one-less"))]
RULES = [
    {"query": "user"}, {"header": "x-key"}, {"cookie": {"name": "session"}}, {"header": "x-user", "terminal": True},
    {"source_address": True},
]
ENVOY_RULES = [
    {"query_parameter": {"name": "user"}}, {"header": {"header_name": "x-key"}}, {"cookie": {"name": "session"}},
    {"header": {"header_name": "x-user"}, "terminal": True}, {"connection_properties": {"source_ip": True}},
]


def places(name, ports):
    """Return the (port, weight) of a cluster's endpoints."""
    _, weights, count = name.split("-", 2)
    rows = [(port, 1 + index % 5 if weights == "weighted" else 1) for index, port in enumerate(ports)]
    return rows[:7] + rows[8:] if count == "one-less" else rows


def envoy_cluster(name, ports):
    """Return a cluster in Envoy's words."""
    ends = [{"endpoint": {"address": {"socket_address": {"address": "127.0.0.1", "port_value": port}}},
             "load_balancing_weight": weight} for port, weight in places(name, ports)]
    policy = "RING_HASH" if name.startswith("ring") else "MAGLEV"
    assignment = {"cluster_name": name, "endpoints": [{"lb_endpoints": ends}]}
    return {"name": name, "type": "STATIC", "lb_policy": policy, "load_assignment": assignment}


def envoy_listener(port, names):
    """Return the listener in Envoy's words: a prefix for each cluster, and ``/rules/``."""
    by_key = [{"header": {"header_name": "x-key"}}]
    routes = [{"match": {"prefix": f"/{name}/"}, "route": {"cluster": name, "hash_policy": by_key}} for name in names]
    routes.append({"match": {"prefix": "/rules/"}, "route": {"cluster": names[0], "hash_policy": ENVOY_RULES}})
    routes.append({"match": {"prefix": "/"}, "direct_response": {"status": 404}})
    router = {"@type": f"{EXTENSION}.http.router.v3.Router"}
    manager = {
        "@type": f"{EXTENSION}.network.http_connection_manager.v3.HttpConnectionManager", "stat_prefix": "public",
        "use_remote_address": True, "http_filters": [{"name": "router", "typed_config": router}],
        "route_config": {"virtual_hosts": [{"name": "all", "domains": ["*"], "routes": routes}]},
    }
    return {"name": "public", "address": {"socket_address": {"address": "127.0.0.1", "port_value": port}},
            "filter_chains": [{"filters": [{"name": "http", "typed_config": manager}]}]}


def native(names, ports):
    """Return meshd's configuration of the same."""
    routes = [{"match": {"prefix": f"/{name}/"}, "cluster": name} for name in names]
    routes.append({"match": {"prefix": "/rules/"}, "cluster": "rules"})
    clusters = [cluster(name, name, ports, [{"header": "x-key"}]) for name in names]
    return document(routes, [*clusters, cluster("rules", names[0], ports, RULES)])


def cluster(name, like, ports, rules):
    """Return a cluster with the endpoints of ``like``."""
    ends = [{"address": f"127.0.0.1:{port}", "weight": weight} for port, weight in places(like, ports)]
    return {"name": name, "endpoints": ends, "load_balancer": {like.split("-")[0]: {"hash": rules}}}


def picks(port, requests):
    """Return the port that each request (path, fields) came to."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    found = []
    for path, fields in requests:
        connection.putrequest("GET", path)
        for name, value in fields:
            connection.putheader(name, value)
        connection.endheaders()
        answer = connection.getresponse()
        answer.read()
        found.append(answer.getheader("x-port"))
    connection.close()
    return found


def rule_requests(count):
    """Return requests of which each has some of the things that ``RULES`` name."""
    found = []
    for number in range(count):
        fields = [("x-key", f"key-{number}"), ("x-key", f"a-{number}")][:number % 3]
        if number % 5 < 2:
            fields.append(("cookie", f'other=1; session="s-{number}"'))
        if number % 7 == 0:
            fields.append(("x-user", f"u-{number}"))
        query = f"?a=1&user=%41{number}&user=2" if number % 4 == 0 else ""
        found.append((f"/rules/{query}", fields))
    return found


class TestHashBalancers(TestCase):
    def test_a_thousand_keys_come_to_the_same_endpoints_as_in_envoy(self):
        program = envoy_program()
        servers = Ports(COUNT)
        self.addCleanup(servers.close)
        port, = different_ports(1)
        listener = envoy_listener(port, NAMES)
        envoy = Envoy(program, [listener], {}, [envoy_cluster(name, servers.ports) for name in NAMES])
        self.addCleanup(envoy.close)
        with Daemon(native(NAMES, servers.ports)) as daemon:
            rows = {name: [(f"/{name}/", [("x-key", f"user-{number}")]) for number in range(KEYS)] for name in NAMES}
            rows["rules"] = rule_requests(300)
            for name, requests in rows.items():
                with self.subTest(name):
                    theirs = picks(port, requests)
                    self.assertGreater(len(set(theirs) - {None}), COUNT // 2)
                    self.assertEqual(picks(daemon.port, requests), theirs)
