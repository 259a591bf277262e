"""Whether a built object keeps its kind's interface; asked once for each object, at build time.

zope's verifyObject asks the same, but cannot be told which methods are optional, and its exceptions keep the object
alive.
"""

import inspect
from collections.abc import Iterator
from functools import lru_cache
from typing import Any

from zope.interface.interface import Method

from meshd.api import KINDS, ITerminalFilter, PluginError

OPTIONAL = {
    "http_filter": ("on_request", "on_response", "on_complete"),
    "network_filter": ("on_open", "on_data", "on_write"),
}
TERMINAL = {"http_filter": ITerminalFilter}
"""Methods that a kind may leave out; at least one of them must be there."""


def check_object(kind: str, made: Any, is_terminal: bool = False) -> None:
    """Raise PluginError, naming each method, where ``made`` is not what ``kind`` promises."""
    optional = OPTIONAL.get(kind, ())
    texts = list(_faults(TERMINAL.get(kind, KINDS[kind]) if is_terminal else KINDS[kind], made, optional))
    if optional and not is_terminal and not any(hasattr(made, name) for name in optional):
        texts.append(f"no method: expected one of {', '.join(optional)}")
    if texts:
        raise PluginError(f"{type(made).__name__} is no {kind}: {'; '.join(texts)}")


def _faults(interface: Any, made: Any, optional: tuple[str, ...]) -> Iterator[str]:
    for name, wanted in sorted(interface.namesAndDescriptions(all=True)):
        is_method = isinstance(wanted, Method)
        if not hasattr(made, name):
            if name not in optional:
                yield f"{name}: missing: expected {_call(name, wanted) if is_method else 'an attribute'}"
        elif is_method and (trouble := _misfit(getattr(made, name), wanted)):
            yield f"{name}: {trouble}: expected {_call(name, wanted)}"


def _misfit(method: Any, wanted: Method) -> str:
    """Say why ``method`` cannot be called as the interface does; "" where it can, or where nobody can tell."""
    if not callable(method):
        return "not a method"
    function = getattr(method, "__func__", None)
    if function is None:
        return _misfit_of(method, tuple(wanted.positional))
    return _known_misfit(function, (None, *wanted.positional))


@lru_cache(maxsize=1024)
def _known_misfit(function: Any, arguments: tuple) -> str:
    """The same for the function of a bound method, which all objects of a class share."""
    return _misfit_of(function, arguments)


def _misfit_of(function: Any, arguments: tuple) -> str:
    try:
        inspect.signature(function).bind(*arguments)
    except TypeError as error:
        return str(error)
    except ValueError:  # compiled without a signature
        pass
    return ""


def _call(name: str, wanted: Method) -> str:
    return f"{name}{wanted.getSignatureString()}"
