"""The one hook of a plugin, and the record by which it offers its types.

    from meshd.api import PluginType, hookimpl

    @hookimpl
    def meshd_plugins():
        return [PluginType(kind="http_filter", name="hello", config=Hello, build=HelloFilter, doc="Greets.")]

and in setup.cfg:  [options.entry_points]  meshd.plugins = hello = my_package.my_module
"""

from collections.abc import Callable, Iterable
from typing import Any

import attrs
import pluggy

API_VERSION = (1, 0)
"""Version of this interface (major, minor), apart from meshd's own. A plugin module may state ``MESHD_API =
">=1,<2"``.
"""

GROUP = "meshd.plugins"

hookspec = pluggy.HookspecMarker("meshd")
hookimpl = pluggy.HookimplMarker("meshd")


def no_references(config: Any) -> Iterable["Need"]:
    """Answer that a configuration uses nothing else."""
    return ()


@attrs.frozen
class Need:
    """Something that a plugin's configuration uses: ``path`` names the field (``routes[2].cluster``).

    ``kind`` is cluster, listener, secret, file, filter (an instance of the same listener's chain), or choice: a filter
    of connections before this one that may choose for it; ``name`` is the key that would do without.
    """

    kind: str
    name: str
    path: str = ""


@attrs.frozen(kw_only=True)
class PluginType:
    """A type of plugin that can be configured by ``kind`` and ``name``.

    ``config`` is a ``@config`` class (None: takes no configuration). ``build(config, site)`` returns the object (or is
    a generator that returns it). ``references(config)`` yields what it uses. ``terminal``: a filter that ends its
    chain. ``chooses``: a network or listener filter that may choose the cluster for those behind it.
    """

    kind: str
    name: str
    build: Callable[[Any, Any], Any]
    config: type | None = None
    references: Callable[[Any], Iterable[Need]] = no_references
    doc: str = ""
    terminal: bool = False
    chooses: bool = True


@hookspec
def meshd_plugins():
    """Return an iterable of PluginType. Called once, when the registry is made."""
