"""Registries for the tests of discoveries, all with one face: scripted ones of our own, and real ones.

``set(addresses)`` makes a registry have exactly these, ``stop``/``start`` are a restart, ``discovery(cluster)`` is what
stands in the configuration of a cluster that asks the cluster ``cluster``.

``MESHD_TEST_CONSUL`` and ``MESHD_TEST_KUBERNETES`` (HOST:PORT, in the clear; ``kubectl proxy`` is one) are real ones
that take the place of the scripted; ``MESHD_TEST_CONSUL_TOKEN`` and ``MESHD_TEST_KUBERNETES_TOKEN`` are their tokens.
"""

import contextlib
import os
import random
import shutil
import signal
import subprocess
import tempfile
import time
from base64 import b64encode

from tests.integration.harness.rest import Rest, Said, call
from tests.integration.harness.scripted_consul import ScriptedConsul
from tests.integration.harness.scripted_kubernetes import ScriptedKubernetes
from tests.integration.process import free_port, wait_for

NAME = f"meshd-test-{random.SystemRandom().randrange(10**9)}"
"""Of the service, so that tests leave others' alone."""
CONSUL = os.environ.get("MESHD_TEST_CONSUL", "")
KUBERNETES = os.environ.get("MESHD_TEST_KUBERNETES", "")


def split(address):
    """Return (host, port)."""
    host, _, port = address.rpartition(":")
    return host, int(port)


class HttpRegistry(Rest):
    """Prometheus' HTTP SD."""

    kind = "http"
    is_real = False

    def __init__(self):
        self._addresses = []
        super().__init__()

    def discovery(self, cluster, **more):
        return {"http": {"cluster": cluster, "path": "/targets", "refresh_interval": "200ms", **more}}

    def set(self, addresses):
        self._addresses = list(addresses)

    def answer(self, asked):
        tag = f'"{hash(tuple(self._addresses))}"'
        if asked.headers.get("if-none-match") == tag:
            return Said(304, headers={"etag": tag})
        return Said(200, [{"targets": self._addresses, "labels": {"from": "http"}}], {"etag": tag})


class ConsulRegistry:
    """Consul, scripted or real: instances are registered at the agent."""

    kind = "consul"

    def __init__(self):
        self.is_real = bool(CONSUL)
        self.scripted = None if CONSUL else ScriptedConsul()
        self.address = CONSUL or self.scripted.address
        token = os.environ.get("MESHD_TEST_CONSUL_TOKEN")
        self._headers = {"x-consul-token": token} if token else {}
        self._known = {}

    def discovery(self, cluster, **more):
        token = {"token_env": "MESHD_TEST_CONSUL_TOKEN"} if self._headers else {}
        return {"consul": {"cluster": cluster, "service": NAME, **token, **more}}

    def set(self, addresses):
        with contextlib.nullcontext() if self.is_real else self.scripted.at_once():
            self._set({f"{NAME}-{address.replace(':', '-')}": address for address in addresses})

    def _set(self, wanted):
        for key in [key for key in self._known if key not in wanted]:
            self._call(f"deregister/{key}")
        for key, address in wanted.items():
            if key not in self._known:
                host, port = split(address)
                self._call("register", {"ID": key, "Name": NAME, "Address": host, "Port": port, "Tags": ["blue"],
                                        "Meta": {"from": "consul"}, "Weights": {"Passing": 2, "Warning": 1}})
        self._known = wanted

    def _call(self, verb, value=None):
        call("PUT", f"http://{self.address}/v1/agent/service/{verb}", value, self._headers)

    def stop(self):
        self.scripted.stop()

    def start(self):
        self.scripted.restart()
        self._known = {}

    def close(self):
        if self.is_real:
            self.set([])
        else:
            self.scripted.close()


