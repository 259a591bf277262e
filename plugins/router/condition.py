"""Conditions of a route in words, and which of them a request fails first; the router's ``explain`` asks.

What fails is decided by the predicates that the route table uses (``matcher``); only the words are made here.
"""

from meshd_plugins.router.match_config import PATHS, VALUES, QueryMatch
from meshd_plugins.router.matcher import compile_path, conditions, field_reader, parameter_reader

SHOWN_BYTES = 200
PATH_WORDS = {
    "path": "is", "prefix": "begins with", "path_separated_prefix": "is or is below", "regex": "matches regex",
}
PATH_FAILURES = {
    "path": "is not", "prefix": "does not begin with", "path_separated_prefix": "neither is nor is below",
    "regex": "does not match regex",
}
VALUE_WORDS = {
    "exact": "exactly", "prefix": "beginning with", "suffix": "ending with", "contains": "containing",
    "regex": "matching regex",
}


def failure(match, request):
    """Return in words the first condition of ``match`` (config) that ``request`` fails, or '' where all hold."""
    if not compile_path(match)(request.path):
        kind, text, case = _path(match)
        return f"path {_text(request.path)} {PATH_FAILURES[kind]} {text}{case}"
    for item, test in conditions(match):
        if not test(request):
            return _failed(match, item, request)
    return ""


def words(match):
    """Return all conditions of ``match`` in words."""
    kind, text, case = _path(match)
    parts = [f"path {PATH_WORDS[kind]} {text}{case}"]
    if match.methods:
        parts.append(f"method {_one_of(match.methods)}")
    parts += [f"{_subject(item)} {_expected(item)}" for item in (*match.headers, *match.query)]
    return ", ".join(parts)


def _path(match):
    kind = next(name for name in PATHS if getattr(match, name) is not None)
    return kind, _quoted(getattr(match, kind)), " (case ignored)" if match.ignore_case else ""


def _failed(match, item, request):
    if item is None:
        return f"method {_text(request.method)} is not {_one_of(match.methods)}"
    if isinstance(item, QueryMatch):
        value = parameter_reader(item.name.encode())(request)
    else:
        value = field_reader(item.name.lower().encode())(request)
    return f"{_subject(item)} {_state(item, value)}, expected {_expected(item)}"


def _state(item, value):
    if value is not None:
        return f"is {_quoted(_text(value))}"
    return 'is missing and taken as ""' if getattr(item, "treat_missing_as_empty", False) else "is missing"


def _subject(item):
    return f"query parameter {item.name}" if isinstance(item, QueryMatch) else f"header {item.name.lower()}"


def _expected(item):
    """Return what a value has to be: ``exactly "1"``, ``anything but exactly "1"``, ``to be there``."""
    inverted = getattr(item, "invert", False)
    found = _value(item)
    if found is None:
        return "to be there" if (item.present is not False) != inverted else "to be absent"
    case = " (case ignored)" if item.ignore_case and item.regex is None else ""
    return f"{'anything but ' if inverted else ''}{found}{case}"


def _value(item):
    if getattr(item, "range", None) is not None:
        return f"a whole number from {item.range.start} to {item.range.end - 1}"
    for name in VALUES:
        text = getattr(item, name)
        if text is not None:
            return f"{VALUE_WORDS[name]} {_quoted(text)}"
    return None


def _one_of(names):
    return names[0] if len(names) == 1 else f"one of {', '.join(names)}"


def _quoted(text):
    return f'"{text}"'


def _text(value):
    shown = value[:SHOWN_BYTES].decode("utf-8", "backslashreplace")
    return shown if len(value) <= SHOWN_BYTES else shown + "..."
