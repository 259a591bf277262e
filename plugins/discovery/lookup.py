"""The addresses of one host, by a resolver and groups of record types; for ``dynamic``."""

from typing import Any

from twisted.internet.defer import inlineCallbacks

from meshd_plugins.discovery.system import is_address

NEVER_S = 86400.0


@inlineCallbacks
def addresses(resolver: Any, host: str, groups: tuple[tuple[str, ...], ...]) -> Any:
    """Return a Deferred of (addresses, seconds until to ask again); fails as the resolver does.

    The next group of types is asked where one has nothing.
    """
    if is_address(host):
        return [host], NEVER_S
    found: list[str] = []
    ttl_s = NEVER_S
    for group in groups:
        for kind in group:
            records = yield resolver.query(host, kind)
            found += records.values
            ttl_s = min(ttl_s, records.ttl_s) if records.values else ttl_s
        if found:
            break
    return found, ttl_s if found else 0.0
