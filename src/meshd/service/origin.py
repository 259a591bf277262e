"""Where the values of the configuration came from, for /config_dump?origins=1: read anew in a process of its own.

``python -m meshd.service.origin PATH...`` prints them as JSON; the daemon keeps no origins, for they are larger than
the configuration.
"""

import json
import sys
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.utils import getProcessOutput

from meshd.config.load import load_documents, plugin_settings
from meshd.config.source import read
from meshd.errors import ConfigurationError
from meshd.registry import Registry


def ask(reactor: Any, paths: tuple[str, ...], digest: str) -> Deferred:
    """Return a Deferred of the origins of what is in force; of a dict with ``error`` where the files have changed."""
    output = getProcessOutput(sys.executable, ("-m", "meshd.service.origin", *paths), env=None, reactor=reactor)
    output.addCallback(lambda data: _checked(json.loads(data), digest))
    return output.addErrback(lambda failure: _error(failure.getErrorMessage()))


def _checked(found: dict, digest: str) -> dict:
    if found.get("digest") != digest:
        return _error("the files have changed since they were loaded")
    return found["origins"]


def _error(text: str) -> dict:
    return {"error": f"origins: {text}"}


def main(paths: list[str]) -> int:
    """Print digest and origins of the configuration at ``paths``."""
    documents = read(paths)
    try:
        loaded = load_documents(documents, Registry.load(plugin_settings(documents)), with_origins=True)
        found = {"digest": loaded.digest, "origins": loaded.origins}
    except ConfigurationError as error:
        found = {"digest": "", "error": str(error)}
    json.dump(found, sys.stdout)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
