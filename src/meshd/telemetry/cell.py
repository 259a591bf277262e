"""The cells that hold one number each; made by families, added to on a request's road, read by the writer."""

import weakref
from collections.abc import Callable


class Counter:
    """A count that only grows. Hot code writes ``cell.value += 1``."""

    __slots__ = ("value",)

    def __init__(self) -> None:
        self.value = 0

    def inc(self, amount: float = 1) -> None:
        """Add ``amount`` (not negative)."""
        self.value += amount


class Gauge:
    """A number that goes up and down."""

    __slots__ = ("value",)

    def __init__(self) -> None:
        self.value = 0

    def inc(self, amount: float = 1) -> None:
        """Add ``amount``."""
        self.value += amount

    def dec(self, amount: float = 1) -> None:
        """Take ``amount`` away."""
        self.value -= amount

    def set(self, value: float) -> None:
        """Replace the number."""
        self.value = value


class Computed:
    """A number that is asked for at each scrape; ``value`` is None when its owner is gone.

    A bound method is held weakly, so the series ends with its object and a replaced runtime is not kept alive.
    """

    __slots__ = ("_reference", "_function")

    def __init__(self, function: Callable[[], float]) -> None:
        self._reference = None
        self._function = function
        try:
            self._reference = weakref.WeakMethod(function)
            self._function = None
        except TypeError:
            pass  # a plain function, or a method of what cannot be referred to weakly: held as it is

    @property
    def is_gone(self) -> bool:
        """Say whether the object whose method it was is no more."""
        return self._reference is not None and self._reference() is None

    @property
    def value(self) -> float | None:
        """The number now."""
        function = self._reference() if self._reference is not None else self._function
        return None if function is None else function()
