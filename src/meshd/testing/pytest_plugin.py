"""The entry point ``meshd`` of pytest: offers the fixtures of ``meshd.testing.fixture``.

pytest loads this wherever meshd is installed, in the tests of projects that have nothing to do with it. So it imports
next to nothing, and it leaves a name to whichever plugin has it already (``client`` is pytest-django's).
"""

from types import ModuleType
from typing import Any


def pytest_configure(config: Any) -> None:
    """Register the fixtures (pytest's hook)."""
    from meshd.testing.fixture import FIXTURES

    others = [plugin for plugin in config.pluginmanager.get_plugins() if not _is_conftest(plugin)]
    free = ModuleType("meshd.testing.fixtures")
    for name, fixture in FIXTURES.items():
        if not any(type(getattr(plugin, name, None)) is type(fixture) for plugin in others):
            setattr(free, name, fixture)
    config.pluginmanager.register(free, "meshd-fixtures")


def _is_conftest(plugin: Any) -> bool:
    """Say whether it is a project's own, whose fixtures go before ours anyway."""
    return str(getattr(plugin, "__file__", "")).endswith("conftest.py")
