"""From configured plugins to their objects: looked up, built in slices, checked, kept for start and stop."""

from collections.abc import Generator
from types import GeneratorType
from typing import Any

import attrs

from meshd.api import ConfigurationError, Plugin, PluginError
from meshd.registry import Registry
from meshd.registry.entry import one_line
from meshd.runtime.contract import check_object
from meshd.runtime.site import Ground, no_cluster


@attrs.frozen(eq=False)
class Built:
    """One object of a runtime, the plugin that it was built from, and whose it is (``listener public``)."""

    plugin: Plugin
    made: Any
    owner: str = ""


class Assembly:
    """Builds plugins against one registry; ``ground`` must be set before the first build."""

    def __init__(self, registry: Registry) -> None:
        self.registry = registry
        self.ground: Ground
        self.built: list[Built] = []

    def build(self, plugin: Plugin, owner: str = "", name: str = "") -> Generator[None, None, Any]:
        """Return the object of ``plugin``; raises ConfigurationError naming it and its distribution.

        ``owner`` and ``name`` are what its site says; ``name`` is the plugin's own where empty.
        """
        found = self.registry.type(plugin.kind, plugin.type)
        if found is None:
            known = ", ".join(self.registry.names(plugin.kind)) or "no such plugin is loaded"
            raise ConfigurationError(f"{describe(plugin)}: unknown type: expected one of: {known}")
        try:
            site = self.ground.site(name or plugin.name, owner)
            if plugin.kind == "health_checker":
                site.tls = self.ground.tls.get(owner)
            if plugin.is_isolated:
                site.cluster = no_cluster
            made = found.build(plugin.config, site)
            if isinstance(made, GeneratorType):
                made = yield from made
            check_object(plugin.kind, made, found.terminal)
        except ConfigurationError:
            raise
        except PluginError as error:
            raise self._broken(plugin, str(error)) from error
        except Exception as error:
            raise self._broken(plugin, one_line(error)) from error
        self.built.append(Built(plugin, made, owner))
        return made

    def _broken(self, plugin: Plugin, reason: str) -> ConfigurationError:
        entry = self.registry.entry(plugin.kind, plugin.type)
        return ConfigurationError(f"{describe(plugin)}: {entry.distribution} {entry.version}: {reason}")


def describe(plugin: Plugin) -> str:
    """Name a configured plugin for people: ``http_filter greeter (hello)``."""
    name = plugin.type if plugin.name == plugin.type else f"{plugin.name} ({plugin.type})"
    return f"{plugin.kind} {name}"
