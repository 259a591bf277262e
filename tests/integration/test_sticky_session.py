"""Clients that stay where they are, over real sockets: the filter ``sticky_session``, and cookies of hash balancers."""

import http.client
import json
from unittest import TestCase

from tests.integration.harness.daemon import Daemon, document
from tests.integration.harness.ports import Ports

COUNT = 8
CLIENTS = 20


def configuration(ports, session, balancer="random", healths=()):
    """Return a configuration with the filter (its configuration, or None) before the router."""
    healths = dict(healths)
    ends = [{"address": f"127.0.0.1:{port}", "health": healths.get(port, "unknown")} for port in ports]
    found = document([{"match": {"prefix": "/"}, "cluster": "up"}],
                     [{"name": "up", "endpoints": ends, "load_balancer": balancer}])
    if session is not None:
        found["listeners"][0]["filters"].insert(0, {"sticky_session": session})
    return found


class Browser:
    """Keeps its cookies; ``made`` counts those that it got."""

    def __init__(self, port):
        self.port = port
        self.cookies = {}
        self.made = 0
        self.last = None

    def get(self, path="/", **headers):
        """Return the port that answered, or the status."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        text = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        connection.request("GET", path, headers={**headers, **({"cookie": text} if text else {})})
        self.last = connection.getresponse()
        self.last.read()
        connection.close()
        for line in self.last.headers.get_all("set-cookie") or ():
            name, _, value = line.partition(";")[0].partition("=")
            self.cookies[name] = value
            self.made += 1
        port = self.last.getheader("x-port")
        return int(port) if port else self.last.status


class Case(TestCase):
    def setUp(self):
        self.servers = Ports(COUNT)
        self.addCleanup(self.servers.close)
        self.ports = self.servers.ports

    def daemon(self, *args, **more):
        """Start a daemon."""
        daemon = Daemon(configuration(self.ports, *args, **more))
        self.addCleanup(daemon.__exit__, None, None, None)
        return daemon

    def change(self, daemon, found):
        """Reload with another configuration on the same address."""
        found["listeners"][0]["address"] = f"127.0.0.1:{daemon.port}"
        daemon.write(found)
        outcome = daemon.reload()
        self.assertTrue(outcome["accepted"], json.dumps(outcome))


class StickySession(Case):
    def test_a_client_stays_at_its_endpoint_by_its_cookie(self):
        daemon = self.daemon({"cookie": {"name": "at", "path": "/", "ttl": "60s"}})
        firsts = set()
        for _ in range(CLIENTS):
            browser = Browser(daemon.port)
            first = browser.get()
            self.assertIn("; Max-Age=60; Path=/; HttpOnly", browser.last.getheader("set-cookie"))
            self.assertEqual({browser.get() for _ in range(5)}, {first})
            self.assertEqual(browser.made, 1)
            firsts.add(first)
        self.assertGreater(len(firsts), 2)

    def test_where_its_endpoint_has_gone_it_gets_another_and_a_new_cookie(self):
        daemon = self.daemon({"cookie": "at"})
        browser = Browser(daemon.port)
        first = browser.get()
        left = [port for port in self.ports if port != first]
        self.change(daemon, configuration(left, {"cookie": "at"}))
        second = browser.get()
        self.assertIn(second, left)
        self.assertEqual(browser.made, 2)
        self.assertEqual({browser.get() for _ in range(5)}, {second})

    def test_a_strict_one_answers_503_instead(self):
        daemon = self.daemon({"cookie": "at", "strict": True})
        browser = Browser(daemon.port)
        first = browser.get()
        self.change(daemon, configuration([port for port in self.ports if port != first],
                                          {"cookie": "at", "strict": True}))
        self.assertEqual(browser.get(), 503)

    def test_an_endpoint_that_drains_keeps_its_clients_only_where_that_is_wanted(self):
        for keeps in (False, True):
            with self.subTest(keeps):
                session = {"cookie": "at", "draining": keeps}
                daemon = self.daemon(session)
                browser = Browser(daemon.port)
                first = browser.get()
                self.change(daemon, configuration(self.ports, session, healths={first: "draining"}))
                self.assertEqual(browser.get() == first, keeps)
                self.assertNotIn(first, {Browser(daemon.port).get() for _ in range(30)})

    def test_a_client_stays_by_a_field(self):
        daemon = self.daemon({"header": "x-session"})
        browser = Browser(daemon.port)
        first = browser.get()
        session = browser.last.getheader("x-session")
        for _ in range(5):
            self.assertEqual(browser.get(**{"x-session": session}), first)
            self.assertIsNone(browser.last.getheader("x-session"))

    def test_an_address_that_the_cluster_does_not_have_opens_no_door(self):
        daemon = self.daemon({"header": "x-session"})
        for value in ("MTI3LjAuMC4xOjIy", "!!!", "", "AAAA", "x" * 5000):
            self.assertIn(Browser(daemon.port).get(**{"x-session": value}), self.ports)


class HashCookie(Case):
    BALANCER = {"ring_hash": {"hash": [{"cookie": {"name": "player", "ttl": "0s", "path": "/"}}]}}

    def test_a_player_reaches_the_same_lobby_by_a_cookie_that_the_proxy_makes(self):
        daemon = self.daemon(None, balancer=self.BALANCER)
        players = [Browser(daemon.port) for _ in range(40)]
        was = [player.get() for player in players]
        self.assertTrue(all(player.last.getheader("set-cookie").endswith("; Path=/; HttpOnly") for player in players))
        self.assertGreater(len(set(was)), 3)
        self.assertEqual([player.get() for player in players], was)
        self.assertEqual({player.made for player in players}, {1})
        self.change(daemon, configuration(self.ports[:-1], None, self.BALANCER))
        moved = sum(one != two for one, two in zip(was, [player.get() for player in players]))
        self.assertLess(moved, 20)
