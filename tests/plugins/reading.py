"""Configuration of one plugin from YAML text, for plugin tests."""

from meshd.document.context import Context
from meshd.document.decode import decode
from meshd.document.tree import parse
from meshd.model.plugin import Plugin


def read(cls, text):
    """Return (object or None, fault messages) of ``text``."""
    context = Context(make_plugin=Plugin)
    node = parse("test.yaml", text.encode(), context.faults)
    found = decode(cls, node, context)
    return found, [f"{fault.path}: {fault.message}" for fault in context.faults.sorted()]
