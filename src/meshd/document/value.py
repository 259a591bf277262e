"""One function for each simple kind of value: ``f(spec, node, context, path)`` returns the decoded value or BAD.

``decode`` has those of lists, mappings, nested classes and plugins; ``FUNCTIONS`` is the table of all.
"""

import math
import os
import re
from collections.abc import Callable
from functools import lru_cache

import attrs

from meshd.document import option, scalar
from meshd.document.address import BadAddress, check_address
from meshd.document.context import Context, Referral
from meshd.document.node import Node, Scalar, Sequence
from meshd.document.quantity import (
    format_duration, format_size, parse_duration, parse_go_duration, parse_size,
)
from meshd.document.regex import BadRegex, compile_regex


class _Bad:
    def __repr__(self) -> str:
        return "BAD"


BAD = _Bad()
"""Could not be decoded; the fault has been added."""

CREDENTIAL = "credential:"

_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_VALUE = re.compile(r"(?:[\x21-\x7e\x80-\U0010ffff](?:[\t\x20-\x7e\x80-\U0010ffff]*[\x21-\x7e\x80-\U0010ffff])?)?")


def shown(node: Node) -> str:
    """Return what stands at ``node``, for a message."""
    if not isinstance(node, Scalar):
        return node.what
    if node.plain and node.text in scalar.NULL_WORDS:
        return "nothing"
    text = node.text if len(node.text) <= 60 else node.text[:57] + "..."
    return text if node.plain and scalar.read(node.text)[0] != scalar.TEXT else repr(text)


def wrong(node: Node, context: Context, path: str, expected: str, hint: str = ""):
    """Add the fault of a wrong type and return BAD."""
    context.fault("MSH0101", node, path, f"expected {expected}, got {shown(node)}", hint=hint)
    return BAD


def ambiguous(node: Scalar, context: Context, path: str, expected: str, why: str, hint: str):
    """Add the fault of a word that YAML readers disagree about and return BAD."""
    context.fault("MSH0116", node, path, f"expected {expected}, got {node.text}", hint=hint, notes=(why,))
    return BAD


def raw_text(node: Node, context: Context, path: str, expected: str = "text"):
    """Return the text of a scalar that every YAML reader reads as text, or BAD."""
    if type(node) is not Scalar:
        return wrong(node, context, path, expected)
    if not node.plain:
        return node.text
    kind, why = scalar.read(node.text)
    if kind is scalar.TEXT:
        return node.text
    if kind is scalar.NULL:
        return wrong(node, context, path, expected, "write the value, or remove the key")
    hint = f"quote it: {scalar.quoted(node.text)}" if expected == "text" else ""
    if why:
        return ambiguous(node, context, path, expected, why, hint)
    return wrong(node, context, path, expected, hint)


@lru_cache(maxsize=256)
def _pattern(pattern: str):
    return re.compile(pattern)


def text(spec: option.Text, node: Node, context: Context, path: str):
    """Decode ``Text``. A secret is never shown in a fault."""
    if spec.secret:
        return _secret(spec, node, context, path)
    value = raw_text(node, context, path)
    if value is BAD:
        return BAD
    if not spec.minimum <= len(value) <= spec.maximum:
        expected = f"at most {spec.maximum}" if len(value) > spec.maximum else f"at least {spec.minimum}"
        context.fault("MSH0112", node, path, f"text of {len(value)} characters, expected {expected}")
        return BAD
    if spec.pattern is not None and not _pattern(spec.pattern).fullmatch(value):
        context.fault("MSH0106", node, path, f"expected text of the form {spec.pattern}, got {value!r}")
        return BAD
    return value


