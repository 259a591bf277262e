"""Indexes from a path to the routes whose path condition holds; the route table asks them.

Prefixes are one sorted list: the longest that begins a path is the path's predecessor or one of its ancestors (the
longest other prefix that begins it), so one bisection in C and a short climb find it. Regular expressions are RE2 sets,
each small enough to compile in a slice; each set carries a pattern that always matches, so that a set which ran out of
memory is noticed and its patterns are tried one by one.
"""

from bisect import bisect_right
from heapq import merge

import re2

MERGE_LIMIT = 64
SLICE = 500
SET_PATTERNS = 32
SET_PROGRAM = 1000
"""Bounds of one set, in patterns and RE2 instructions: it compiles in well under a millisecond."""
SET_MEMORY_BYTES = 2**20
"""What the automaton of one set may come to, whatever paths are asked for."""
ALWAYS = rb"(?s)\C*"


class PrefixIndex:
    """Prefixes (bytes) to ascending tuples of route numbers.

    ``stops`` says of a route number whether the path is its only condition: what stands behind such a route cannot be
    reached, so lists end there.
    """

    __slots__ = ("_numbers", "_keys", "_parents", "_lists", "_chains")

    def __init__(self):
        self._numbers = {}
        self._keys = []
        self._parents = []
        self._lists = []
        self._chains = []

    def add(self, prefix, number):
        """Enter one; numbers must ascend."""
        self._numbers.setdefault(prefix, []).append(number)

    def build(self, stops):
        """A generator that makes the index, in slices."""
        yield from self._sort()
        open_ones = []
        for place, key in enumerate(self._keys):
            while open_ones and not key.startswith(self._keys[open_ones[-1]]):
                open_ones.pop()
            self._enter(key, open_ones[-1] if open_ones else -1, stops)
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

    def _enter(self, key, parent, stops):
        own = cut(tuple(self._numbers[key]), stops)
        self._parents.append(parent)
        inherited = self._lists[parent] if parent >= 0 else ()
        chain = self._chains[parent] if parent >= 0 else -1
        if len(inherited) > MERGE_LIMIT:
            chain, inherited = parent, ()
        self._lists.append(cut(tuple(merge(own, inherited)), stops))
        self._chains.append(chain)

    def find(self, path):
        """Return the ascending route numbers of every prefix that begins ``path``."""
        place = bisect_right(self._keys, path) - 1
        keys = self._keys
        while place >= 0 and not path.startswith(keys[place]):
            place = self._parents[place]
        if place < 0:
            return ()
        return self._lists[place] if self._chains[place] < 0 else self._climb(place)

    def _climb(self, place):
        """Merge a list with those of ancestors that were too long to copy."""
        lists = []
        while place >= 0:
            lists.append(self._lists[place])
            place = self._chains[place]
        return merge(*lists)


def cut(numbers, stops):
    """Return ``numbers`` up to the first that ``stops``."""
    for place, number in enumerate(numbers, 1):
        if stops[number]:
            return numbers[:place]
    return numbers


class RegexSet:
    """Some regular expressions (whole match) that are tried together; ``first`` is the lowest route number."""

    __slots__ = ("first", "_last", "_match", "_patterns")

    def __init__(self, patterns):
        """``patterns`` is a list of (route number, compiled RE2), ascending."""
        self._patterns = tuple(patterns)
        self.first = patterns[0][0]
        self._last = len(patterns)
        self._match = _compile_set([pattern.pattern for _, pattern in patterns])

    def find(self, path):
        """Return the ascending route numbers whose expression matches ``path``."""
        found = self._match(path) or ()
        last = self._last
        if last not in found:
            return [number for number, pattern in self._patterns if pattern.fullmatch(path)]
        if len(found) == 1:
            return ()
        return sorted([self._patterns[place][0] for place in found if place != last])


def _compile_set(patterns):
    """Return a callable(path) -> list of places or None; what stands behind the last place always matches."""
    options = re2.Options()
    options.log_errors = False
    options.max_mem = SET_MEMORY_BYTES
    together = re2.Set.FullMatchSet(options)
    try:
        for pattern in patterns:
            together.Add(pattern)
        together.Add(ALWAYS)
        together.Compile()
    except re2.error:
        return lambda path: None
    return together.Match


class RegexIndex:
    """All regular expressions of a table, in sets."""

    __slots__ = ("sets", "first", "_open", "_size")

    def __init__(self):
        self.sets = []
        self.first = 2**63
        self._open = []
        self._size = 0

    def add(self, pattern, number):
        """Enter one compiled expression; numbers must ascend."""
        size = pattern.programsize
        if self._open and (len(self._open) >= SET_PATTERNS or self._size + size > SET_PROGRAM):
            self.close()
        self.first = min(self.first, number)
        self._open.append((number, pattern))
        self._size += size

    def close(self):
        """Make a set of what was entered since the last; call it once more after the last ``add``."""
        if self._open:
            self.sets.append(RegexSet(self._open))
        self._open, self._size = [], 0

    def find(self, path, below):
        """Yield, ascending, the route numbers below ``below`` whose expression matches ``path``."""
        for group in self.sets:
            if group.first >= below:
                return
            yield from group.find(path)
