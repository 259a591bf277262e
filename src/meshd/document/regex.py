"""User regular expressions: RE2 only, whole match, bounded in length and program size; they cannot hang the daemon."""

import re2

MAX_LENGTH = 4096
MAX_MEMORY_BYTES = 2 * 1024 * 1024

_OPTIONS = re2.Options()
_OPTIONS.log_errors = False
_OPTIONS.max_mem = MAX_MEMORY_BYTES


class BadRegex(ValueError):
    """The expression cannot be used; the text says why and what was expected."""


def compile_regex(pattern: str | bytes, maximum: int = 1000):
    """Return the compiled expression (use ``fullmatch``). Raises ``BadRegex``. ``maximum`` bounds RE2's program."""
    if len(pattern) > MAX_LENGTH:
        raise BadRegex(f"regular expression of {len(pattern)} characters, expected at most {MAX_LENGTH}")
    try:
        compiled = re2.compile(pattern, _OPTIONS)
        size = compiled.programsize
    except (re2.error, UnicodeError) as error:
        raise BadRegex(f"not an RE2 regular expression: {_reason(error)}") from None
    if size > maximum:
        raise BadRegex(f"regular expression of program size {size}, expected at most {maximum}")
    return compiled


def _reason(error: Exception) -> str:
    reason = error.args[0] if error.args else error
    return reason.decode("utf-8", "replace") if isinstance(reason, bytes) else str(reason)
