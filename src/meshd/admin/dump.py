"""A configuration as plain JSON values in the words of the native file, secrets masked; for /config_dump."""

from typing import Any

import attrs

from meshd.document import option
from meshd.model.plugin import FAIL_CLOSED, Plugin

REDACTED = "[redacted]"


def plain_config(value: Any) -> dict:
    """Return an object of a ``@config`` class as a dict of its YAML keys."""
    fields = {}
    for field in attrs.fields(type(value)):
        spec = field.metadata.get("spec")
        fields[option.key_of(field.name)] = _plain(spec, getattr(value, field.name))
    return fields


def plain_plugin(plugin: Plugin) -> dict:
    """Return a plugin instance as the file writes it: ``{TYPE: CONFIG, name: ..., on_error: ...}``."""
    config = plugin.config
    fields = {plugin.type: plain_config(config) if attrs.has(type(config)) else {}}
    if plugin.name != plugin.type:
        fields["name"] = plugin.name
    if plugin.on_error != FAIL_CLOSED:
        fields["on_error"] = plugin.on_error
    if plugin.disabled:
        fields["disabled"] = True
    return fields


def duration_text(seconds: float) -> str:
    """Return seconds as the file writes them: ``250ms``, ``5s``."""
    if seconds == int(seconds):
        return f"{int(seconds)}s"
    return f"{seconds * 1000:g}ms"


def _plain(spec: Any, value: Any) -> Any:
    if value is None:
        return None
    if isinstance(value, Plugin):
        return plain_plugin(value)
    if attrs.has(type(value)):
        return plain_config(value)
    if isinstance(spec, option.Text) and spec.secret:
        return REDACTED
    if isinstance(spec, option.Duration):
        return duration_text(value)
    if isinstance(spec, option.MapOf):
        return {_key(key): _plain(spec.value, item) for key, item in value}
    if isinstance(spec, option.ListOf):
        return [_plain(spec.item, item) for item in value]
    return _other(value)


def _other(value: Any) -> Any:
    """Return what a plugin's own type or ``Anything`` holds as far as JSON can have it."""
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    if isinstance(value, list | tuple | set | frozenset):
        return [_other(item) for item in value]
    if isinstance(value, dict):
        return {_key(key): _other(item) for key, item in value.items()}
    return value if isinstance(value, str | int | float | bool) else str(value)


def _key(key: Any) -> str:
    return key.decode("utf-8", "replace") if isinstance(key, bytes) else str(key)
