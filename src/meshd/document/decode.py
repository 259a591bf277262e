"""Trees to configuration objects: our own walk over the options of attrs classes, which goes on after each fault.

Every function has the form ``f(spec, node, context, path)`` and returns the value or BAD; all faults are in
``context.faults``. Called by configuration dialects.
"""

from typing import Any

import attrs

from meshd.document import option
from meshd.document.beside import BESIDE
from meshd.document.context import Context, Seen, Used, key_mark
from meshd.document.fault import Related
from meshd.document.node import Mapping, Node, Scalar, Sequence
from meshd.document.plan import NO_DEFAULT, Field, Plan, name_of, plan_of
from meshd.document.scalar import NULL_WORDS
from meshd.document.unknown import add_unknown_key
from meshd.document.value import BAD, FUNCTIONS as VALUES, wrong


def decode(cls: type, node: Node | None, context: Context, path: str = "") -> Any:
    """Return an instance of the configuration class ``cls``, or None after adding faults."""
    if node is None:
        return None
    found = decode_class(cls, node, context, path)
    return None if found is BAD else found


def decode_class(cls: type, node: Node, context: Context, path: str) -> Any:
    """Return an instance of ``cls`` or BAD."""
    if type(node) is not Mapping:
        return wrong(node, context, path, f"a mapping ({name_of(cls)})")
    plan = plan_of(cls)
    values, guesses, is_good = _values(plan, node, context, path)
    if context.watched and cls in context.watched:
        context.seen.append(Seen(cls, node, path, values))
    if len(values) < len(plan.fields):
        for key in plan.required:
            if key not in node.entries:
                is_good = False
                if key not in guesses:
                    _missing(plan, key, node, context, path)
        if context.origins is not None:
            _default_origins(plan, node, context, path)
    return _make(plan, values, node, context, path) if is_good else BAD


def _values(plan: Plan, node: Mapping, context: Context, path: str) -> tuple[dict[str, Any], tuple, bool]:
    """Return (attribute -> value of all good keys, keys that were meant by unknown ones, whether all were good)."""
    values: dict[str, Any] = {}
    guesses: tuple = ()
    fields, origins = plan.fields, context.origins
    prefix = path + "." if path else ""
    context.parents.append((plan.cls, path, prefix, node))
    for key, (key_node, value_node) in node.entries.items():
        field = fields.get(key)
        if field is None:
            guesses += (add_unknown_key(key_node, plan, context, path),)
            continue
        is_null = type(value_node) is Scalar and value_node.text in NULL_WORDS and value_node.plain
        if is_null and _may_be_null(field, plan):
            value = field.default
        else:
            value = field.function(field.spec, value_node, context, prefix + key)
        if value is not BAD:
            values[field.name] = value
            if field.unsupported:
                context.unsupported(key_node, prefix + key, field.unsupported)
        if origins is not None:
            origins[prefix + key] = value_node.where()
    context.parents.pop()
    return values, guesses, len(values) == len(node.entries)


def _may_be_null(field: Field, plan: Plan) -> bool:
    return field.is_nullable or (plan.has_node and field.default is not NO_DEFAULT)


def _missing(plan: Plan, key: str, node: Node, context: Context, path: str) -> None:
    doc = plan.fields[key].doc
    context.fault("MSH0103", node, path, f'missing "{key}", expected {doc}' if doc else f'missing "{key}"')


def _make(plan: Plan, values: dict, node: Mapping, context: Context, path: str) -> Any:
    if plan.has_place:
        values["where"] = node.where()
    try:
        found = plan.cls(**values, node=node) if plan.has_node else plan.cls(**values)
        if plan.check is None:
            return found
        broken = list(found.check())
    except (TypeError, ValueError) as error:
        context.fault("MSH0113", node, path, str(error))
        return BAD
    except Exception as error:  # a plugin's own code
        context.fault("MSH0117", node, path, f"the check of {name_of(plan.cls)} raised {error!r}")
        return BAD
    for place, message in broken:
        at, where = _broken(plan, place, node, path)
        context.fault("MSH0113", at, where, message)
    return BAD if broken else found


