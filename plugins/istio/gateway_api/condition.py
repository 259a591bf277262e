"""Conditions as Gateway API's ``status`` has them: type, status, reason and a message for people."""

import attrs

ACCEPTED, PROGRAMMED, RESOLVED, CONFLICTED = "Accepted", "Programmed", "ResolvedRefs", "Conflicted"
PARTIALLY_INVALID, OVERLAPPING = "PartiallyInvalid", "OverlappingTLSConfig"
TRUE, FALSE, UNKNOWN = "True", "False", "Unknown"


@attrs.frozen
class Condition:
    """One condition; ``status`` is True, False or Unknown, as text."""

    type: str
    status: str
    reason: str
    message: str = ""

    @property
    def is_true(self):
        """Say whether it holds."""
        return self.status == TRUE

    def as_dict(self):
        """Return it as plain data."""
        return attrs.asdict(self)


def good(type_, reason="", message=""):
    """Return a condition that holds; its reason is its type unless another is given."""
    return Condition(type_, TRUE, reason or type_, message)


def bad(type_, reason, message):
    """Return a condition that does not hold."""
    return Condition(type_, FALSE, reason, message)
