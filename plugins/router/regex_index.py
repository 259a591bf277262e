"""Regular expressions of many routes, tried together; the route table asks for those that match a path.

They are RE2 sets, each small enough to compile in a slice. Each set carries a pattern that always matches, so that a
set which ran out of memory is noticed and its patterns are tried one by one.
"""

import re2

SET_PATTERNS = 32
SET_PROGRAM = 1000
"""Bounds of one set, in patterns and RE2 instructions: it compiles in well under a millisecond."""
SET_MEMORY_BYTES = 2**20
"""What the automaton of one set may come to, whatever paths are asked for."""
ALWAYS = rb"(?s)\C*"


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
    """All regular expressions of a table, in sets; ``first`` is the lowest route number."""

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
        """Yield the route numbers whose expression matches, ascending within each set, from sets that begin below."""
        for group in self.sets:
            if group.first >= below:
                return
            yield from group.find(path)