def _broken(plan: Plan, place: Any, node: Node, path: str) -> tuple[Node, str]:
    """Return the node and path of what a check complains of: an attribute, or a tuple of it and steps below."""
    name, *below = place if isinstance(place, tuple) else (place,)
    for step in (plan.keys.get(name, name or ""), *below):
        if isinstance(step, int):
            path += f"[{step}]"
            node = node.items[step] if type(node) is Sequence and step < len(node.items) else node
        else:
            path += f".{step}"
            node = (node.get(step) if type(node) is Mapping else None) or node
    return node, path.strip(".")


def _default_origins(plan: Plan, node: Mapping, context: Context, path: str) -> None:
    for key, field in plan.fields.items():
        if key not in node.entries:
            _default_origin(field, context, f"{path}.{key}" if path else key)


def _default_origin(field: Field, context: Context, path: str) -> None:
    context.origins[path] = f"default of {context.dialect}"
    if isinstance(field.spec, option.Nested) and field.default is not None:
        for key, inner in plan_of(field.spec.cls).fields.items():
            _default_origin(inner, context, f"{path}.{key}")


def nested(spec: option.Nested, node: Node, context: Context, path: str) -> Any:
    """Decode ``Nested``."""
    if spec.word is not None and type(node) is Scalar:
        node = _spelt_out(option.key_of(spec.word), node)
    return decode_class(spec.cls, node, context, path)


def _spelt_out(key: str, word: Scalar) -> Mapping:
    """Return the section that a plain word stands for."""
    found = Mapping(word.source, word.line, word.column, {key: (word, word)})
    found.end_line, found.end_column = word.end_line, word.end_column
    return found


def list_of(spec: option.ListOf, node: Node, context: Context, path: str) -> Any:
    """Decode ``ListOf`` to a tuple."""
    if type(node) is not Sequence:
        is_word = type(node) is Scalar and node.text
        return wrong(node, context, path, "a list", f"write [{node.text}]" if is_word else "")
    items = node.items
    if not spec.minimum <= len(items) <= spec.maximum:
        expected = f"at most {spec.maximum}" if len(items) > spec.maximum else f"at least {spec.minimum}"
        context.fault("MSH0112", node, path, f"list of {len(items)} items, expected {expected}")
        return BAD
    if context.origins is not None:
        context.origins.update((f"{path}[{place}]", item.where()) for place, item in enumerate(items))
    item_spec = spec.item
    function = function_of(item_spec) if context.memory is None else _remembered
    found = [function(item_spec, item, context, f"{path}[{place}]") for place, item in enumerate(items)]
    if spec.unique is not None and not _are_unique(spec, found, node, context, path):
        return BAD
    return BAD if BAD in found else tuple(found)


def _remembered(spec: option.Spec, node: Node, context: Context, path: str) -> Any:
    """Decode an item of a list; what a dialect has taken over from the last reading was decoded then."""
    function = function_of(spec)
    if not context.memory.has_node(node):
        return function(spec, node, context, path)
    return context.once("decoded", (spec, node), lambda: function(spec, node, context, path), path=path)


def _are_unique(spec: option.ListOf, found: list, node: Sequence, context: Context, path: str) -> bool:
    first: dict[Any, Node] = {}
    is_good = True
    name = spec.unique
    key = plan_of(spec.item.cls).keys[name] if isinstance(spec.item, option.Nested) else option.key_of(name)
    for place, (item, item_node) in enumerate(zip(found, node.items)):
        value = getattr(item, name) if item is not BAD else _written(item_node, key)
        if value is None or first.setdefault(value, item_node) is item_node:
            continue
        related = (Related(key_mark(first[value], key), "the first"),)
        context.fault("MSH0111", key_mark(item_node, key), f"{path}[{place}]",
                      f"expected another {key}, {value!r} is taken", related=related)
        is_good = False
    return is_good


def _written(node: Node, key: str) -> str | None:
    value = node.get(key) if type(node) is Mapping else None
    return value.text if type(value) is Scalar else None


def map_of(spec: option.MapOf, node: Node, context: Context, path: str) -> Any:
    """Decode ``MapOf`` to a tuple of pairs. Keys are read as they are written."""
    if type(node) is not Mapping:
        return wrong(node, context, path, "a mapping")
    if len(node.entries) > spec.maximum:
        context.fault("MSH0112", node, path, f"mapping of {len(node.entries)} keys, expected at most {spec.maximum}")
        return BAD
    key_function, function = function_of(spec.key), function_of(spec.value)
    found = []
    for key, (key_node, value_node) in node.entries.items():
        place = f"{path}.{key}"
        name = key_function(spec.key, _as_written(key_node), context, place)
        value = function(spec.value, value_node, context, place)
        if context.origins is not None:
            context.origins[place] = value_node.where()
        if name is not BAD and value is not BAD:
            found.append((name, value))
    return tuple(found) if len(found) == len(node.entries) else BAD