def _secret(spec: option.Text, node: Node, context: Context, path: str):
    """Decode a secret; its faults show neither it nor its line."""
    if type(node) is Scalar and (not node.plain or scalar.read(node.text)[0] is scalar.TEXT):
        is_formed = spec.pattern is None or _pattern(spec.pattern).fullmatch(node.text)
        if is_formed and spec.minimum <= len(node.text) <= spec.maximum:
            return node.text
    mark = attrs.evolve(node.mark(), text="", before=())
    form = f" of the form {spec.pattern}" if spec.pattern else ""
    expected = f"expected quoted text{form} of {spec.minimum} to {spec.maximum} characters"
    context.fault("MSH0106", mark, path, f"{expected}, got something else (a secret, not shown)")
    return BAD


def integer(spec: option.Integer, node: Node, context: Context, path: str):
    """Decode ``Integer``."""
    expected = _bounds("a whole number", spec.minimum, spec.maximum, 2**63 - 1, 0)
    expected = " or ".join((expected, *spec.words))
    if type(node) is not Scalar:
        return wrong(node, context, path, expected)
    if node.text in spec.words:
        return node.text
    kind, why = scalar.read(node.text) if node.plain else (scalar.TEXT, "")
    if kind is scalar.AMBIGUOUS:
        return ambiguous(node, context, path, expected, why, "write it in plain decimal")
    if kind is not scalar.INTEGER or len(node.text) > 20:
        return wrong(node, context, path, expected, _unquote_hint(node))
    return _within(int(node.text), spec, node, context, path, expected)


def number(spec: option.Number, node: Node, context: Context, path: str):
    """Decode ``Number`` to float."""
    expected = _bounds("a number", spec.minimum, spec.maximum, 1e308, 0.0)
    if type(node) is not Scalar:
        return wrong(node, context, path, expected)
    kind, why = scalar.read(node.text) if node.plain else (scalar.TEXT, "")
    if kind is scalar.AMBIGUOUS:
        return ambiguous(node, context, path, expected, why, "write it in plain decimal")
    if kind not in (scalar.INTEGER, scalar.NUMBER) or len(node.text) > 40:
        return wrong(node, context, path, expected, _unquote_hint(node))
    return _within(float(node.text), spec, node, context, path, expected)


def _unquote_hint(node: Scalar) -> str:
    is_number = scalar.read(node.text)[0] in (scalar.INTEGER, scalar.NUMBER)
    return f"remove the quotes: {node.text}" if not node.plain and is_number else ""


def _bounds(what: str, minimum, maximum, none_above, none_below) -> str:
    if maximum == none_above:
        return what if minimum == none_below else f"{what} of at least {minimum}"
    return f"{what} from {minimum} to {maximum}"


def _within(value, spec, node: Node, context: Context, path: str, expected: str):
    if spec.minimum <= value <= spec.maximum:
        return value
    context.fault("MSH0102", node, path, f"expected {expected}, got {node.text}")
    return BAD


def boolean(spec: option.Boolean, node: Node, context: Context, path: str):
    """Decode ``Boolean``."""
    if type(node) is Scalar and node.plain:
        if node.text in scalar.TRUE_WORDS:
            return True
        if node.text in scalar.FALSE_WORDS:
            return False
        kind, why = scalar.read(node.text)
        if kind is scalar.AMBIGUOUS:
            meant = {"y": "true", "o": "true", "n": "false"}.get(node.text[0].lower(), "")
            meant = "false" if node.text.lower() == "off" else meant
            return ambiguous(node, context, path, "true or false", why, f"write {meant}" if meant else "")
    is_quoted = type(node) is Scalar and node.text in scalar.TRUE_WORDS | scalar.FALSE_WORDS
    return wrong(node, context, path, "true or false", f"remove the quotes: {node.text}" if is_quoted else "")


