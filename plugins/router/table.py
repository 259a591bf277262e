"""The routes of one virtual host, first match in list order; ``find`` is on the road of every request.

Up to eight routes are tried in turn. More are indexed: exact paths in a dict, prefixes and regular expressions in
indexes; of each index's candidates the first whose other conditions hold is found, and the lowest number of all wins.
"""

from meshd.api import compile_regex
from meshd_plugins.router.guard import Grouped, guard_of, read
from meshd_plugins.router.matcher import compile_conditions, compile_path, path_text
from meshd_plugins.router.path_index import SLICE, Bucket, PrefixIndex
from meshd_plugins.router.regex_index import RegexIndex

SMALL = 8


class OneRoute:
    """A single route whose only condition is a path: the usual table of a sidecar."""

    __slots__ = ("find",)

    def __init__(self, match, route):
        on_path = compile_path(match)
        if match.prefix == "/":
            self.find = lambda request: route if request.path[:1] == b"/" else None
        else:
            self.find = lambda request: route if on_path(request.path) else None


class SmallTable:
    """A few routes, tried one by one."""

    __slots__ = ("_rows",)

    def __init__(self, matches, routes):
        """``matches`` are Match configurations, ``routes`` what is found, in the same order."""
        self._rows = tuple(
            (compile_path(match), compile_conditions(match), route) for match, route in zip(matches, routes)
        )

    def find(self, request):
        """Return the first route that matches, or None."""
        path = request.path
        for on_path, conditions, route in self._rows:
            if on_path(path) and (conditions is None or conditions(request)):
                return route
        return None


class LargeTable:
    """Many routes, indexed by their paths. ``build`` must run to its end before the first ``find``.

    ``_guards`` and ``_conditions`` are what a route asks for besides the path, by route number.
    """

    __slots__ = ("_routes", "_guards", "_conditions", "_exact", "_prefix", "_low_exact", "_low_prefix", "_regex")

    def __init__(self):
        self._routes = []
        self._guards = []
        self._conditions = []
        self._exact, self._low_exact = {}, {}
        self._prefix, self._low_prefix = PrefixIndex(), PrefixIndex()
        self._regex = RegexIndex()

    def add(self, match, route):
        """Enter the next route."""
        number = len(self._routes)
        item, guard = guard_of(match)
        self._routes.append(route)
        self._guards.append(guard)
        self._conditions.append(compile_conditions(match, without=item))
        if match.regex is not None:
            self._regex.add(compile_regex(match.regex.encode()), number)
            return
        text = path_text(match)
        exact, prefix = (self._low_exact, self._low_prefix) if match.ignore_case else (self._exact, self._prefix)
        if match.prefix is None:
            exact.setdefault(text, []).append(number)
        if match.path is None:
            prefix.add(text if match.prefix is not None else text + b"/", number)

    def build(self):
        """A generator that makes the indexes, in slices."""
        self._regex.close()
        yield
        for index in (self._prefix, self._low_prefix):
            yield from index.build(self._conditions, self._guards)
        for exact in (self._exact, self._low_exact):
            for place, (text, numbers) in enumerate(exact.items()):
                exact[text] = Bucket(numbers, self._conditions, self._guards)
                if place % SLICE == SLICE - 1:
                    yield

    def find(self, request):
        """Return the first route that matches, or None."""
        path = request.path
        values = {}
        best = self._best(self._exact.get(path), self._prefix.find(path), request, len(self._routes), values)
        if self._low_exact or self._low_prefix:
            low = path.lower()
            best = self._best(self._low_exact.get(low), self._low_prefix.find(low), request, best, values)
        if self._regex.first < best:
            best = self._lowest(self._regex.find(path, best), request, best, values)
        return self._routes[best] if best < len(self._routes) else None

    def _best(self, exact, prefix, request, best, values):
        """Return the lowest number that matches of an exact path's bucket and those of prefixes, else ``best``."""
        if exact is not None:
            best = min(best, exact.stop)
            if exact.numbers:
                best = self._first(exact.numbers, request, best, values)
        if prefix is not None:
            best = min(best, prefix.stop)
        while prefix is not None:
            if prefix.numbers:
                best = self._first(prefix.numbers, request, best, values)
            prefix = prefix.above
        return best

    def _first(self, numbers, request, best, values):
        """Return the first of the ascending ``numbers`` below ``best`` whose other conditions hold, else ``best``."""
        if numbers.__class__ is Grouped:
            numbers = numbers.candidates(request, values)
        for number in numbers:
            if number >= best:
                return best
            if self._holds(number, request, values):
                return number
        return best

    def _lowest(self, numbers, request, best, values):
        """The same for numbers in any order."""
        for number in numbers:
            if number < best and self._holds(number, request, values):
                best = number
        return best

    def _holds(self, number, request, values):
        guard = self._guards[number]
        if guard is not None and read(request, guard[0], values) != guard[1]:
            return False
        condition = self._conditions[number]
        return condition is None or condition(request)


def build_table(matches, routes):
    """A generator that returns a table of ``routes``, found by ``matches`` in the same order."""
    if len(routes) == 1 and compile_conditions(matches[0]) is None:
        return OneRoute(matches[0], routes[0])
    if len(routes) <= SMALL:
        return SmallTable(matches, routes)
    table = LargeTable()
    for match, route in zip(matches, routes):
        table.add(match, route)
        yield
    yield from table.build()
    return table
