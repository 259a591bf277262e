"""Gateway API's durations (GEP-2257): up to four whole numbers with units, as in ``1h30m`` and ``500ms``."""

import re

from meshd.api import Duration, Scalar

TIME = Duration(maximum=99999 * 3600.0)
_FORM = re.compile(r"([0-9]{1,5}(h|m|s|ms)){1,4}")


def form_faults(one, keys):
    """Yield a fault for each of ``keys`` (attribute -> key) whose text is not of that form."""
    for name, key in keys.items():
        node = one.node.get(key) if one.node is not None else None
        if type(node) is Scalar and getattr(one, name) is not None and not _FORM.fullmatch(node.text):
            yield name, f"expected whole numbers with the units h, m, s, ms, as in 1m30s, got {node.text!r}"
