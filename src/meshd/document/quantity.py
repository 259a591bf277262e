"""Durations and sizes as people write them, to seconds and bytes and back."""

import re

_DURATION = re.compile(r"(?:[0-9]+(?:\.[0-9]+)?(?:ms|us|s|m|h|d))+")
_PART = re.compile(r"([0-9]+(?:\.[0-9]+)?)(ms|us|s|m|h|d)")
_SECONDS = {"us": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_ORDER = ("d", "h", "m", "s", "ms", "us")

_GO_PART = re.compile(r"([0-9]+\.?[0-9]*|\.[0-9]+)(ns|us|µs|μs|ms|s|m|h)")
_GO_DURATION = re.compile(f"(?:{_GO_PART.pattern})+")
_GO_SECONDS = {**_SECONDS, "ns": 1e-9, "µs": 1e-6, "μs": 1e-6}

_SIZE = re.compile(r"([0-9]+)(B|KiB|MiB|GiB|TiB|kB|KB|MB|GB|TB)")
_BYTES = {
    "B": 1, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30, "TiB": 2**40,
    "kB": 10**3, "KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12,
}

LONGEST = 40
"""Characters of a written quantity."""


def parse_duration(text: str) -> float | None:
    """Return the seconds of ``1m30s`` (units from large to small, each once), or None."""
    if text == "0":
        return 0.0
    if len(text) > LONGEST or not _DURATION.fullmatch(text):
        return None
    parts = _PART.findall(text)
    places = [_ORDER.index(unit) for _, unit in parts]
    if places != sorted(set(places)):
        return None
    return sum(float(figure) * _SECONDS[unit] for figure, unit in parts)


def parse_go_duration(text: str) -> float | None:
    """Return the seconds of a duration as Go's ``time.ParseDuration`` reads it, or None."""
    sign = -1.0 if text.startswith("-") else 1.0
    plain = text[1:] if text[:1] in ("-", "+") else text
    if plain == "0":
        return 0.0
    if len(text) > LONGEST or not _GO_DURATION.fullmatch(plain):
        return None
    return sign * sum(float(figure) * _GO_SECONDS[unit] for figure, unit in _GO_PART.findall(plain))


def parse_size(text: str) -> int | None:
    """Return the bytes of ``64KiB`` or of a whole number, or None."""
    if len(text) > LONGEST:
        return None
    if text.isascii() and text.isdigit() and (text == "0" or text[0] != "0"):
        return int(text)
    found = _SIZE.fullmatch(text)
    return int(found[1]) * _BYTES[found[2]] if found else None


def format_duration(seconds: float) -> str:
    """Return seconds in the largest unit that keeps a whole number (``1.5`` is ``1500ms``)."""
    if seconds == 0:
        return "0s"
    microseconds = round(seconds * 1e6)
    if microseconds / 1e6 != seconds:
        return f"{seconds:.12f}".rstrip("0").rstrip(".") + "s"
    for unit in ("d", "h", "m", "s", "ms"):
        size = round(_SECONDS[unit] * 1e6)
        if microseconds % size == 0:
            return f"{microseconds // size}{unit}"
    return f"{microseconds}us"


def format_size(size: int) -> str:
    """Return bytes in the largest binary unit that keeps a whole number."""
    for unit in ("TiB", "GiB", "MiB", "KiB"):
        if size and size % _BYTES[unit] == 0:
            return f"{size // _BYTES[unit]}{unit}"
    return str(size)
