"""meshd: a service mesh that you pip install."""

import os

__version__ = "0.1.0"

if os.environ.get("MESHD_PURE", "0") not in ("", "0"):
    from meshd.hot import pure

    pure.install()
