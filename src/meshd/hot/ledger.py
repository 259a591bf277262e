"""Counts with limits: how many of a thing are in use; asked at every request, connection and retry.

A ``Ledger`` belongs to one process. A ``SharedLedger`` means the same over all worker processes of a host: a limit of L
admits L of them, never more.

Strategy of the shared one: each process has a count of its own, which nobody else writes, so that the counts of a
process that died can be taken away. To take, a process holds the lock of that index, adds up all counts and adds to
its own; while it does, others can only give, so the sum that it saw is never less than what is in use. To give needs
no lock.

This twin locks a byte range of the arena's file, which the kernel frees at death. The compiled one (``ledger.pyx``)
locks by compare-and-swap on a word that then holds the owner's slot plus one; the arena's ``bury`` frees it. It is held
for less than a microsecond, or for as long as its holder is stopped: who waits for over a second is refused.
"""

from meshd.hot.file_lock import acquire, release

LOCKING = "pure"
_LINE = 64
_ROW = 64  # counts
_MARK = 68  # as in meshd.host.layout


class Ledger:
    """``size`` counts of this process, which begin at 0; an index is 0 to ``size - 1``, others raise IndexError."""

    __slots__ = ("size", "_used")

    def __init__(self, size):
        self.size = size
        self._used = [0] * size

    def take(self, index, limit):
        """Count one more unless ``limit`` are in use; say whether it was."""
        used = self._used
        if index < 0:
            _refuse(index)
        if used[index] >= limit:
            return False
        used[index] += 1
        return True

    def give(self, index):
        """Count one less; what was not taken cannot be given."""
        used = self._used
        if index < 0:
            _refuse(index)
        if used[index] > 0:
            used[index] -= 1

    def used(self, index):
        """Return how many are in use."""
        if index < 0:
            _refuse(index)
        return self._used[index]

    def close(self):
        """End it: what is this process's own needs nothing for that."""


class SharedLedger(Ledger):
    """The same over a cell of an arena with ``size`` locks and ``size`` rows. After ``close`` it counts for itself."""

    __slots__ = ("_cell", "_words")

    def __init__(self, size, cell):
        super().__init__(size)
        self._cell = cell
        self._words = cell.arena.words

    def take(self, index, limit):
        """Count one more unless ``limit`` are in use on this host; say whether it was."""
        cell = self._cell
        if cell is None:
            return super().take(index, limit)
        own = self._own(index)
        lock = cell.locks + index * _LINE
        if not acquire(cell.arena.fd, lock):
            return False
        try:
            if self.used(index) >= limit:
                return False
            self._words[own] += 1
            return True
        finally:
            release(cell.arena.fd, lock)

    def give(self, index):
        """Count one less of this process's own."""
        if self._cell is None:
            super().give(index)
            return
        own = self._own(index)
        if self._words[own] > 0:
            self._words[own] -= 1

    def used(self, index):
        """Return how many are in use on this host."""
        if self._cell is None:
            return super().used(index)
        row = self._own(index) - self._cell.arena.slot
        return sum(self._words[row:row + self._words[_MARK // 4]])

    def close(self):
        """Take this process's counts away and end its claim."""
        cell, self._cell = self._cell, None
        if cell is not None:
            cell.release()

    def _own(self, index):
        if not 0 <= index < self.size:
            _refuse(index)
        return self._cell.rows // 4 + index * _ROW + self._cell.arena.slot


def _refuse(index):
    raise IndexError(f"ledger: index {index}: no such count")