def duration(spec: option.Duration, node: Node, context: Context, path: str):
    """Decode ``Duration`` to seconds."""
    expected = "a time with a unit such as 250ms, 5s, 1m30s"
    if type(node) is not Scalar:
        return wrong(node, context, path, expected)
    value = parse_go_duration(node.text) if spec.is_go else parse_duration(node.text)
    if value is None:
        kind, why = scalar.read(node.text) if node.plain else (scalar.TEXT, "")
        if kind is scalar.NULL:
            return wrong(node, context, path, expected)
        hint = f"write {node.text}s or {node.text}ms" if kind in (scalar.INTEGER, scalar.NUMBER) else ""
        context.fault("MSH0106", node, path, f"expected {expected}, got {shown(node)}", hint=hint,
                      notes=(why,) if why else ())
        return BAD
    if spec.step and abs(round(value / spec.step) * spec.step - value) > 1e-9:
        context.fault("MSH0102", node, path, f"expected a multiple of {format_duration(spec.step)}, got {node.text}")
        return BAD
    if spec.minimum <= value <= spec.maximum:
        return value
    limits = f"a time from {format_duration(spec.minimum)} to {format_duration(spec.maximum)}"
    return _within(value, spec, node, context, path, limits)


def size(spec: option.Size, node: Node, context: Context, path: str):
    """Decode ``Size`` to bytes."""
    expected = "a size such as 64KiB, 1MiB or a whole number of bytes"
    if type(node) is not Scalar:
        return wrong(node, context, path, expected)
    value = parse_size(node.text)
    if value is None:
        code = "MSH0101" if shown(node) == "nothing" else "MSH0106"
        context.fault(code, node, path, f"expected {expected}, got {shown(node)}")
        return BAD
    limits = f"a size from {format_size(spec.minimum)} to {format_size(spec.maximum)}"
    return _within(value, spec, node, context, path, limits)


def choice(spec: option.Choice, node: Node, context: Context, path: str):
    """Decode ``Choice``; its words are compared as they are written, so ``off`` may be one of them."""
    expected = "one of " + ", ".join(spec.words) if len(spec.words) > 1 else str(spec.words[0])
    if type(node) is not Scalar:
        return wrong(node, context, path, expected)
    if node.text in spec.words:
        return spec.words[spec.words.index(node.text)]
    guess = context.guess(node.text, spec.words)
    context.fault("MSH0105", node, path, f"expected {expected}, got {shown(node)}",
                  hint=f'did you mean "{guess}"?' if guess else "")
    return BAD


def regex(spec: option.Regex, node: Node, context: Context, path: str):
    """Decode ``Regex``: the text of an expression that RE2 takes."""
    value = raw_text(node, context, path)
    if value is BAD:
        return BAD
    try:
        compile_regex(value, spec.maximum)
    except BadRegex as error:
        context.fault("MSH0108", node, path, str(error))
        return BAD
    return value


def address(spec: option.Address, node: Node, context: Context, path: str):
    """Decode ``Address``: its text, checked."""
    if type(node) is not Scalar or (node.plain and node.text in scalar.NULL_WORDS):
        return wrong(node, context, path, "an address: HOST:PORT, [V6]:PORT or unix:PATH")
    try:
        check_address(node.text, spec.resolve)
    except BadAddress as error:
        context.fault("MSH0107", node, path, f"{error}, got {node.text!r}", hint=error.hint)
        return BAD
    return node.text


def file(spec: option.File, node: Node, context: Context, path: str):
    """Decode ``File``: an absolute path, read from the folder of the file that names it."""
    context.looks += 1
    value = raw_text(node, context, path)
    if value is BAD:
        return BAD
    if not value or "\0" in value:
        return wrong(node, context, path, "a path")
    if value.startswith(CREDENTIAL):
        return _credential(value[len(CREDENTIAL):], node, context, path)
    value = os.path.normpath(os.path.join(os.path.dirname(os.path.abspath(node.source.file)), value))
    if spec.exists and not os.access(value, os.R_OK):
        context.fault("MSH0110", node, path, f"no readable file {value!r}", hint=missing_hint(value, context.guess))
        return BAD
    return value


