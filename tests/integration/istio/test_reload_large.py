"""Reloads of a large mesh of Istio documents under load: each change is in force, nothing is lost, one reader stays."""

import os
import re
import tempfile

import pytest

from tests.integration.harness.client import ask
from tests.integration.harness.daemon import MODE, Daemon
from tests.integration.harness.echo import Echo
from tests.integration.harness.loss import Loss
from tests.integration.process import free_port, wait_for
from tests.istio.scale import write

RELOADS = 20
RATE = int(os.environ.get("MESHD_TEST_RATE", "40"))
SERVICES = 120
"""With their rules and routes some 360 documents: a large configuration, whose reader stays."""
OURS = """\
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {{name: ours, namespace: default}}
spec:
  hosts: ["*"]
  gateways: [edge]
  http:
  - match: [{{uri: {{exact: /word}}}}]
    directResponse: {{status: 200, body: {{string: "{word}"}}}}
  - route: [{{destination: {{host: echo.test}}}}]
    timeout: {timeout}s
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {{name: echo, namespace: default}}
spec:
  hosts: [echo.test]
  resolution: STATIC
  ports: [{{number: 80, name: http, protocol: HTTP}}]
  endpoints: [{{address: 127.0.0.1, ports: {{http: {port}}}}}]
"""


def readers(daemon):
    """Return the processes that read configurations for a daemon."""
    found = []
    with open(f"/proc/{daemon.process.pid}/task/{daemon.process.pid}/children") as file:
        for pid in file.read().split():
            with open(f"/proc/{pid}/cmdline", "rb") as line:
                found += [int(pid)] if b"meshd.config.child" in line.read() else []
    return found


def reload(daemon):
    """SIGHUP; wait until another configuration is in force."""
    before = daemon.json("/server_info")["generation"]
    daemon.signal("HUP")
    wait_for(lambda: daemon.json("/server_info")["generation"] > before, "the reload", 60)


@pytest.mark.timeout(600)
def test_each_of_many_reloads_is_in_force_and_loses_nothing():
    with tempfile.TemporaryDirectory() as folder, Echo() as echo:
        write(folder, SERVICES, SERVICES * 3)
        documents, port = os.path.join(folder, "mesh.d"), free_port()
        upstream = int(echo.address.rpartition(":")[2])

        def change(word, number):
            with open(os.path.join(documents, "ours.yaml"), "w") as file:
                file.write(OURS.format(word=word, timeout=20 + number, port=upstream))
            path = os.path.join(documents, f"rule-{number:05}.yaml")
            with open(path) as file:
                text = re.sub(r"maxConnections: \d+", f"maxConnections: {number + 7}", file.read())
            with open(path, "w") as file:
                file.write(text)

        change("first", 0)
        node = {"id": "edge", "role": "ingress", "ports": {"80": port}}
        with Daemon({"node": node, "documents": [documents]}) as daemon, Loss(port, rate=RATE) as load:
            load.warm()
            seen = set()
            for number in range(RELOADS):
                change(f"word {number}", number)
                reload(daemon)
                assert ask(port, "/word")[::2] == (200, f"word {number}".encode())
                seen.update(readers(daemon))
            load.warm()
            result = load.stop()
            result.assert_nothing_lost()
            assert (result.unannounced, result.closed_count) == (0, 0)
            assert len(seen) == (0 if MODE == "workers" else 1), seen
            limit = daemon.json("/clusters?name=outbound|80|v1|svc-19.shop.test")
            assert f"{RELOADS + 6}" in str(limit), limit