def _as_written(key: Scalar) -> Scalar:
    return Scalar(key.source, key.line, key.column, key.end_line, key.end_column, key.text, False)


def plugin_of(spec: option.PluginOf, node: Node, context: Context, path: str) -> Any:
    """Decode ``PluginOf``: ``TYPE`` or ``{TYPE: CONFIG, ...}`` with keys of ``BESIDE``."""
    what = spec.kind.replace("_", " ")
    if type(node) is Scalar and node.text and not (node.plain and node.text in NULL_WORDS):
        return _plugin(spec.kind, node.text, node, None, {}, context, path)
    if type(node) is not Mapping:
        return wrong(node, context, path, f"a {what} as TYPE or {{TYPE: CONFIG}}")
    names = [key for key in node.entries if key not in BESIDE]
    if not names:
        known = ", ".join(sorted(context.plugin_names(spec.kind))) or "none is installed"
        context.fault("MSH0115", node, path, f"expected the type of a {what} as a key ({known})")
        return BAD
    name = next((key for key in names if context.plugin_type(spec.kind, key) is not None), names[0])
    for extra in names:
        if extra != name:
            context.fault("MSH0115", node.entries[extra][0], path,
                          f'expected one plugin type beside {", ".join(BESIDE)}, got "{name}" and "{extra}"')
    rest = {key: function_of(form.spec)(form.spec, node.get(key), context, f"{path}.{key}")
            for key, form in BESIDE.items() if key in node.entries}
    if context.origins is not None:
        context.origins.update((f"{path}.{key}", node.get(key).where()) for key in rest)
    found = _plugin(spec.kind, name, node.entries[name][0], node.get(name), rest, context, path)
    if context.used and context.used[-1].plugin is found:
        context.used[-1] = attrs.evolve(context.used[-1], beside=node)
    return BAD if len(names) > 1 or BAD in rest.values() else found


def _plugin(kind: str, name: str, at: Scalar, node: Node | None, rest: dict, context: Context, path: str) -> Any:
    """Make the plugin instance; ``at`` is where its type is written, ``node`` its configuration."""
    record = context.plugin_type(kind, name)
    if record is None:
        return _unknown_plugin(kind, name, at, context, path)
    if type(node) is Scalar and node.plain and node.text in NULL_WORDS:
        node = None
    place = f"{path}.{name}"
    configured = None
    if record.config is not None:
        empty = Mapping(at.source, at.line, at.column, {})
        empty.end_line, empty.end_column = at.end_line, at.end_column
        configured = decode_class(record.config, node or empty, context, place)
    elif node is not None and not (type(node) is Mapping and not node.entries):
        context.fault("MSH0115", node, place, f'expected nothing after "{name}", which takes no configuration')
        configured = BAD
    if context.origins is not None:
        context.origins[path] = at.where()
    if configured is BAD or BAD in rest.values():
        return BAD
    plugin = context.make_plugin(kind=kind, type=name, config=configured, where=at.where(), **{"name": name, **rest})
    context.used.append(Used(plugin, record, node or at, place))
    return plugin


def _unknown_plugin(kind: str, name: str, at: Scalar, context: Context, path: str) -> Any:
    known = sorted(context.plugin_names(kind))
    guess = context.guess(name, known)
    expected = f"expected one of {', '.join(known)}" if known else "none is installed"
    notes = tuple(note for note in context.plugin_notes if repr(name) in note)[:3]
    context.fault("MSH0114", at, path, f'unknown {kind.replace("_", " ")} "{name}", {expected}',
                  hint=f'did you mean "{guess}"?' if guess else "", notes=notes)
    return BAD


def function_of(spec: option.Spec) -> Any:
    """Return the function that decodes values of ``spec``."""
    return FUNCTIONS[type(spec)]


FUNCTIONS = {
    **VALUES, option.Nested: nested, option.ListOf: list_of, option.MapOf: map_of, option.PluginOf: plugin_of,
}
"""Spec class -> decoding function."""
