"""The types that the installed plugins offer, loaded without a daemon, and how they are shown."""

import contextlib
import sys
from typing import Any


def summary(types: list[dict]) -> list[str]:
    """Return ``kind/name`` of each type, and only the number where a plugin offers many of one kind."""
    by_kind: dict[str, list[str]] = {}
    for one in types:
        by_kind.setdefault(one["kind"], []).append(one["name"])
    return [
        f"{kind} ({len(names)})" if len(names) > 3 else f"{kind}/{'+'.join(names)}" for kind, names in by_kind.items()
    ]


def load_registry() -> Any:
    """Load all installed plugins, whatever the environment selects; what they print goes to standard error."""
    from meshd.registry import Registry
    with contextlib.redirect_stdout(sys.stderr):
        return Registry.load(environ={})


def installed_types() -> tuple[Any, list[Any]]:
    """Return the registry and all its types."""
    registry = load_registry()
    return registry, [one for entry in registry.plugins for one in entry.types]
