"""The codes that faults of this installation can have, the dialects' own too. For SARIF and ``analyze --list``."""

from typing import Any

from meshd.document.code import CODES, Code


def codes_of(registry: Any) -> dict[str, Code]:
    """Return code -> meaning, in order; ``registry`` is one as ``config.load`` has, or None."""
    found = dict(CODES)
    for name in registry.names("config_dialect") if registry is not None else ():
        dialect = registry.type("config_dialect", name).build(None, None)
        found.update(getattr(dialect, "codes", {}))
    return dict(sorted(found.items()))
