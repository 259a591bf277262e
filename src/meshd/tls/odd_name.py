"""Server names that are not ASCII.

CPython's ``ssl`` cannot show such a name to the callback that chooses a certificate: it refuses the handshake
(``internal_error``), which is counted as any that fails, and writes a traceback, so that anybody could fill the log.
"""

import sys
from typing import Any


def keep_quiet() -> None:
    """Let this process write no traceback for such a name; all others are written as before."""
    write = sys.unraisablehook

    def hook(unraisable: Any) -> None:
        if not (isinstance(unraisable.exc_value, UnicodeDecodeError) and isinstance(unraisable.object, bytes)):
            write(unraisable)

    sys.unraisablehook = hook
