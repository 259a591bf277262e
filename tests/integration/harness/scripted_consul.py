"""Consul's documented behaviour: an agent's registration, and the health endpoint with its blocking queries.

https://developer.hashicorp.com/consul/api-docs/features/blocking. An index belongs to a service; a wait ends with a
change or with its time, of which a small share is added. After a restart the index begins low again.
"""

import contextlib
import time

from tests.integration.harness.rest import Rest, Said


class ScriptedConsul(Rest):
    """``services`` are the registrations by id. ``checks`` has the status of those that do not pass."""

    def __init__(self):
        self.index = 100
        self.services = {}
        self.checks = {}
        self.has_leader = True
        self.is_filtered = False
        self.is_held = False
        super().__init__()

    def restart(self):
        """Begin without anything."""
        self.index, self.services, self.checks = 3, {}, {}
        self.start()

    def set_index(self, index):
        """Let it be another, lower or higher."""
        with self.changed:
            self.index = index
            self.changed.notify_all()

    @contextlib.contextmanager
    def at_once(self):
        """Answer no query until the end of the ``with``: what is registered meanwhile is one change."""
        self.is_held = True
        yield
        with self.changed:
            self.is_held = False
            self.changed.notify_all()

    def check(self, key, status):
        """Let the check of an instance be so."""
        with self.changed:
            self.checks[key] = status
            self.index += 1
            self.changed.notify_all()

    def answer(self, asked):
        """Answer."""
        name = asked.path.rpartition("/")[2]
        if asked.path.startswith("/v1/health/service/"):
            return self._health(name, asked)
        if asked.path == "/v1/agent/service/register":
            return self._change(lambda: self.services.update({asked.body["ID"]: asked.body}))
        if asked.path.startswith("/v1/agent/service/deregister/"):
            return self._change(lambda: self.services.pop(name, None))
        return Said(404, "no such path")

    def _change(self, work):
        with self.changed:
            work()
            self.index += 1
            self.changed.notify_all()
        return Said(200, "")

    def _health(self, name, asked):
        index, wait = int(asked.query.get("index", 0)), asked.query.get("wait", "300s")
        until = time.monotonic() + float(wait.rstrip("s")) * 17 / 16
        over = self.is_over
        with self.changed:
            while (self.is_held or index and self.index == index) and time.monotonic() < until and not over.is_set():
                self.changed.wait(until - time.monotonic())
            rows = [self._entry(one) for one in self.services.values() if one["Name"] == name]
            headers = {"x-consul-index": str(self.index), "x-consul-lastcontact": "0",
                       "x-consul-knownleader": str(self.has_leader).lower()}
            if self.is_filtered:
                rows, headers = [], {**headers, "x-consul-results-filtered-by-acls": "true"}
        if "passing" in asked.query:
            rows = [row for row in rows if all(check["Status"] == "passing" for check in row["Checks"])]
        return Said(200, rows, headers)

    def _entry(self, one):
        return {
            "Node": {"ID": "f3a1", "Node": "n1", "Address": "127.0.0.1", "Datacenter": "dc1", "Meta": {"zone": "a"},
                     "TaggedAddresses": {"lan": "127.0.0.1", "wan": "127.0.0.1"}, "CreateIndex": 5, "ModifyIndex": 6},
            "Service": {"ID": one["ID"], "Service": one["Name"], "Tags": one["Tags"], "Address": one["Address"],
                        "Meta": one["Meta"], "Port": one["Port"], "Weights": one["Weights"], "Proxy": {},
                        "EnableTagOverride": False, "CreateIndex": 7, "ModifyIndex": 7},
            "Checks": [
                {"Node": "n1", "CheckID": "serfHealth", "Status": "passing", "Output": "Agent alive and reachable"},
                {"Node": "n1", "CheckID": f"service:{one['ID']}", "Status": self.checks.get(one["ID"], "passing")},
            ],
        }
