"""From configured plugins to their objects: type looked up, built in slices, contract checked, remembered for start and stop."""

from collections.abc import Generator
from types import GeneratorType
from typing import Any

import attrs

from meshd.api import ConfigurationError, Plugin, PluginError
from meshd.registry import Registry
from meshd.registry.entry import one_line
from meshd.runtime.contract import check_object
from meshd.runtime.site import Ground


@attrs.frozen(eq=False)
class Built:
    """One object of a runtime and the plugin that it was built from."""

    plugin: Plugin
    made: Any


class Assembly:
    """Builds plugins against one registry; ``ground`` must be set before the first build."""

    def __init__(self, registry: Registry) -> None:
        self.registry = registry
        self.ground: Ground
        self.built: list[Built] = []

    def build(self, plugin: Plugin) -> Generator[None, None, Any]:
        """Return the object of ``plugin``; raises ConfigurationError naming it and its distribution."""
        found = self.registry.type(plugin.kind, plugin.type)
        if found is None:
            known = ", ".join(self.registry.names(plugin.kind)) or "no such plugin is loaded"
            raise ConfigurationError(f"{describe(plugin)}: unknown type: expected one of: {known}")
        try:
            made = found.build(plugin.config, self.ground.site(plugin.name))
            if isinstance(made, GeneratorType):
                made = yield from made
            check_object(plugin.kind, made)
        except ConfigurationError:
            raise
        except PluginError as error:
            raise self._broken(plugin, str(error)) from error
        except Exception as error:
            raise self._broken(plugin, one_line(error)) from error
        self.built.append(Built(plugin, made))
        return made

    def _broken(self, plugin: Plugin, reason: str) -> ConfigurationError:
        entry = self.registry.entry(plugin.kind, plugin.type)
        return ConfigurationError(f"{describe(plugin)}: {entry.distribution} {entry.version}: {reason}")


def describe(plugin: Plugin) -> str:
    """Name a configured plugin for people: ``etc/meshd.yaml:4:5: http_filter hello (greeter)``."""
    name = plugin.type if plugin.name == plugin.type else f"{plugin.name} ({plugin.type})"
    where = f"{plugin.where}: " if plugin.where else ""
    return f"{where}{plugin.kind} {name}"
