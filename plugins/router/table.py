"""The routes of one virtual host, first match in list order; ``find`` is on the road of every request.

Up to eight routes are tried in turn. More are indexed: exact paths in a dict, prefixes and regular expressions in
``path_index``; the candidates' other conditions are then tried in list order.
"""

from meshd.api import compile_regex
from meshd_plugins.router.matcher import ParsedQuery, compile_conditions, compile_path, path_text
from meshd_plugins.router.path_index import PrefixIndex, RegexIndex, cut

SMALL = 8
NONE = ()


class SmallTable:
    """A few routes, tried one by one."""

    __slots__ = ("_rows",)

    def __init__(self, matches, routes):
        """``matches`` are Match configurations, ``routes`` what is found, in the same order."""
        query = ParsedQuery()
        self._rows = tuple(
            (compile_path(match), compile_conditions(match, query), route) for match, route in zip(matches, routes)
        )

    def find(self, request):
        """Return the first route that matches, or None."""
        path = request.path
        for on_path, conditions, route in self._rows:
            if on_path(path) and (conditions is None or conditions(request)):
                return route
        return None


class OneRoute:
    """A single route whose only condition is a path: the usual table of a sidecar."""

    __slots__ = ("find",)

    def __init__(self, match, route):
        on_path = compile_path(match)
        if match.prefix == "/":
            self.find = lambda request: route if request.path[:1] == b"/" else None
        else:
            self.find = lambda request: route if on_path(request.path) else None


class LargeTable:
    """Many routes, indexed by their paths. ``build`` must run to its end before the first ``find``."""

    __slots__ = ("_routes", "_conditions", "_exact", "_prefix", "_low_exact", "_low_prefix", "_regex", "_query")

    def __init__(self):
        self._routes = []
        self._conditions = []
        self._exact, self._low_exact = {}, {}
        self._prefix, self._low_prefix = PrefixIndex(), PrefixIndex()
        self._regex = RegexIndex()
        self._query = ParsedQuery()

    def add(self, match, route):
        """Enter the next route."""
        number = len(self._routes)
        self._routes.append(route)
        self._conditions.append(compile_conditions(match, self._query))
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
        stops = [condition is None for condition in self._conditions]
        for index in (self._prefix, self._low_prefix):
            yield from index.build(stops)
        for exact in (self._exact, self._low_exact):
            for place, (text, numbers) in enumerate(exact.items()):
                exact[text] = cut(tuple(numbers), stops)
                if place % 1000 == 999:
                    yield

    def find(self, request):
        """Return the first route that matches, or None."""
        path = request.path
        best = self._first(self._exact.get(path, NONE), request, len(self._routes))
        best = self._first(self._prefix.find(path), request, best)
        if self._low_exact or self._low_prefix:
            low = path.lower()
            best = self._first(self._low_exact.get(low, NONE), request, best)
            best = self._first(self._low_prefix.find(low), request, best)
        if self._regex.first < best:
            best = self._first(self._regex.find(path, best), request, best)
        return self._routes[best] if best < len(self._routes) else None

    def _first(self, numbers, request, best):
        """Return the first of the ascending ``numbers`` below ``best`` whose other conditions hold, else ``best``."""
        conditions = self._conditions
        for number in numbers:
            if number >= best:
                return best
            condition = conditions[number]
            if condition is None or condition(request):
                return number
        return best


def build_table(matches, routes):
    """A generator that returns a table of ``routes``, found by ``matches`` in the same order."""
    if len(routes) == 1 and compile_conditions(matches[0], ParsedQuery()) is None:
        return OneRoute(matches[0], routes[0])
    if len(routes) <= SMALL:
        return SmallTable(matches, routes)
    table = LargeTable()
    for match, route in zip(matches, routes):
        table.add(match, route)
        yield
    yield from table.build()
    return table
