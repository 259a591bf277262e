"""Whether a built object keeps its kind's interface; asked once for each object, at build time."""

from typing import Any

from zope.interface import Invalid
from zope.interface.exceptions import BrokenImplementation, BrokenMethodImplementation, MultipleInvalid
from zope.interface.verify import verifyObject

from meshd.api import KINDS, ITerminalFilter, PluginError

OPTIONAL = {"http_filter": ("on_request", "on_response", "on_complete")}
"""Methods that a kind may leave out; at least one of them must be there."""


def check_object(kind: str, made: Any, is_terminal: bool = False) -> None:
    """Raise PluginError, naming each method, where ``made`` is not what ``kind`` promises."""
    optional = OPTIONAL.get(kind, ())
    faults = _faults(ITerminalFilter if is_terminal else KINDS[kind], made)
    texts = [text for name, text in faults if not (name in optional and not hasattr(made, name))]
    if optional and not is_terminal and not any(hasattr(made, name) for name in optional):
        texts.append(f"no method: expected one of {', '.join(optional)}")
    if texts:
        raise PluginError(f"{type(made).__name__} is no {kind}: {'; '.join(texts)}")


def _faults(interface: Any, made: Any) -> list[tuple[str, str]]:
    try:
        verifyObject(interface, made, tentative=True)
    except MultipleInvalid as error:
        return [_fault(one) for one in error.exceptions]
    except Invalid as error:
        return [_fault(error)]
    return []


def _fault(error: Invalid) -> tuple[str, str]:
    if isinstance(error, BrokenMethodImplementation):
        method = error.method
        name = method if isinstance(method, str) else method.getName()
        return name, f"{name}(): {error.mess}: expected {_signature(error.interface, name)}"
    if isinstance(error, BrokenImplementation):
        name = error.name if isinstance(error.name, str) else error.name.getName()
        return name, f"{name}: missing: expected {_signature(error.interface, name)}"
    return "", " ".join(str(error).split())


def _signature(interface: Any, name: str) -> str:
    text = getattr(interface[name], "getSignatureString", None)
    return f"{name}{text()}" if text is not None else f"an attribute {name}"
