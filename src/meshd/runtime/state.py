"""What outlives a runtime: cells that are made once and shared by the old runtime and the new.

Strategy: each runtime holds ``Claims`` on one ``StateTable``. A cell lives while any runtime claims it. The new runtime
claims while it is built; when the old one releases its claims, what nobody else claimed ends (``close()``, if it has
one).

Scopes: a ``worker`` cell is this process's alone. A ``host`` cell means the same in every worker of this host: the
object is this process's here too, but what it stands for is in the arena (``host/arena.py``), where it lives as long
as any worker has such a cell. ``site.ledger`` and ``site.buckets`` make them. With one worker there is no arena, and
the two scopes are the same.
"""

from collections.abc import Callable, Hashable, Iterator
from typing import Any

WORKER = "worker"
HOST = "host"
SCOPES = (WORKER, HOST)


class _Cell:
    __slots__ = ("value", "claims")

    def __init__(self, value: Any) -> None:
        self.value = value
        self.claims = 0


class StateTable:
    """The cells of one worker, of both scopes."""

    def __init__(self, on_fault: Callable[[Hashable, Exception], None] | None = None) -> None:
        self._cells: dict[tuple[str, Hashable], _Cell] = {}
        self._on_fault = on_fault

    def __len__(self) -> int:
        return len(self._cells)

    def claim(self, scope: str, key: Hashable, factory: Callable[[], Any]) -> Any:
        """Return the cell of ``key`` with one more claim, made by ``factory()`` when there is none."""
        cell = self._cells.get((scope, key))
        if cell is None:
            cell = self._cells[scope, key] = _Cell(factory())
        cell.claims += 1
        return cell.value

    def value(self, scope: str, key: Hashable) -> Any:
        """Return the cell of ``key`` without a claim; raises KeyError."""
        return self._cells[scope, key].value

    def release(self, scope: str, key: Hashable) -> None:
        """Give one claim back; the last one ends the cell."""
        cell = self._cells[scope, key]
        cell.claims -= 1
        if cell.claims == 0:
            del self._cells[scope, key]
            self._close(key, cell.value)

    def _close(self, key: Hashable, value: Any) -> None:
        close = getattr(value, "close", None)
        if callable(close):
            try:
                close()
            except Exception as error:
                if self._on_fault is not None:
                    self._on_fault(key, error)


class Claims:
    """What one runtime holds of a table."""

    def __init__(self, table: StateTable) -> None:
        self.notes: list[tuple[str, Hashable]] | None = None
        """While it is a list it gets what is asked for."""
        self._table = table
        self._held: set[tuple[str, Hashable]] = set()

    def __len__(self) -> int:
        return len(self._held)

    def state(self, scope: str, key: Hashable, factory: Callable[[], Any]) -> Any:
        """Return the cell of ``key``, claimed once for this runtime; raises ValueError on an unknown scope."""
        if scope not in SCOPES:
            raise ValueError(f"state scope {scope!r}: expected 'worker' or 'host'")
        if self.notes is not None:
            self.notes.append((scope, key))
        if (scope, key) in self._held:
            return self._table.value(scope, key)
        value = self._table.claim(scope, key, factory)
        self._held.add((scope, key))
        return value

    def release(self) -> Iterator[None]:
        """Give all claims back, one for each step of the iterator."""
        while self._held:
            self._table.release(*self._held.pop())
            yield
