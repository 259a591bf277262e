"""OpenSSL asked directly for what Python's ``ssl`` has no word for.

The pointer to OpenSSL's context is the first field of CPython's in the versions that are known here, and the library is
the one that ``_ssl`` is linked with. Where that is not to be had (another Python, OpenSSL within the interpreter),
``control`` is None.
"""

import ctypes
import ssl
import sys
from collections.abc import Callable

_KNOWN_LAYOUT = sys.implementation.name == "cpython" and (3, 11) <= sys.version_info[:2] <= (3, 14)
_MODE, _NO_AUTO_CHAIN = 33, 8
_CACHE_MODE, _CACHE_OFF = 44, 0


def _library() -> Callable[[ssl.SSLContext, int, int, bytes | None], int] | None:
    """Return ``SSL_CTX_ctrl``: it takes a context, a command, a number and text; None where it cannot be reached."""
    if not _KNOWN_LAYOUT:
        return None
    try:
        import _ssl
        library = ctypes.CDLL(getattr(_ssl, "__file__", None))
        call, clear = library.SSL_CTX_ctrl, library.ERR_clear_error
    except (ImportError, OSError, AttributeError):
        return None
    call.argtypes, call.restype = (ctypes.c_void_p, ctypes.c_int, ctypes.c_long, ctypes.c_char_p), ctypes.c_long
    clear.argtypes, clear.restype = (), None

    def ask(context: ssl.SSLContext, command: int, number: int, text: bytes | None) -> int:
        pointer = ctypes.c_void_p.from_address(id(context) + object.__basicsize__).value
        answer = call(pointer, command, number, text)
        clear()  # what is left in the thread's queue would be taken for an error of the next connection
        return answer

    return ask


control = _library()


def keep_no_sessions(context: ssl.SSLContext) -> None:
    """Let ``context``, a server's, remember no sessions: who comes back does so by ticket.

    Else OpenSSL would keep 20,480 of clients of TLS 1.2 without tickets, 10 KB each with a client's certificate.
    """
    if control is not None:
        control(context, _CACHE_MODE, _CACHE_OFF, None)


def keep_chain(context: ssl.SSLContext) -> None:
    """Let ``context``, which trusts nobody, show chains as they are.

    Else OpenSSL would look at each handshake for what it could add to a certificate that stands alone, and find nothing
    in 20 of the 300 microseconds that it needs.
    """
    if control is not None:
        control(context, _MODE, _NO_AUTO_CHAIN, None)
