"""Indexes from a path to the routes whose path condition holds; the route table asks them.

Prefixes are one sorted list: the longest that begins a path is the path's predecessor or one of its ancestors (the
longest other prefix that begins it), so one bisection in C and a short climb find it.
"""

from bisect import bisect_right
from heapq import merge

from meshd_plugins.router.guard import group

SLICE = 500
NEVER = 2**63


class Bucket:
    """The routes of one path or prefix.

    ``stop`` is the lowest number that has no condition but the path, here or above.
    ``numbers`` are those with other conditions below ``stop``, ascending, perhaps ``Grouped``; ``above`` is the nearest
    bucket of a shorter prefix that has such numbers too.
    """

    __slots__ = ("stop", "numbers", "above")

    def __init__(self, numbers, conditions, guards, above=None):
        inherited = above.stop if above is not None else NEVER
        self.stop = next((number for number in numbers if conditions[number] is None and guards[number] is None), NEVER)
        self.stop = min(self.stop, inherited)
        self.numbers = group(tuple(number for number in numbers if number < self.stop), guards)
        self.above = above.above if above is not None and not above.numbers else above


class PrefixIndex:
    """Prefixes (bytes) to Buckets."""

    __slots__ = ("_numbers", "_keys", "_parents", "_buckets")

    def __init__(self):
        self._numbers = {}
        self._keys = []
        self._parents = []
        self._buckets = []

    def add(self, prefix, number):
        """Enter one; numbers must ascend."""
        self._numbers.setdefault(prefix, []).append(number)

    def build(self, conditions, guards):
        """A generator that makes the index, in slices; both arguments are lists by route number."""
        yield from self._sort()
        open_ones = []
        for place, key in enumerate(self._keys):
            while open_ones and not key.startswith(self._keys[open_ones[-1]]):
                open_ones.pop()
            parent = open_ones[-1] if open_ones else -1
            above = self._buckets[parent] if parent >= 0 else None
            self._parents.append(parent)
            self._buckets.append(Bucket(self._numbers[key], conditions, guards, above))
            open_ones.append(place)
            if place % SLICE == SLICE - 1:
                yield
        self._numbers = {}

    def _sort(self):
        keys = list(self._numbers)
        runs = []
        for start in range(0, len(keys), SLICE):
            runs.append(sorted(keys[start:start + SLICE]))
            yield
        for key in merge(*runs):
            self._keys.append(key)
            if len(self._keys) % SLICE == 0:
                yield

    def __len__(self):
        return len(self._keys)

    def find(self, path):
        """Return the Bucket of the longest prefix that begins ``path``, or None."""
        keys = self._keys
        place = bisect_right(keys, path) - 1
        while place >= 0 and not path.startswith(keys[place]):
            place = self._parents[place]
        return self._buckets[place] if place >= 0 else None
