"""Decoded values back to what a file would say; for ``--print-config``, ``convert``, reference and schema."""

from typing import Any

from meshd.document import option
from meshd.document.beside import BESIDE
from meshd.document.plan import plan_of
from meshd.document.quantity import format_duration, format_size

MASK = "*"
"""Stands at least eight times for a secret, and as often as the secret's shortest length."""


def encode(spec: option.Spec, value: Any, *, is_masked: bool = True) -> Any:
    """Return plain Python (str, int, float, bool, None, list, dict) that decodes to ``value`` under ``spec``.

    Secrets are masked unless ``is_masked`` is False.
    """
    if value is None:
        return None
    function = _FUNCTIONS.get(type(spec))
    return function(spec, value, is_masked) if function else value


def encode_class(value: Any, is_masked: bool = True) -> dict[str, Any]:
    """Return a configuration object as a dict of its keys."""
    return {
        key: encode(field.spec, getattr(value, field.name), is_masked=is_masked)
        for key, field in plan_of(type(value)).fields.items()
    }


def encode_plugin(value: Any, is_masked: bool = True) -> dict[str, Any]:
    """Return a plugin instance as ``{TYPE: CONFIG, ...}``."""
    found: dict[str, Any] = {value.type: {} if value.config is None else encode_class(value.config, is_masked)}
    for key, form in BESIDE.items():
        default = value.type if key == "name" else form.default
        if getattr(value, key) != default:
            found[key] = encode(form.spec, getattr(value, key), is_masked=is_masked)
    return found


def encode_short(value: Any) -> dict[str, Any]:
    """Return a configuration object as a dict of the keys that are not at their defaults, all the way down."""
    return {
        key: _short(field.spec, found) for key, field in plan_of(type(value)).fields.items()
        if (found := getattr(value, field.name)) != field.default
    }


def _short(spec: option.Spec, value: Any) -> Any:
    if value is None:
        return None
    if isinstance(spec, option.Nested):
        return encode_short(value)
    if isinstance(spec, option.ListOf):
        return [_short(spec.item, one) for one in value]
    if isinstance(spec, option.MapOf):
        return {str(key): _short(spec.value, one) for key, one in value}
    return _short_plugin(value) if isinstance(spec, option.PluginOf) else encode(spec, value)


def _short_plugin(value: Any) -> Any:
    found = {value.type: encode_short(value.config) if value.config is not None else {}}
    for key, form in BESIDE.items():
        if getattr(value, key) != (value.type if key == "name" else form.default):
            found[key] = _short(form.spec, getattr(value, key))
    return value.type if len(found) == 1 and not found[value.type] else found


_FUNCTIONS = {
    option.Text: lambda spec, value, is_masked: MASK * max(8, spec.minimum) if spec.secret and is_masked else value,
    option.Duration: lambda spec, value, is_masked: format_duration(value),
    option.Size: lambda spec, value, is_masked: format_size(value),
    option.ListOf: lambda spec, value, is_masked: [encode(spec.item, one, is_masked=is_masked) for one in value],
    option.MapOf: lambda spec, value, is_masked: {
        str(key): encode(spec.value, one, is_masked=is_masked) for key, one in value
    },
    option.Nested: lambda spec, value, is_masked: encode_class(value, is_masked),
    option.PluginOf: lambda spec, value, is_masked: encode_plugin(value, is_masked),
}
