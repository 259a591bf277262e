"""Shell completion of plugin names. Names of plugins and distributions are metadata; those of types need a load."""

from typing import Any


def plugin_names(ctx: Any, param: Any, incomplete: str) -> list[str]:
    """Return entry points and distributions that begin so."""
    from importlib import metadata

    from meshd.api import GROUP
    points = list(metadata.entry_points(group=GROUP))
    return _begin({point.name for point in points} | {point.dist.name for point in points if point.dist}, incomplete)


def distribution_names(ctx: Any, param: Any, incomplete: str) -> list[str]:
    """Return strangers' plugin distributions that begin so."""
    from meshd.cli.plugin.installed import Installed
    return _begin(set(Installed().plugins()), incomplete)


def type_names(ctx: Any, param: Any, incomplete: str) -> list[str]:
    """Return the plugin types that begin so, with or without their kind."""
    from meshd.cli.plugin.types import installed_types
    types = installed_types()[1]
    return _begin({name for one in types for name in (one.name, f"{one.kind}/{one.name}")}, incomplete)


def _begin(names: set[str], incomplete: str) -> list[str]:
    return sorted(name for name in names if name and name.startswith(incomplete))
