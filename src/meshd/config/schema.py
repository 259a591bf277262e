"""``--schema``: JSON Schema (draft 2020-12) of the native file with every registered plugin's section, for editors."""

import json
from typing import Any

from meshd.document import option
from meshd.document.beside import BESIDE
from meshd.document.encode import encode
from meshd.document.plan import NO_DEFAULT, Field, options, plan_of
from meshd.model.snapshot import Snapshot

DIALECT = "https://json-schema.org/draft/2020-12/schema"

_DURATION = r"^(0|([0-9]+(\.[0-9]+)?(ms|us|s|m|h|d))+)$"
_SIZE = r"^([0-9]+)(B|KiB|MiB|GiB|TiB|kB|KB|MB|GB|TB)?$"
_ADDRESS = r"^(unix:.+|\[[0-9A-Za-z:.%]+\]:[0-9]{1,5}|[^:\[\]]+:[0-9]{1,5})$"
_TOKEN = r"^[!#$%&'*+.^_`|~0-9A-Za-z-]+$"


def make_schema(registry: Any) -> dict[str, Any]:
    """Return the schema as plain data. ``registry`` has ``type(kind, name)`` and ``names(kind)``."""
    maker = _Maker(registry)
    top = maker.section(Snapshot)
    return {"$schema": DIALECT, "title": "meshd.yaml", **top, "$defs": dict(sorted(maker.definitions.items()))}


def render_schema(registry: Any) -> str:
    """Return the schema as JSON text; ends with a line feed."""
    return json.dumps(make_schema(registry), indent=2, ensure_ascii=False) + "\n"


def make_type_schema(registry: Any, one: Any) -> dict[str, Any]:
    """Return the schema of the configuration section of one plugin type (``meshctl plugins schema``)."""
    maker = _Maker(registry)
    section = maker.plugin_config(one) if one.config is None else maker.section(one.config)
    found = {"$schema": DIALECT, "title": f"{one.kind}/{one.name}", **section}
    return {**found, "$defs": dict(sorted(maker.definitions.items()))} if maker.definitions else found


class _Maker:
    """Makes schemas of specs; each class and plugin kind once, in ``definitions``."""

    def __init__(self, registry: Any) -> None:
        self.registry = registry
        self.definitions: dict[str, Any] = {}
        self.names: dict[type, str] = {}

    def section(self, cls: type) -> dict[str, Any]:
        """Return the schema of a configuration class."""
        fields = plan_of(cls).fields
        found: dict[str, Any] = {
            "type": "object", "description": _sentence(cls), "additionalProperties": False,
            "properties": {field.key: self.property(field) for field in options(cls)},
        }
        required = [key for key, field in fields.items() if field.default is NO_DEFAULT]
        if required:
            found["required"] = required
        return found

    def property(self, field: Field) -> dict[str, Any]:
        """Return the schema of one key with its doc and default."""
        found = self.value(field.spec)
        if field.is_nullable:
            found = {"anyOf": [found, {"type": "null"}]}
        found = {**found, "description": field.doc}
        if field.default is not NO_DEFAULT:
            found["default"] = encode(field.spec, field.default)
        return found

    def value(self, spec: option.Spec) -> dict[str, Any]:
        """Return the schema of a value."""
        if isinstance(spec, option.Nested):
            return self.nested(spec)
        if isinstance(spec, option.PluginOf):
            return self.plugin(spec.kind)
        if isinstance(spec, option.ListOf):
            return {"type": "array", "items": self.value(spec.item), "minItems": spec.minimum, "maxItems": spec.maximum}
        if isinstance(spec, option.MapOf):
            return {"type": "object", "additionalProperties": self.value(spec.value), "maxProperties": spec.maximum}
        return _SIMPLE[type(spec)](spec)

    def nested(self, spec: option.Nested) -> dict[str, Any]:
        """Return the schema of a section, or of the plain word that may stand for it."""
        found = self.reference(spec.cls)
        if spec.word is None:
            return found
        return {"anyOf": [self.value(plan_of(spec.cls).fields[option.key_of(spec.word)].spec), found]}

    def reference(self, cls: type) -> dict[str, Any]:
        """Return a reference to the definition of a class, which is made at the first use."""
        if cls not in self.names:
            taken = {name for name in self.names.values()}
            name = cls.__name__ if cls.__name__ not in taken else f"{cls.__module__}.{cls.__name__}"
            self.names[cls] = name
            self.definitions[name] = {}
            self.definitions[name] = self.section(cls)
        return {"$ref": f"#/$defs/{self.names[cls]}"}

    def plugin(self, kind: str) -> dict[str, Any]:
        """Return a reference to the definition of a plugin kind."""
        name = f"plugin:{kind}"
        if name not in self.definitions:
            self.definitions[name] = {}
            self.definitions[name] = self.plugin_kind(kind)
        return {"$ref": f"#/$defs/{name}"}

    def plugin_kind(self, kind: str) -> dict[str, Any]:
        """Return the schema of a plugin instance: a type's name, or one type with its configuration."""
        names = list(self.registry.names(kind))
        types = [self.registry.type(kind, name) for name in names]
        configs = {one.name: self.plugin_config(one) for one in types}
        rest = {key: {**self.value(form.spec), "description": form.doc} for key, form in BESIDE.items()}
        return {"anyOf": [
            {"enum": names},
            {"type": "object", "properties": {**configs, **rest}, "additionalProperties": False,
             "oneOf": [{"required": [name]} for name in names] or [False]},
        ]}

    def plugin_config(self, one: Any) -> dict[str, Any]:
        """Return the schema of a plugin type's configuration."""
        if one.config is None:
            return {"type": ["object", "null"], "maxProperties": 0, "description": one.doc}
        found = self.reference(one.config)
        is_empty_good = not plan_of(one.config).required
        return {**({"anyOf": [found, {"type": "null"}]} if is_empty_good else found), "description": one.doc}


def _sentence(cls: type) -> str:
    return (cls.__doc__ or "").strip().partition("\n")[0]


def _text(spec: option.Text) -> dict[str, Any]:
    pattern = {"pattern": f"^(?:{spec.pattern})$"} if spec.pattern else {}
    return {"type": "string", "minLength": spec.minimum, "maxLength": spec.maximum, **pattern}


def _integer(spec: option.Integer) -> dict[str, Any]:
    found = {"type": "integer", "minimum": spec.minimum, "maximum": spec.maximum}
    return {"anyOf": [found, {"enum": list(spec.words)}]} if spec.words else found


_SIMPLE = {
    option.Text: _text,
    option.Integer: _integer,
    option.Number: lambda spec: {"type": "number", "minimum": spec.minimum, "maximum": spec.maximum},
    option.Boolean: lambda spec: {"type": "boolean"},
    option.Duration: lambda spec: {"anyOf": [{"type": "string", "pattern": _DURATION}, {"const": 0}]},
    option.Size: lambda spec: {"anyOf": [
        {"type": "string", "pattern": _SIZE}, {"type": "integer", "minimum": spec.minimum, "maximum": spec.maximum},
    ]},
    option.Choice: lambda spec: {"enum": list(spec.words)},
    option.Regex: lambda spec: {"type": "string", "maxLength": 4096},
    option.Address: lambda spec: {"type": "string", "pattern": _ADDRESS},
    option.File: lambda spec: {"type": "string", "minLength": 1},
    option.Reference: lambda spec: {"type": "string"},
    option.HeaderName: lambda spec: {"type": "string", "pattern": _TOKEN},
    option.HeaderValue: lambda spec: {"type": "string"},
    option.Anything: lambda spec: {},
}
