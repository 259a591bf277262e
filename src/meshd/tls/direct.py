"""OpenSSL asked directly for what Python's ``ssl`` has no word for.

The pointer to OpenSSL's context is the first field of CPython's in the versions that are known here, and the library is
the one that ``_ssl`` is linked with. Where that is not to be had (another Python, OpenSSL within the interpreter),
nothing is asked, and the answer is no.
"""

import ctypes
import ssl
import sys
from typing import Any

_KNOWN_LAYOUT = sys.implementation.name == "cpython" and (3, 11) <= sys.version_info[:2] <= (3, 14)
_MODE, _NO_AUTO_CHAIN = 33, 8
_CACHE_MODE, _CACHE_OFF = 44, 0
_SET_GROUPS_LIST = 92
_CALLS: tuple[tuple[str, Any, tuple[Any, ...]], ...] = (
    ("SSL_CTX_ctrl", ctypes.c_long, (ctypes.c_void_p, ctypes.c_int, ctypes.c_long, ctypes.c_char_p)),
    ("SSL_CTX_set_ciphersuites", ctypes.c_int, (ctypes.c_void_p, ctypes.c_char_p)),
    ("ERR_clear_error", None, ()),
)


def _library() -> ctypes.CDLL | None:
    """Return the library, None where it cannot be reached."""
    if not _KNOWN_LAYOUT:
        return None
    try:
        import _ssl
        library = ctypes.CDLL(getattr(_ssl, "__file__", None))
        for name, answer, arguments in _CALLS:
            call = getattr(library, name)
            call.restype, call.argtypes = answer, arguments
    except (ImportError, OSError, AttributeError):
        return None
    return library


_openssl = _library()


def can_ask() -> bool:
    """Say whether OpenSSL can be reached."""
    return _openssl is not None


def _ask(name: str, context: ssl.SSLContext, *arguments: Any) -> int:
    """Call a function of a context; return its answer, 0 where OpenSSL cannot be reached."""
    if _openssl is None:
        return 0
    pointer = ctypes.c_void_p.from_address(id(context) + object.__basicsize__).value
    answer = getattr(_openssl, name)(pointer, *arguments)
    _openssl.ERR_clear_error()  # what is left in the thread's queue would be taken for an error of the next connection
    return answer


def set_groups(context: ssl.SSLContext, groups: str) -> bool:
    """Let ``context`` offer these groups of key exchange, "A:B"; return whether OpenSSL has taken them."""
    return _ask("SSL_CTX_ctrl", context, _SET_GROUPS_LIST, 0, groups.encode("ascii")) == 1


def set_suites(context: ssl.SSLContext, suites: str) -> bool:
    """Let ``context`` have these cipher suites of TLS 1.3, "A:B"; return whether OpenSSL has taken them."""
    return _ask("SSL_CTX_set_ciphersuites", context, suites.encode("ascii")) == 1


def keep_no_sessions(context: ssl.SSLContext) -> None:
    """Let ``context``, a server's, remember no sessions: who comes back does so by ticket.

    Else OpenSSL would keep 20,480 of clients of TLS 1.2 without tickets, 10 KB each with a client's certificate.
    """
    _ask("SSL_CTX_ctrl", context, _CACHE_MODE, _CACHE_OFF, None)


def keep_chain(context: ssl.SSLContext) -> None:
    """Let ``context``, which trusts nobody, show chains as they are.

    Else OpenSSL would look at each handshake for what it could add to a certificate that stands alone, and find nothing
    in 20 of the 300 microseconds that it needs.
    """
    _ask("SSL_CTX_ctrl", context, _MODE, _NO_AUTO_CHAIN, None)
