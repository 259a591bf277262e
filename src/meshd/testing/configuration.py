"""From what a test writes to a ``Loaded``: free ports, an admin API that is in nobody's way, faults as text.

meshd itself refuses port 0, because nobody would find such a listener. A test asks for the port afterwards, so here a 0
is taken out of the tree before it is decoded, and put back into the model, whose listeners bind it as it is.
"""

import json
import os
import textwrap
from collections.abc import Iterable, Iterator, Mapping
from itertools import count
from typing import Any

import attrs

from meshd.config.load import load_documents, plugin_settings
from meshd.config.render import Outcome, render_text
from meshd.config.source import Documents, read
from meshd.document import node
from meshd.document.fault import Fault, Faults
from meshd.document.tree import parse
from meshd.errors import ConfigurationError
from meshd.model.snapshot import Admin, Loaded, Snapshot
from meshd.testing.registry import registry_with

NAME = "mesh.yaml"
FREE = ":0"


class Configuration:
    """``source`` is YAML text, a mapping, or a path; ``plugins`` are the test's own, as ``registry_with`` wants them.

    ``registry`` is what ``load`` uses. Raises ConfigurationError whose text is what ``meshd --check`` shows.
    """

    def __init__(self, source: Any, plugins: Iterable[Any] = ()) -> None:
        self.source = source
        documents = documents_of(source)
        self.registry = registry_with(plugins, plugin_settings(documents))

    def load(self) -> Loaded:
        """Read the source and return the configuration; raises ConfigurationError with all faults."""
        documents = documents_of(self.source)
        plugin_settings(documents)
        free = dict(_free_addresses(documents.roots))
        loaded = load_documents(documents, self.registry)
        return attrs.evolve(loaded, snapshot=_adapted(loaded.snapshot, documents.roots, free))


def documents_of(source: Any) -> Documents:
    """Return the documents of YAML text, of a mapping, or of a file or folder given as ``os.PathLike``."""
    if isinstance(source, os.PathLike):
        return read([os.fspath(source)])
    text = json.dumps(source, indent=1) if isinstance(source, Mapping) else textwrap.dedent(source)
    faults = Faults()
    root = parse(NAME, text.encode(), faults)
    return Documents(() if root is None else (root,), (NAME,), faults, 1)


def shown(error: ConfigurationError) -> ConfigurationError:
    """Return ``error`` with all its faults in its text, as ``meshd --check`` shows them."""
    faults = tuple(fault for fault in error.faults if isinstance(fault, Fault))
    if not faults:
        return error
    files = len({fault.mark.file for fault in faults})
    text = render_text(Outcome(faults=faults, files=files, duration_s=0.0))
    return ConfigurationError("\n" + text, error.faults)


def _entry(tree: Any, *keys: str) -> Any:
    """Return the node at a path of keys, None where there is none."""
    for key in keys:
        tree = tree.get(key) if isinstance(tree, node.Mapping) else None
    return tree


def _addresses(roots: Iterable[Any]) -> Iterator[node.Scalar]:
    for root in roots:
        listeners = _entry(root, "listeners")
        rows = listeners.items if isinstance(listeners, node.Sequence) else []
        found = [_entry(row, "address") for row in rows] + [_entry(root, "admin", "address")]
        yield from (one for one in found if isinstance(one, node.Scalar))


def _free_addresses(roots: Iterable[Any]) -> Iterator[tuple[str, str]]:
    """Give each address with port 0 a port that no other has; yield (that, what was written)."""
    scalars = list(_addresses(roots))
    taken = {scalar.text.rpartition(":")[2] for scalar in scalars}
    ports = (str(port) for port in count(1) if str(port) not in taken)
    for scalar in scalars:
        if scalar.text.endswith(FREE) and not scalar.text.startswith("unix:"):
            written = scalar.text
            scalar.text = written[:-1] + next(ports)
            yield scalar.text, written


def _adapted(snapshot: Snapshot, roots: Iterable[Any], free: dict[str, str]) -> Snapshot:
    """Put the zeros back; without words about them, the admin API has a free port and no watchdog runs.

    A watchdog would bypass plugins on a slow machine and at a debugger's breakpoint.
    """
    listeners = tuple(attrs.evolve(one, address=free.get(one.address, one.address)) for one in snapshot.listeners)
    where = snapshot.admin.address
    where = "127.0.0.1" + FREE if where == Admin().address else free.get(where, where)
    plugins = snapshot.plugins
    if not any(_entry(root, "plugins", "watchdog") for root in roots):
        plugins = attrs.evolve(plugins, watchdog=attrs.evolve(plugins.watchdog, enabled=False))
    admin = attrs.evolve(snapshot.admin, address=where)
    return attrs.evolve(snapshot, listeners=listeners, admin=admin, plugins=plugins)
