"""What one test has made, and its end in the right order; behind the pytest fixtures and for TestCases.

    class HelloTest(MeshMixin, TestCase):           # unittest's or trial's
        def test_greets(self):
            proxy = self.mesh(text, plugins=[hello_plugin])
            self.assertEqual(proxy.get("/hello").body, b"hello")
"""

from typing import Any

from meshd.testing.client import Client
from meshd.testing.log import Raised
from meshd.testing.mesh import Mesh
from meshd.testing.metric import assert_metrics
from meshd.testing.site import FakeSite, FakeTime
from meshd.testing.upstream import Upstream


class Kit:
    """Makes things for one test; ``end`` ends clients, proxies and upstreams, in this order."""

    def __init__(self) -> None:
        self.clock = FakeTime()
        self._clients: list[Client] = []
        self._meshes: list[Mesh] = []
        self._upstreams: list[Upstream] = []

    def mesh(self, source: Any, **options: Any) -> Mesh:
        """Return a Mesh: a proxy that serves ``source``."""
        self._meshes.append(Mesh(source, **options))
        return self._meshes[-1]

    def upstream(self, script: Any = None, **options: Any) -> Upstream:
        """Return an Upstream: a server that answers by ``script``."""
        self._upstreams.append(Upstream(script, **options))
        return self._upstreams[-1]

    def client(self, target: Any, **options: Any) -> Client:
        """Return a Client of ``target``: a Mesh, an Upstream, a port or an address."""
        self._clients.append(Client(target, **options))
        return self._clients[-1]

    def site(self, name: str = "test", **options: Any) -> FakeSite:
        """Return a FakeSite that goes by ``clock``."""
        return FakeSite(name, time=self.clock, **options)

    @property
    def logs(self) -> str:
        """What the proxies have logged."""
        return "".join(map(str, (mesh.log for mesh in self._meshes)))

    def end(self, is_checked: bool = True) -> None:
        """End everything; raises the first fault that is found, with the others as its notes."""
        for client in self._clients:
            client.close()
        faults = [fault for one in reversed(self._meshes) if (fault := _fault(one.close, is_checked))]
        faults += [fault for one in self._upstreams if (fault := _fault(one.close)) and is_checked]
        if faults:
            for other in faults[1:]:
                faults[0].add_note(f"and then: {type(other).__name__}: {other}")
            raise faults[0]


def _fault(close: Any, *args: Any) -> Exception | None:
    try:
        close(*args)
    except Exception as error:
        return error
    return None


class MeshMixin:
    """For a TestCase of unittest or trial: what its methods make is ended after the test, and checked.

    Under trial too the proxy runs in a thread of its own, so tests may block; one that returns a Deferred asks the
    proxy by ``deferToThread``.
    """

    _kit: Kit | None = None
    assert_metrics = assert_metrics

    @property
    def kit(self) -> Kit:
        """The Kit of the running test."""
        if self._kit is None:
            self._kit = Kit()
            self.addCleanup(self._end_kit)
        return self._kit

    @property
    def clock(self) -> FakeTime:
        """The test's clock."""
        return self.kit.clock

    def mesh(self, source: Any, **options: Any) -> Mesh:
        """Return a Mesh that ends with the test."""
        return self.kit.mesh(source, **options)

    def upstream(self, script: Any = None, **options: Any) -> Upstream:
        """Return an Upstream that ends with the test."""
        return self.kit.upstream(script, **options)

    def client(self, target: Any, **options: Any) -> Client:
        """Return a Client that is closed with the test."""
        return self.kit.client(target, **options)

    def flush_faults(self, proxy: Mesh, *types: type) -> list[Raised]:
        """Return and forget what ``proxy`` logged of these classes, and tell trial, which looks for itself."""
        flush = getattr(self, "flushLoggedErrors", None)
        if flush is not None:
            flush(*types)
        return proxy.flush_faults(*types)

    def _end_kit(self) -> None:
        kit, self._kit = self._kit, None
        kit.end()
