"""Conditions of a route compiled to predicates of the request's head; the route table calls them."""

from meshd.api import compile_regex
from meshd_plugins.router.operator_table import pseudo_or_field

HOSTS = (b":authority", b"host")


def compile_path(match):
    """Return a callable(path) -> bool, for tables too small for an index."""
    if match.regex is not None:
        whole = compile_regex(match.regex).fullmatch
        return lambda path: whole(path) is not None
    test = _plain_path(match)
    return (lambda path: test(path.lower())) if match.ignore_case else test


def _plain_path(match):
    text = path_text(match)
    if match.path is not None:
        return text.__eq__
    if match.prefix is not None:
        return (lambda path: path[:1] == b"/") if text == b"/" else (lambda path: path.startswith(text))
    inner = text + b"/"
    return lambda path: path == text or path.startswith(inner)


def path_text(match):
    """Return the path or prefix of ``match`` as it is compared."""
    texts = (match.path, match.prefix, match.path_separated_prefix)
    text = next(text for text in texts if text is not None).encode()
    return text.lower() if match.ignore_case else text


def compile_conditions(match, without=None):
    """Return a callable(request) -> bool for all but the path and ``without``; None where nothing is left."""
    tests = [test for item, test in conditions(match) if item is None or item is not without]
    if len(tests) < 2:
        return tests[0] if tests else None
    if len(tests) == 2:
        first, second = tests
        return lambda request: first(request) and second(request)
    return _all(tuple(tests))


def conditions(match):
    """Yield (HeaderMatch, QueryMatch or None for the methods; callable(request) -> bool), in the order of trying."""
    if match.methods:
        methods = frozenset(method.encode() for method in match.methods)
        yield None, lambda request: request.method in methods
    yield from ((item, _header_test(item)) for item in match.headers)
    yield from ((item, _query_test(item)) for item in match.query)


def _all(tests):
    def test(request):
        for item in tests:
            if not item(request):
                return False
        return True

    return test


def field_value(request, name):
    """Return the value of a field, its lines joined by commas (as Envoy does), or None."""
    headers = request.headers
    value = headers.get(name)
    if value is not None and headers.low.count(b"\r\n" + name + b":") > 1:
        return b",".join(headers.get_all(name))
    return value


def field_reader(name):
    """Return a callable(request) -> value or None of a field or pseudo header (lower-case bytes)."""
    if name.startswith(b":") or name == b"host":
        return lambda request: pseudo_or_field(request, name)
    return lambda request: field_value(request, name)


def _header_test(item):
    """The host is compared as hosts are, whatever its case; a regular expression sees it in lower case."""
    name = item.name.lower().encode()
    read = field_reader(name)
    test = _value_test(item, item.ignore_case or name in HOSTS)
    if test is None:
        wanted = (item.present is not False) != item.invert
        if item.treat_missing_as_empty:  # then it is always there (Envoy)
            return lambda request: wanted
        return lambda request: (read(request) is not None) is wanted
    missing = item.treat_missing_as_empty and bool(test(b"")) != item.invert
    wanted = not item.invert

    def matches(request):
        value = read(request)
        return missing if value is None else bool(test(value)) is wanted

    return matches


def _query_test(item):
    read = parameter_reader(item.name.encode())
    test = _value_test(item, item.ignore_case)
    if test is None:
        wanted = item.present is not False
        return lambda request: (read(request) is not None) is wanted

    def matches(request):
        value = read(request)
        return value is not None and bool(test(value))

    return matches


def parameter_reader(name):
    """Return a callable(request) -> value of the first parameter of this name, or None; nothing is decoded (Envoy).

    The query is searched and never split, so that one of many thousand parameters costs no more than its length.
    """
    alone, valued = b"&" + name + b"&", b"&" + name + b"="

    def read(request):
        query = request.query
        if not query:
            return None
        text = b"&" + query + b"&"
        lone, start = text.find(alone), text.find(valued)
        if start < 0 or 0 <= lone < start:
            return b"" if lone >= 0 else None
        start += len(valued)
        return text[start:text.find(b"&", start)]

    return read


def _value_test(item, ignore_case):
    """Return a callable(value) -> truth, or None where only presence is asked for."""
    if item.regex is not None:
        return compile_regex(item.regex).fullmatch
    if getattr(item, "range", None) is not None:
        return _range_test(item.range.start, item.range.end)
    for word, make in _TEXT_TESTS.items():
        text = getattr(item, word)
        if text is not None:
            return _with_case(make, text, ignore_case)
    return None


def _with_case(make, text, ignore_case):
    if not ignore_case:
        return make(text.encode())
    test = make(text.lower().encode())
    return lambda value: test(value.lower())


_TEXT_TESTS = {
    "exact": lambda text: text.__eq__,
    "prefix": lambda text: lambda value: value.startswith(text),
    "suffix": lambda text: lambda value: value.endswith(text),
    "contains": lambda text: lambda value: text in value,
}


def _range_test(start, end):
    def test(value):
        digits = value[1:] if value[:1] in (b"-", b"+") else value
        return len(value) <= 20 and digits.isdigit() and start <= int(value) < end

    return test
