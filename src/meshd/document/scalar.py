"""The one table by which an unquoted YAML word is read; nothing is inherited from YAML 1.1 or 1.2.

A word that YAML readers disagree about (``on``, ``010``, ``1:30``, ``2024-01-01``, ``.nan``) is AMBIGUOUS: it is
refused wherever its reading matters, and the fault says what to write. Quoted and block words are always TEXT.
"""

import re

NULL = "nothing"
BOOLEAN = "a truth value"
INTEGER = "a whole number"
NUMBER = "a number"
TEXT = "text"
AMBIGUOUS = "ambiguous"

TRUE_WORDS = frozenset(("true", "True", "TRUE"))
FALSE_WORDS = frozenset(("false", "False", "FALSE"))
NULL_WORDS = frozenset(("", "~", "null", "Null", "NULL"))
OLD_BOOLEANS = frozenset(
    form for word in ("y", "n", "yes", "no", "on", "off") for form in (word, word.title(), word.upper())
)

_OLD_BOOLEAN = "YAML 1.1 reads it as a truth value, YAML 1.2 as text"

TABLE = (
    (re.compile(r"-?(?:0|[1-9][0-9]*)"), INTEGER, ""),
    (re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][-+]?[0-9]+)?"), NUMBER, ""),
    (re.compile(r"[-+]?0[0-9_]+"), AMBIGUOUS, "a leading 0 means octal to YAML 1.1 only"),
    (re.compile(r"[-+]?0(?:x[0-9a-fA-F_]+|o[0-7_]+|b[01_]+)"), AMBIGUOUS, "numbers are written in decimal"),
    (re.compile(r"[-+]?[0-9][0-9_]*(?::[0-5]?[0-9])+(?:\.[0-9_]*)?"), AMBIGUOUS, "YAML 1.1 counts it in sixties"),
    (re.compile(r"[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}(?:[Tt \t].*)?"), AMBIGUOUS, "YAML 1.1 reads it as a date"),
    (re.compile(r"[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)"), AMBIGUOUS, "it is not a finite number"),
    (re.compile(r"[-+]?(?:[0-9][0-9_]*\.?[0-9_]*|\.[0-9][0-9_]*)(?:[eE][-+]?[0-9]+)?"), AMBIGUOUS,
     "YAML readers disagree about this number"),
)
"""First match decides. (form, kind, why it is ambiguous)"""

_BEGINS = frozenset("-+.0123456789")


def read(text: str) -> tuple[str, str]:
    """Return (kind, why it is ambiguous or "") of an unquoted word."""
    if not text or text in NULL_WORDS:
        return NULL, ""
    if text[0] in _BEGINS:
        for form, kind, why in TABLE:
            if form.fullmatch(text):
                return kind, why
        return TEXT, ""
    if text in TRUE_WORDS or text in FALSE_WORDS:
        return BOOLEAN, ""
    if text in OLD_BOOLEANS:
        return AMBIGUOUS, _OLD_BOOLEAN
    return TEXT, ""


def quoted(text: str) -> str:
    """Return the text in double quotes, as JSON and YAML both read it."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return '"' + re.sub(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ufeff]", lambda m: f"\\u{ord(m[0]):04x}", escaped) + '"'
