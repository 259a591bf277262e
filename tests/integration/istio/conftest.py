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
def edge(mesh, tmp_path_factory):
    """Return an ingress gateway before them; its modules are compiled once, as those of an installation are."""
    compiled = {"PYTHONDONTWRITEBYTECODE": "", "PYTHONPYCACHEPREFIX": str(tmp_path_factory.mktemp("compiled"))}
    tasks = {path.stem: path.read_text() for path in TASKS.glob("*.yaml")}
    with Proxy([GATEWAY], mesh.entries(), named=tasks, environment=compiled) as proxy:
        yield proxy
