"""The object that stands in a chain for a filter whose code runs in a child."""

from typing import Any

from twisted.internet.defer import Deferred

from meshd.isolation.message import COMPLETE, HOOKS, REQUEST, RESPONSE


class IsolatedFilter:
    """A filter whose hooks are known once the child has built it; until then it has none."""

    on_request: Any = None
    on_response: Any = None
    on_complete: Any = None

    def __init__(self, isolate: Any, number: int) -> None:
        self.isolate = isolate
        self._number = number
        self._own_fault = f"plugin_error{{{isolate.plugin.name}}}"

    def have(self, phases: tuple[bool, bool, bool]) -> None:
        """Take the hooks that the child's object has."""
        methods = (self._request, self._response, self._complete)
        for name, method, is_there in zip(HOOKS, methods, phases):
            if is_there:
                setattr(self, name, method)

    def clear(self) -> None:
        """Have no hooks any more: bound methods in an object are circles."""
        for name in HOOKS:
            vars(self).pop(name, None)

    def _request(self, exchange: Any) -> Deferred:
        return self.isolate.ask(self._number, REQUEST, exchange)

    def _response(self, exchange: Any) -> Deferred | None:
        if exchange.is_local_reply and exchange.detail == self._own_fault:
            return None  # the answer for its own failure: it must not be waited for once more
        return self.isolate.ask(self._number, RESPONSE, exchange)

    def _complete(self, exchange: Any) -> None:
        self.isolate.tell(self._number, COMPLETE, exchange)
