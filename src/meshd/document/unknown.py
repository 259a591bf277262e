"""The fault of an unknown key: the nearest known key, and where it belongs when it is known elsewhere."""

from meshd.document.context import Context
from meshd.document.nearest import nearest
from meshd.document.node import Scalar
from meshd.document.option import Nested
from meshd.document.plan import Plan, plan_of


def add_unknown_key(key: Scalar, plan: Plan, context: Context, path: str) -> str | None:
    """Add the fault; return the key of this class that was meant, or None.

    Looks among this class's keys, then one level up, then one level down.
    """
    word = key.text
    guess = here = context.guess(word, plan.fields)
    hint, notes = "", ()
    if guess is not None:
        hint = f'did you mean "{guess}"?'
    else:
        guess, notes = _elsewhere(word, plan, context, path)
        hint = f'did you mean "{guess}"?' if guess not in (None, word) else ""
    if not hint and not notes:
        notes = ("known keys: " + ", ".join(sorted(plan.fields)),)
    context.fault("MSH0104", key, path, f'unknown field "{word}"', hint=hint, notes=notes)
    return here


def _elsewhere(word: str, plan: Plan, context: Context, path: str) -> tuple[str | None, tuple[str, ...]]:
    up = _one_level_up(word, context, path)
    if up is not None:
        return up
    for key, field in plan.fields.items():
        inner = field.spec.cls if isinstance(field.spec, Nested) else None
        if inner is not None and word in plan_of(inner).fields:
            return word, (f'"{word}" belongs one level down, in "{key}" ({path + "." if path else ""}{key}.{word})',)
    return None, ()


def _one_level_up(word: str, context: Context, path: str):
    if len(context.parents) < 2:
        return None
    cls, _, prefix, _ = context.parents[-2]
    fields = plan_of(cls).fields
    found = word if word in fields else nearest(word, fields, limit=1)
    if found is None:
        return None
    beside = path[len(prefix):].split(".")[0].split("[")[0]
    return found, (f'"{found}" belongs one level up, beside "{beside}" ({prefix}{found})',)
