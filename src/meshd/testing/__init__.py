"""For tests of plugins, shipped or not: real proxies, upstreams, clients, fakes of site and exchange, contract suites.

    from meshd.testing import Client, FakeSite, Mesh, MeshMixin, Upstream, assert_metrics

Names are imported when they are asked for, so that this package costs nothing where pytest loads it for somebody else.
With pytest they are fixtures as well (``meshd.testing.fixture``); nothing here needs pytest.
"""

from importlib import import_module
from typing import Any

_HOMES = {
    "client": ("Answer", "Client"),
    "exchange": ("FakeExchange", "request_head"),
    "field": ("BadMessage", "Cut", "Fields"),
    "kit": ("Kit", "MeshMixin"),
    "mesh": ("Mesh",),
    "metric": ("assert_metrics",),
    "server": ("Peer", "Server"),
    "site": ("FakeSite", "FakeTime"),
    "upstream": ("CLOSE", "NEVER", "RESET", "Raw", "Response", "Upstream"),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}

__all__ = sorted(_HOME_OF)


def __getattr__(name: str) -> Any:
    """Import what is asked for (PEP 562)."""
    if name not in _HOME_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME_OF[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
