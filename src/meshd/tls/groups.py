"""The groups of key exchange ("curves") of a context, several in order of preference.

Python's ``ssl`` takes a list from 3.15 on (``set_groups``); before, ``set_ecdh_curve`` takes one. OpenSSL takes lists,
so there it is asked directly. Where that cannot be, one can be chosen, and without a choice OpenSSL's own list is
offered.
"""

import ssl
from collections.abc import Callable

from meshd.errors import MeshdError
from meshd.tls import direct

DEFAULTS = ("?*X25519MLKEM768 / ?*X25519:?P-256 / ?P-384", "X25519:P-256:P-384", "P-256:P-384")
"""What is offered without a choice, the first of these that OpenSSL knows: Envoy's X25519 and P-256, and P-384, which
Mozilla adds; before them the hybrid against quantum computers, as OpenSSL has it from 3.5 on; FIPS has no X25519."""
ALIASES = {"P-256": "prime256v1", "P-384": "secp384r1", "P-521": "secp521r1"}
"""NIST's names, as ``set_ecdh_curve`` knows them."""


def _way() -> Callable[[ssl.SSLContext, str], bool] | None:
    """Return what gives OpenSSL a list, and says whether it took it; None where OpenSSL cannot be reached."""
    if hasattr(ssl.SSLContext, "set_groups"):
        return _by_python
    return direct.set_groups if direct.can_ask() else None


def _by_python(context: ssl.SSLContext, groups: str) -> bool:
    try:
        context.set_groups(groups)
    except ssl.SSLError:
        return False
    return True


_give = _way()


def can_choose_several() -> bool:
    """Say whether lists can be given here."""
    return _give is not None


def choose(context: ssl.SSLContext, names: tuple[str, ...]) -> None:
    """Offer these groups, the best first; without names the default. Raises MeshdError for unknown ones."""
    if _give is None:
        if len(names) == 1:
            _choose_one(context, names[0])
    elif not names:
        any(_give(context, one) for one in DEFAULTS)
    elif not _give(context, ":".join(names)):
        unknown = next((one for one in names if not _give(context, one)), None)
        what = "expected each once" if unknown is None else f"{unknown!r}: OpenSSL does not know it"
        raise MeshdError(f"ecdh_curves: {what}")


def _choose_one(context: ssl.SSLContext, name: str) -> None:
    try:
        context.set_ecdh_curve(ALIASES.get(name, name))
    except (ValueError, ssl.SSLError):
        raise MeshdError(f"ecdh_curves: {name!r}: OpenSSL does not know it") from None
