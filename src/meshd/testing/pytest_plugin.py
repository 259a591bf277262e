"""The entry point ``meshd`` of pytest: offers the fixtures of ``meshd.testing.fixture``.

pytest loads this wherever meshd is installed, in the tests of projects that have nothing to do with it. So it imports
next to nothing, and it leaves a name to whichever plugin has it already (``client`` is pytest-django's).
"""

import sys
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType
from typing import Any

PACKAGES = ("meshd.", "meshd_plugins.")


class AsItIs:
    """A meta path finder in front of pytest's, which would rewrite the assertions of all of meshd.

    It takes every module of a distribution that has a pytest plugin for a test's helper. meshd has no such assertion,
    and the rewriting took about a second of CPU where nothing is cached.
    """

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> ModuleSpec | None:
        """Find meshd's modules as Python does without pytest."""
        return PathFinder.find_spec(name, path, target) if name.startswith(PACKAGES) else None


def pytest_configure(config: Any) -> None:
    """Register the fixtures (pytest's hook)."""
    _leave_alone(config)
    from meshd.testing.fixture import FIXTURES

    others = [plugin for plugin in config.pluginmanager.get_plugins() if not _is_conftest(plugin)]
    free = ModuleType("meshd.testing.fixtures")
    for name, fixture in FIXTURES.items():
        if not any(type(getattr(plugin, name, None)) is type(fixture) for plugin in others):
            setattr(free, name, fixture)
    config.pluginmanager.register(free, "meshd-fixtures")


def _leave_alone(config: Any) -> None:
    names = [type(finder).__name__ for finder in sys.meta_path]
    if "AssertionRewritingHook" in names:
        finder = AsItIs()
        sys.meta_path.insert(names.index("AssertionRewritingHook"), finder)
        config.add_cleanup(lambda: sys.meta_path.remove(finder))


def _is_conftest(plugin: Any) -> bool:
    """Say whether it is a project's own, whose fixtures go before ours anyway."""
    return str(getattr(plugin, "__file__", "")).endswith("conftest.py")
