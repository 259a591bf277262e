"""Decoded values back to what a file would say; for ``--print-config``, reference and schema."""

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
