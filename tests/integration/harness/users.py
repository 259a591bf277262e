"""A daemon whose cluster ``users`` is found in a registry, for the tests of discoveries.

Addresses of 192.0.2.0/24 are nobody's.
"""

import shutil
import time

import pytest

from tests.integration.harness.daemon import Daemon, document
from tests.integration.harness.registry import REGISTRIES
from tests.integration.process import wait_for

NOBODY = [f"192.0.2.{number}:8080" for number in range(1, 9)]
FAST = {"retry_base": "100ms", "retry_max": "300ms", "timeout": "1s"}


def registry_of(kind):
    """Return a running registry, or skip where its program is missing."""
    if kind == "etcd" and not shutil.which("etcd"):
        pytest.skip("etcd is not installed (Debian: etcd-server)")
    return REGISTRIES[kind]()


def scripted(registry):
    """Skip where it is a real one."""
    if registry.is_real:
        registry.close()
        pytest.skip("this is not done to a real registry")


class Users:
    """A daemon whose cluster ``users`` is found in a registry."""

    def __init__(self, registry, environment=(), **options):
        self.registry = registry
        self.configuration = self.configure(**options)
        self.daemon = Daemon(self.configuration, environment=environment)

    def configure(self, **options):
        """Return the configuration with these options of the discovery."""
        return document(
            [{"match": {"prefix": "/"}, "cluster": "users"}],
            [{"name": "registry", "endpoints": [{"address": self.registry.address}]},
             {"name": "users", "discovery": self.registry.discovery("registry", **{**FAST, **options})}])

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.daemon.__exit__(*error)

    def endpoints(self):
        """Return the endpoints as the admin API has them, by address."""
        return {one["address"]: one for one in self.daemon.json("/clusters?name=users")["clusters"][0]["endpoints"]}

    def has(self, addresses, limit_s=10.0):
        """Wait until the endpoints are these."""
        wanted = sorted(addresses)
        wait_for(lambda: sorted(self.endpoints()) == wanted, f"{wanted}", limit_s)

    def keeps(self, addresses, seconds):
        """Look for so long that the endpoints are these all the time."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            assert sorted(self.endpoints()) == sorted(addresses)
            time.sleep(0.05)

    def stale(self):
        """Return the gauge."""
        return self.daemon.metric("meshd_discovery_stale", cluster_name="users")

    def becomes(self, stale):
        """Wait until the gauge is so."""
        wait_for(lambda: self.stale() == stale, f"stale {stale}")
