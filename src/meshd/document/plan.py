"""What the decoder needs to know of a configuration class, worked out once: keys, functions, what is required."""

import re
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import attrs

from meshd.document.option import CAMEL, Spec, key_of

NO_DEFAULT = attrs.NOTHING
_WORDS = re.compile("(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")


@attrs.frozen
class Field:
    """One key: the attribute's name, its spec, default (a factory's has been called) and doc."""

    name: str
    key: str
    spec: Spec
    default: Any
    doc: str
    is_nullable: bool
    unsupported: str = ""
    function: Callable | None = None


@attrs.frozen
class Plan:
    """All keys of a class. ``required`` are the keys without a default."""

    cls: type
    fields: dict[str, Field]
    required: tuple[str, ...]
    keys: dict[str, str]
    """attribute -> key"""
    check: Callable | None
    has_node: bool = False
    """Made with ``camel_config``."""
    has_place: bool = False
    """it has an attribute ``where`` that is no option: ``file:line:column`` of the object"""


def options(cls: type) -> list[Field]:
    """Return the options of a configuration class, in order; attributes that are no options are left out."""
    return [_field(attribute) for attribute in attrs.fields(cls) if "spec" in attribute.metadata]


def _field(attribute) -> Field:
    default = attribute.default
    if isinstance(default, attrs.Factory):
        default = default.factory()
    spec = attribute.metadata["spec"]
    doc = attribute.metadata.get("doc", "")
    key = attribute.metadata.get(CAMEL) or key_of(attribute.name)
    return Field(attribute.name, key, spec, default, doc, default is None, attribute.metadata.get("unsupported", ""))


@lru_cache(maxsize=4096)
def plan_of(cls: type) -> Plan:
    """Return the plan of a configuration class."""
    from meshd.document.decode import FUNCTIONS

    fields = {field.key: attrs.evolve(field, function=_function(FUNCTIONS, field.spec)) for field in options(cls)}
    required = tuple(key for key, field in fields.items() if field.default is NO_DEFAULT)
    keys = {field.name: key for key, field in fields.items()}
    has_node = any(one.name == "node" and "spec" not in one.metadata for one in attrs.fields(cls))
    return Plan(cls, fields, required, keys, getattr(cls, "check", None), has_node, _has_place(cls))


def _has_place(cls: type) -> bool:
    return any(one.name == "where" and "spec" not in one.metadata for one in attrs.fields(cls))


def _function(functions: dict, spec: Spec) -> Callable:
    for cls in type(spec).__mro__:
        if cls in functions:
            return functions[cls]
    raise TypeError(f"{type(spec).__name__}: not a kind of option that can be decoded")


def name_of(cls: type) -> str:
    """Return a class's name in words for messages: ``ListenerLimits`` is ``listener limits``."""
    return _WORDS.sub(" ", cls.__name__).lower()
