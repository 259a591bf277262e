"""The kit as pytest fixtures; only pytest imports this, by way of ``pytest_plugin``.

Fixtures import what they give when a test asks for it.
"""

import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest


@pytest.fixture
def mesh_kit(request: pytest.FixtureRequest) -> Iterator[Any]:
    """meshd: everything that the other fixtures make for one test (meshd.testing.Kit)."""
    from meshd.testing.kit import Kit

    failed = request.session.testsfailed
    kit = Kit()
    yield kit
    has_failed = request.session.testsfailed > failed
    if has_failed:
        sys.stderr.write(kit.logs)
    kit.end(is_checked=not has_failed)


@pytest.fixture
def mesh(mesh_kit: Any) -> Callable[..., Any]:
    """meshd: a factory of real proxies, ``proxy = mesh(yaml_text, plugins=[module])`` (meshd.testing.Mesh)."""
    return mesh_kit.mesh


@pytest.fixture
def upstream(mesh_kit: Any) -> Callable[..., Any]:
    """meshd: a factory of scripted servers, ``api = upstream([503, "hi"])`` (meshd.testing.Upstream)."""
    return mesh_kit.upstream


@pytest.fixture
def client(mesh_kit: Any) -> Callable[..., Any]:
    """meshd: a factory of blocking HTTP/1.1 clients, ``client(proxy).get("/")`` (meshd.testing.Client)."""
    return mesh_kit.client


@pytest.fixture
def clock(mesh_kit: Any) -> Any:
    """meshd: time in the test's hand, for ``site`` and ``mesh(..., clock=clock)`` (meshd.testing.FakeTime)."""
    return mesh_kit.clock


@pytest.fixture
def site(mesh_kit: Any) -> Iterator[Any]:
    """meshd: a site for a plugin's ``build``, with ``clock``'s time (meshd.testing.FakeSite)."""
    found = mesh_kit.site()
    yield found
    found.release()


@pytest.fixture
def assert_metrics() -> Any:
    """meshd: ``with assert_metrics(proxy, {"name_total": +1}): ...`` (meshd.testing.assert_metrics)."""
    from meshd.testing.metric import assert_metrics

    return assert_metrics


FIXTURES = {
    "mesh_kit": mesh_kit, "mesh": mesh, "upstream": upstream, "client": client, "clock": clock, "site": site,
    "assert_metrics": assert_metrics,
}
