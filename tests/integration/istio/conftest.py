"""One mesh, and one gateway with the documents of all tasks (``tasks/``): each has a host of its own."""

import contextlib
from pathlib import Path

import pytest

from tests.integration.istio.bookinfo import GATEWAY, Bookinfo, Proxy

TASKS = Path(__file__).parent / "tasks"


@pytest.fixture(scope="session")
def mesh():
    """Return the four services."""
    with contextlib.closing(Bookinfo()) as found:
        yield found


@pytest.fixture(scope="session")
def edge(mesh):
    """Return an ingress gateway before them."""
    tasks = {path.stem: path.read_text() for path in TASKS.glob("*.yaml")}
    with Proxy([GATEWAY], mesh.entries(), named=tasks) as proxy:
        yield proxy
