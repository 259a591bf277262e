"""What libnghttp2 checks of each field and h2 does not, or only with a connection error; called by the pure engine."""

import re

from meshd.http.h2.fields import malformed

_is_name = re.compile(rb":?[!#$%&'*+\-.^_`|~0-9a-z]++").fullmatch
_is_value = re.compile(rb"(?:[!-~\x80-\xff](?:[\t -~\x80-\xff]*[!-~\x80-\xff])?)?").fullmatch


def check(section: tuple) -> None:
    """Refuse names that are no lower-case tokens, and values with control characters or with white space around them
    (RFC 9113 8.2.1)."""
    for name, value in section:
        if not _is_name(name):
            raise malformed(f"field: {name[:64]!r}: expected a name in lower case")
        if not _is_value(value):
            raise malformed(f"{name[:64]!r}: expected a value without control characters, or white space around it")
