"""Path normalisation before routing and policy, so that what was matched is what is forwarded.

As Envoy's ``normalize_path``, ``merge_slashes`` and ``path_with_escaped_slashes_action`` do, in this order: escaped
slashes, percent-encoding (unreserved characters decoded, hex digits in upper case), dot segments (RFC 3986 5.2.4),
backslash to slash, merging. The query is left alone. One search says of a typical path that nothing needs doing.
"""

import re

from meshd.errors import ProtocolError

KEEP, REJECT = "keep_unchanged", "reject_request"
UNESCAPE, UNESCAPE_AND_REDIRECT = "unescape_and_forward", "unescape_and_redirect"

# A typical path: no escape, backslash or fragment, no segment that is empty or begins with a dot.
_fast = re.compile(rb"(?:/(?![./])[^?%\\#/]*+)++(?:\?[^#]*+)?+").fullmatch
_escape = re.compile(rb"%(?:([0-9A-Fa-f]{2})|)")
_escaped_slash = re.compile(rb"%(?:2[Ff]|5[Cc])")
_slashes = re.compile(rb"//++")
_UNRESERVED = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")


class Redirect(Exception):
    """The client is to come again with ``target`` (307), for it had escaped slashes."""

    def __init__(self, target: bytes) -> None:
        super().__init__(target)
        self.target = target


def normalize(target: bytes, *, merge_slashes: bool = True, escaped_slashes: str = KEEP) -> bytes:
    """Return ``target`` (origin-form, or ``*``) normalised; the same object where nothing had to change.

    ``escaped_slashes`` says what becomes of ``%2F`` and ``%5C``: ``keep_unchanged``, ``reject_request``,
    ``unescape_and_forward``, ``unescape_and_redirect`` (raises Redirect). What no path can be is refused with 400.
    """
    if _fast(target) or target == b"*":
        return target
    path, mark, query = target.partition(b"?")
    if path[:1] != b"/" or b"#" in target:
        _refuse(target)
    is_redirect = False
    if b"%" in path:
        path, is_redirect = _unescape(path, escaped_slashes)
    path = _remove_dots(path.replace(b"\\", b"/"))
    if merge_slashes:
        path = _slashes.sub(b"/", path)
    result = path + mark + query
    if is_redirect:
        raise Redirect(b"/" + result.lstrip(b"/"))  # two slashes would name another host to the client
    return target if result == target else result


def _refuse(target: bytes) -> None:
    raise ProtocolError(f"path: {target[:80]!r}: expected no fragment, and no escape that is broken, of NUL or refused",
                        400, "path_normalization_failed")


def _unescape(path: bytes, escaped_slashes: str) -> tuple[bytes, bool]:
    is_redirect = False
    if escaped_slashes != KEEP and _escaped_slash.search(path):
        if escaped_slashes == REJECT:
            _refuse(path)
        path = path.replace(b"%2f", b"/").replace(b"%2F", b"/").replace(b"%5c", b"\\").replace(b"%5C", b"\\")
        is_redirect = escaped_slashes == UNESCAPE_AND_REDIRECT
    return _escape.sub(_replace, path), is_redirect


def _replace(match: re.Match) -> bytes:
    if match[1] is None:
        _refuse(match.string)
    byte = int(match[1], 16)
    if byte == 0:
        _refuse(match.string)
    return bytes((byte,)) if byte in _UNRESERVED else match[0].upper()


def _remove_dots(path: bytes) -> bytes:
    """RFC 3986 5.2.4, by which nothing climbs above the root."""
    if b"/." not in path:
        return path
    kept = []
    segments = path.split(b"/")[1:]
    for segment in segments:
        if segment == b"..":
            del kept[-1:]
        elif segment != b".":
            kept.append(segment)
    if segments[-1] in (b".", b".."):
        kept.append(b"")
    return b"/" + b"/".join(kept)
