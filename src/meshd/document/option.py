"""How a configuration class describes its fields; read by the decoder, the schema and the reference page.

    @config
    class LeastRequest:
        "Power of two choices."
        choices: int = option(Integer(minimum=2, maximum=16), default=2, doc="endpoints drawn for each pick")

The YAML key is the attribute's name less its unit suffix (``_s``, ``_bytes``): ``connect_timeout_s`` is
written ``connect_timeout: 5s``. Attribute values are always in seconds (float) or bytes (int).
A class may have ``check(self)``, which yields ``(attribute, message)`` pairs, one for each fault (in place of the
attribute ``(attribute, place, key...)`` where it is deeper, None where it is the whole section's), and an attribute
``where = place()``, which gets ``file:line:column`` of the object.
"""

from typing import Any

import attrs

REQUIRED = attrs.NOTHING
UNIT_SUFFIXES = ("_s", "_bytes")
CAMEL = "key"
"""Where an option's metadata has its key, if that is not ``key_of`` its name."""


@attrs.frozen
class Spec:
    """What a value may be."""


@attrs.frozen(kw_only=True)
class Text(Spec):
    """A string. ``pattern`` is a whole-match regular expression of ours; lengths are in characters."""

    pattern: str | None = None
    minimum: int = 0
    maximum: int = 65536
    secret: bool = False


@attrs.frozen(kw_only=True)
class Integer(Spec):
    """A whole number in [minimum, maximum], or one of ``words`` (kept as text)."""

    minimum: int = 0
    maximum: int = 2**63 - 1
    words: tuple[str, ...] = ()


@attrs.frozen(kw_only=True)
class Number(Spec):
    """A finite number in [minimum, maximum]."""

    minimum: float = 0.0
    maximum: float = 1e308


@attrs.frozen
class Boolean(Spec):
    """``true`` or ``false``."""


@attrs.frozen(kw_only=True)
class Duration(Spec):
    """Seconds, written with a unit as in ``250ms``, ``5s``, ``1m30s``, ``1h``; bounds in seconds.

    ``step`` (seconds, 0: any) divides every value without rest. With ``is_go`` the text is read as Kubernetes does
    (Go's ``ParseDuration``: ``ns`` but no ``d``, units in any order).
    """

    minimum: float = 0.0
    maximum: float = 31_536_000.0
    step: float = 0.0
    is_go: bool = False


@attrs.frozen(kw_only=True)
class Size(Spec):
    """Bytes, written ``64KiB``, ``1MiB`` or a whole number; bounds in bytes."""

    minimum: int = 0
    maximum: int = 2**40


@attrs.frozen
class Choice(Spec):
    """One of these words."""

    words: tuple[str, ...]


@attrs.frozen(kw_only=True)
class Regex(Spec):
    """An RE2 regular expression, whole match, with a program size of at most ``maximum`` instructions."""

    maximum: int = 1000


@attrs.frozen(kw_only=True)
class Address(Spec):
    """``HOST:PORT``, ``[V6]:PORT`` or ``unix:PATH``; kept as that text. ``resolve``: a name is accepted as HOST."""

    resolve: bool = False


@attrs.frozen(kw_only=True)
class File(Spec):
    """A path, relative to the file that names it; made absolute. ``exists``: it must be readable now.

    ``credential:NAME`` is the path of one of systemd's credentials, which must be there.
    """

    exists: bool = False


@attrs.frozen
class Reference(Spec):
    """The name of something else in the configuration: ``cluster`` or ``listener``. Checked after decoding."""

    kind: str


@attrs.frozen
class HeaderName(Spec):
    """A field name (an RFC 9110 token); decoded to lower case."""


@attrs.frozen
class HeaderValue(Spec):
    """A field value without controls."""


@attrs.frozen(kw_only=True)
class ListOf(Spec):
    """A sequence; decoded to a tuple. ``unique`` names the attribute that must differ between items."""

    item: Spec
    minimum: int = 0
    maximum: int = 100_000
    unique: str | None = None


@attrs.frozen(kw_only=True)
class MapOf(Spec):
    """A mapping of text keys; decoded to a tuple of (key, value) pairs, in the order of the file."""

    value: Spec
    key: Spec = attrs.field(factory=Text)
    maximum: int = 10_000


@attrs.frozen
class Nested(Spec):
    """Another configuration class. ``word`` is an attribute that a plain word in place of the section sets."""

    cls: type
    word: str | None = None


@attrs.frozen(kw_only=True)
class PluginOf(Spec):
    """A plugin instance of this kind; decoded to ``meshd.model.plugin.Plugin``.

    Written ``TYPE`` or ``{TYPE: CONFIG, name: ..., on_error: ..., disabled: ...}``; see ``beside`` for all keys.
    """

    kind: str


@attrs.frozen
class Anything(Spec):
    """Any YAML value, as plain Python (str, int, float, bool, None, list, dict)."""


def config(cls: type) -> type:
    """Make ``cls`` a configuration class: frozen, slotted, keyword-only; two fields of one key are a TypeError."""
    return _checked(attrs.frozen(kw_only=True, slots=True)(cls))


def camel_config(cls: type) -> type:
    """The same for documents of Kubernetes' kind: keys in camelCase, ``null`` is as good as an absent key.

    Each object has ``node``, the mapping that it was decoded from (None where it was made by a program); it does not
    count when objects are compared.
    """
    return _checked(attrs.frozen(kw_only=True, slots=True, field_transformer=_camel)(cls))


def _checked(made: type) -> type:
    keys = [field.metadata.get(CAMEL) or key_of(field.name) for field in attrs.fields(made)]
    if len(set(keys)) != len(keys):
        raise TypeError(f"{made.__name__}: expected different keys, got {keys}")
    return made


def _camel(cls: type, fields: list) -> list:
    """Give each option its camelCase key, and the class its ``node``."""
    made = [one.evolve(metadata={CAMEL: _camel_key(one.name), **one.metadata}) for one in fields]
    return [*made, NODE_FIELD] if all(one.name != "node" for one in made) else made


def _camel_key(name: str) -> str:
    first, *rest = key_of(name).strip("_").split("_")
    return first + "".join(word.title() for word in rest)


@attrs.frozen(kw_only=True)
class _Noded:
    node: Any = attrs.field(default=None, eq=False, repr=False)


NODE_FIELD = attrs.fields(_Noded).node


def option(spec: Spec, *, default: Any = REQUIRED, doc: str, key: str = "", unsupported: str = "") -> Any:
    """One field of a configuration class. ``default`` is in decoded form (seconds, bytes, tuples).

    ``key`` is written where it does not follow from the name. ``unsupported`` says what does not work yet: the field is
    accepted, and its use is a warning.
    """
    metadata = {"spec": spec, "doc": doc, "unsupported": unsupported}
    return attrs.field(default=default, metadata={**metadata, CAMEL: key} if key else metadata)


def place() -> Any:
    """The attribute ``where`` of a configuration class: no option, and of no weight where objects are compared."""
    return attrs.field(default="", eq=False, repr=False)


def key_of(name: str) -> str:
    """Return the YAML key of the attribute ``name`` of a class made with ``config``."""
    for suffix in UNIT_SUFFIXES:
        if name.endswith(suffix):
            return name[: -len(suffix)]
    return name
