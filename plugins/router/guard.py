"""Guards: an exact header condition that is looked at before a route's other conditions; the route table uses them.

Many routes of one path often differ by the value of one header (a tenant, a version). The value is read once for each
request, and long lists are grouped by it, so that such a table is a look-up and not a walk.
"""

from heapq import merge

from meshd_plugins.router.matcher import field_value

GROUPED_FROM = 16
MISSING = object()


def guard_of(match):
    """Return (the HeaderMatch, (name, value)) of the first plain exact header condition, or (None, None)."""
    for item in match.headers:
        is_plain = item.exact is not None and not (item.invert or item.ignore_case or item.treat_missing_as_empty)
        name = item.name.lower()
        if is_plain and name != "host" and not name.startswith(":"):
            return item, (name.encode(), item.exact.encode())
    return None, None


def read(request, name, values):
    """Return a field's value, remembered in ``values`` (a dict that lives for one search)."""
    value = values.get(name, MISSING)
    if value is MISSING:
        value = values[name] = field_value(request, name)
    return value


class Grouped:
    """Ascending route numbers, grouped by the header value that they ask for."""

    __slots__ = ("_names", "_free")

    def __init__(self, numbers, guards):
        names = {}
        for number in numbers:
            if guards[number] is not None:
                name, value = guards[number]
                names.setdefault(name, {}).setdefault(value, []).append(number)
        self._names = tuple(names.items())
        self._free = [number for number in numbers if guards[number] is None]

    def candidates(self, request, values):
        """Return the ascending numbers whose guard holds, or that have none."""
        lists = [groups[value] for name, groups in self._names if (value := read(request, name, values)) in groups]
        return merge(self._free, *lists) if lists else self._free


def group(numbers, guards):
    """Return ``numbers`` (a tuple), or a Grouped of them where that saves a walk."""
    guarded = sum(guards[number] is not None for number in numbers) if len(numbers) >= GROUPED_FROM else 0
    return Grouped(numbers, guards) if guarded * 2 > len(numbers) else numbers
