"""How header fields are written in rules: names to match and to edit, values with Envoy's ``%VARIABLE%``."""

import re

TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
PSEUDO = frozenset((":method", ":scheme", ":authority", ":path", ":status"))
CLAIM = re.compile(r"@request\.auth\.claims(?:\..+|\[.+\])", re.IGNORECASE | re.DOTALL)
_TEXT = re.compile(r"[^\x00-\x08\x0a-\x1f\x7f]*")
_STRING = r"""(?:\\.|[^\\)"])*"""
_ARGUMENTS = rf"""\( *(?:\[ *"|[^ \[]){_STRING}(?:" *, *"{_STRING})*(?:\)|" *\] *\)) *%"""
_VALUE = re.compile(rf"(?:[^%]|%%|%[^%(]+%|%[^%(]*{_ARGUMENTS})*", re.DOTALL)
METHODS = frozenset(("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "CONNECT", "OPTIONS", "TRACE", "*"))


def is_claim(name):
    """Say whether a match is on a claim of the request's token (``@request.auth.claims.sub``)."""
    return CLAIM.fullmatch(name) is not None


def match_name_fault(name):
    """A field's name in a match: a token, a pseudo header, or a claim."""
    if name in PSEUDO or TOKEN.fullmatch(name) or is_claim(name):
        return ""
    return f"expected the name of a header field, got {name!r}"


def cors_name_fault(name):
    """A field's name in a CORS policy: a token, or ``*``."""
    return "" if TOKEN.fullmatch(name) else f"expected the name of a header field or *, got {name!r}"


def method_fault(method):
    """A method in a CORS policy."""
    return "" if method in METHODS else f"expected a method in upper case, or *, got {method!r}"


def is_authority(name):
    """Say whether the field is the request's host."""
    return name.lower() in (":authority", "host")


def edit_name_fault(name, may_be_authority):
    """A field's name in an edit."""
    if may_be_authority and is_authority(name):
        return ""
    if name.lower() == "host":
        return "expected another field: Host may only be set or added in requests"
    if name.startswith(":"):
        return f"expected a field without a colon, got {name!r}"
    return "" if TOKEN.fullmatch(name) else f"expected the name of a header field, got {name!r}"


def value_fault(value):
    """A field's value in an edit: no control characters, and every ``%`` belongs to ``%NAME%`` or ``%%``."""
    if not _TEXT.fullmatch(value):
        return "expected a value without control characters"
    return "" if _VALUE.fullmatch(value) else f"expected %NAME%, %NAME(ARGUMENT)% or %% at each %, got {value!r}"