def _credential(name: str, node: Node, context: Context, path: str):
    """Return the path of a credential that systemd has given to the service (systemd.exec(5), LoadCredential=)."""
    folder = os.environ.get("CREDENTIALS_DIRECTORY", "")
    if "/" in name or name in ("", ".", ".."):
        context.fault("MSH0106", node, path, f"expected {CREDENTIAL}NAME, a name without a slash, got {name!r}")
        return BAD
    value = os.path.join(folder, name)
    if folder and os.access(value, os.R_OK):
        return value
    if folder:
        what, hint = f"no credential {name!r}", missing_hint(value, context.guess)
    else:
        what = f"no credential {name!r}: CREDENTIALS_DIRECTORY is not set"
        hint = "systemd sets it in units with LoadCredential=; elsewhere set it to a folder of files named so"
    context.fault("MSH0110", node, path, what, hint=hint)
    return BAD


def missing_hint(path: str, nearest: Callable) -> str:
    """Return what is wrong with a path that cannot be read; ``nearest(word, known)`` finds what was meant."""
    if os.path.exists(path):
        return "it may not be read by this user"
    folder = os.path.dirname(path)
    if not os.path.isdir(folder):
        return f"there is no folder {folder}"
    try:
        guess = nearest(os.path.basename(path), os.listdir(folder)[:1000])
    except OSError:
        guess = None
    return f'did you mean "{guess}"?' if guess else "no such file"


def reference(spec: option.Reference, node: Node, context: Context, path: str):
    """Decode ``Reference``: a name, looked up when everything has been read."""
    value = raw_text(node, context, path)
    if value is BAD:
        return BAD
    context.referrals.append(Referral(spec.kind, value, node, path))
    return value


def header_name(spec: option.HeaderName, node: Node, context: Context, path: str):
    """Decode ``HeaderName`` to lower case."""
    value = raw_text(node, context, path)
    if value is BAD:
        return BAD
    if not _TOKEN.fullmatch(value) or len(value) > 256:
        context.fault("MSH0109", node, path, f"expected a header name, got {value[:60]!r}")
        return BAD
    return value.lower()


def header_value(spec: option.HeaderValue, node: Node, context: Context, path: str):
    """Decode ``HeaderValue``."""
    value = raw_text(node, context, path)
    if value is BAD:
        return BAD
    if not _VALUE.fullmatch(value) or len(value) > 16384:
        context.fault("MSH0109", node, path, "expected a header value without control characters or spaces at its ends")
        return BAD
    return value


def anything(spec: option.Anything, node: Node, context: Context, path: str):
    """Decode ``Anything`` to plain Python."""
    if type(node) is Scalar:
        return _plain(node, context, path)
    if type(node) is Sequence:
        found = [anything(spec, item, context, f"{path}[{place}]") for place, item in enumerate(node.items)]
        return BAD if any(item is BAD for item in found) else found
    entries = {key: anything(spec, value, context, f"{path}.{key}") for key, (_, value) in node.entries.items()}
    return BAD if any(item is BAD for item in entries.values()) else entries


def _plain(node: Scalar, context: Context, path: str):
    if not node.plain:
        return node.text
    kind, why = scalar.read(node.text)
    if kind is scalar.AMBIGUOUS:
        return ambiguous(node, context, path, "a value", why, f"quote it: {scalar.quoted(node.text)}")
    if kind is scalar.INTEGER and len(node.text) > 40:
        return wrong(node, context, path, "a number of at most 40 digits")
    if kind is scalar.NUMBER and not math.isfinite(float(node.text)):
        return wrong(node, context, path, "a finite number")
    readers = {
        scalar.NULL: lambda text: None, scalar.BOOLEAN: lambda text: text in scalar.TRUE_WORDS,
        scalar.INTEGER: int, scalar.NUMBER: float, scalar.TEXT: str,
    }
    return readers[kind](node.text)


FUNCTIONS = {
    option.Text: text, option.Integer: integer, option.Number: number, option.Boolean: boolean,
    option.Duration: duration, option.Size: size, option.Choice: choice, option.Regex: regex, option.Address: address,
    option.File: file, option.Reference: reference, option.HeaderName: header_name,
    option.HeaderValue: header_value, option.Anything: anything,
}
"""Spec class -> function of its values."""