class KubernetesRegistry:
    """Kubernetes' API, scripted or real: a Service without a selector, and EndpointSlices written by hand."""

    kind = "kubernetes"

    def __init__(self):
        self.is_real = bool(KUBERNETES)
        self.scripted = None if KUBERNETES else ScriptedKubernetes()
        self.address = KUBERNETES or self.scripted.address
        token = os.environ.get("MESHD_TEST_KUBERNETES_TOKEN")
        self._headers = {"authorization": f"Bearer {token}"} if token else {}
        self._slices = f"http://{self.address}/apis/discovery.k8s.io/v1/namespaces/default/endpointslices"
        self._services = f"http://{self.address}/api/v1/namespaces/default/services"
        self._known = {}
        self._serve()

    def _serve(self):
        self._call("POST", self._services, {
            "apiVersion": "v1", "kind": "Service", "metadata": {"name": NAME},
            "spec": {"clusterIP": "None", "ports": [{"name": "http", "port": 80, "targetPort": 80}]}})

    def discovery(self, cluster, **more):
        token = {"token_env": "MESHD_TEST_KUBERNETES_TOKEN"} if self._headers else {}
        return {"kubernetes": {"cluster": cluster, "service": NAME, "port": "http", **token, **more}}

    def set(self, addresses):
        """One slice for each port, as all endpoints of a slice have the same ports."""
        wanted = {}
        for address in addresses:
            host, port = split(address)
            wanted.setdefault(f"{NAME}-{port}", (port, []))[1].append(host)
        with contextlib.nullcontext() if self.is_real else self.scripted.at_once():
            self._set(wanted)

    def _set(self, wanted):
        for name in [name for name in self._known if name not in wanted]:
            self._call("DELETE", f"{self._slices}/{name}")
        for name, found in wanted.items():
            if name not in self._known:
                self._call("POST", self._slices, self._slice(name, *found))
            elif self._known[name] != found:
                self._call("PUT", f"{self._slices}/{name}", self._slice(name, *found))
        self._known = wanted

    @staticmethod
    def _slice(name, port, hosts):
        return {
            "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": "IPv4",
            "metadata": {"name": name, "labels": {"kubernetes.io/service-name": NAME}},
            "endpoints": [{"addresses": [host], "conditions": {"ready": True}, "zone": "zone-a"} for host in hosts],
            "ports": [{"name": "http", "port": port, "protocol": "TCP"}],
        }

    def _call(self, method, url, value=None):
        return call(method, url, value, self._headers)

    def stop(self):
        self.scripted.stop()

    def start(self):
        self.scripted.restart()
        self._known = {}
        self._serve()

    def close(self):
        if self.is_real:
            self.set([])
            self._call("DELETE", f"{self._services}/{NAME}")
        else:
            self.scripted.close()


class EtcdRegistry:
    """A real etcd-server in a process of its own, with its data on disk. ``forgets``: a start begins without data."""

    kind = "etcd"
    is_real = False
    prefix = "/meshd/users/"

    def __init__(self):
        self.folder = tempfile.mkdtemp(prefix="meshd-etcd-")
        self.port, self._peer_port = free_port(), free_port()
        self.address = f"127.0.0.1:{self.port}"
        self.forgets = False
        self._process = None
        self._run()

    def discovery(self, cluster, **more):
        return {"etcd": {"cluster": cluster, "prefix": self.prefix, **more}}

    def set(self, addresses):
        wanted = {f"{self.prefix}{address}": f'{{"address": "{address}", "labels": {{"from": "etcd"}}}}'
                  for address in addresses}
        found = self.call("kv/range", key=self.prefix, range_end="/meshd/users0", keys_only=True).get("kvs", ())
        gone = {one["key"] for one in found} - {_b64(key) for key in wanted}
        if gone:
            work = [{"request_delete_range": {"key": key}} for key in gone]
            call("POST", f"http://{self.address}/v3/kv/txn", {"success": work})
        for key, value in wanted.items():
            self.call("kv/put", key=key, value=value)

    def call(self, path, headers=(), **message):
        """Post a message; texts that are bytes for etcd are encoded."""
        message = {key: _b64(value) if key in ("key", "value", "range_end") else value
                   for key, value in message.items()}
        return call("POST", f"http://{self.address}/v3/{path}", message, headers)

    def stop(self):
        """Kill it."""
        self._process.send_signal(signal.SIGKILL)
        self._process.wait()

    def start(self):
        if self.forgets:
            shutil.rmtree(os.path.join(self.folder, "data"))
        self._run()

    def _run(self):
        peer = f"http://127.0.0.1:{self._peer_port}"
        with open(os.path.join(self.folder, "log"), "a") as log:
            self._process = subprocess.Popen([
                "etcd", "--data-dir", os.path.join(self.folder, "data"), "--unsafe-no-fsync",
                "--listen-client-urls", f"http://{self.address}", "--advertise-client-urls", f"http://{self.address}",
                "--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer,
                "--initial-cluster", f"default={peer}"], stdout=log, stderr=log)
        wait_for(self._is_up, "etcd", 30)

    def _is_up(self):
        assert self._process.poll() is None, "etcd has ended"
        try:
            return self.call("kv/range", key="x") is not None
        except OSError:
            time.sleep(0.1)
            return False

    def close(self):
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)


def _b64(text):
    return b64encode(text.encode()).decode()


REGISTRIES = {one.kind: one for one in (HttpRegistry, ConsulRegistry, EtcdRegistry, KubernetesRegistry)}
