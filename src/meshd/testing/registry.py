"""The plugin types that a test uses: all that are installed, and those that it brings along."""

from collections.abc import Iterable
from functools import cache
from types import ModuleType
from typing import Any

from meshd.api import PluginError, PluginType, hookimpl
from meshd.model.plugin import PluginSettings
from meshd.registry import Registry
from meshd.registry.source import Source

DISTRIBUTION = "test"


@cache
def installed() -> Registry:
    """Return the registry of everything that is installed, whatever the environment says."""
    return Registry.load(environ={})


def registry_with(plugins: Iterable[Any] = (), settings: PluginSettings = PluginSettings()) -> Registry:
    """Return a registry of ``plugins`` and of what ``settings`` select of the installed.

    ``plugins`` are modules with the hook ``meshd_plugins``, and PluginTypes. Where their modules are installed too,
    they are taken once. Raises PluginError where one cannot be used; ConfigurationError as ``Registry.load``.
    """
    plugins = list(plugins)
    is_usual = (settings.load, settings.dir, settings.strict) == (None, None, False)
    base = installed() if is_usual else Registry.load(settings, {})
    if not plugins:
        return base
    types = [one for one in plugins if isinstance(one, PluginType)]
    sources = [_source(one) for one in plugins if not isinstance(one, PluginType)]
    sources += [_source(_hooked(types))] if types else []
    ours = {source.module for source in sources} | {getattr(one.build, "__module__", "") for one in types}
    registry = base.plus(sources, without=ours)
    for entry in registry.refused:
        if entry.distribution == DISTRIBUTION:
            raise PluginError(f"{entry.label}: not loaded: {entry.reason}")
    return registry


def _source(module: Any) -> Source:
    if not isinstance(module, ModuleType):
        raise PluginError(f"plugins: {module!r}: expected a module with the hook meshd_plugins, or a PluginType")
    name = module.__name__
    return Source(
        name=name.rpartition(".")[2], distribution=DISTRIBUTION, version="", module=name, digest="",
        load=lambda: module,
    )


def _hooked(types: list[PluginType]) -> ModuleType:
    """Return a module that offers ``types``; it has the name of the one that the first is built in, who is to blame."""
    @hookimpl
    def meshd_plugins() -> list[PluginType]:
        return types
    module = ModuleType(getattr(types[0].build, "__module__", "given"))
    module.meshd_plugins = meshd_plugins
    return module
