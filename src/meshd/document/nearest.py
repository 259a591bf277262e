"""The known word nearest to a misspelt one: Damerau-Levenshtein distance of at most 2, other spellings, other names."""

import re
from collections.abc import Iterable

OTHER_NAMES = {
    "addr": "address", "bind": "address", "listen": "address", "port": "address", "host": "address",
    "lb": "load_balancer", "lb_policy": "load_balancer", "balancer": "load_balancer", "breaker": "circuit_breaker",
    "http_filters": "filters", "filter_chain": "filters", "middlewares": "filters", "hosts": "endpoints",
    "upstreams": "clusters", "services": "clusters", "servers": "endpoints", "entry_points": "listeners",
    "service": "cluster", "backend": "cluster", "domains": "hosts", "vhosts": "virtual_hosts",
    "round_trip_timeout": "timeout", "typed_config": "config", "metadata": "labels", "tags": "labels",
}
"""Names that other proxies use for the same thing."""


def snake_case(word: str) -> str:
    """Return ``perTryTimeout`` and ``per-try-timeout`` as ``per_try_timeout``."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", word).replace("-", "_").lower()


def nearest(word: str, known: Iterable[str], limit: int = 2) -> str | None:
    """Return the known word that was probably meant, or None."""
    known = list(known)
    plain = snake_case(word)
    for guess in (plain, OTHER_NAMES.get(plain), *_unit_forms(plain)):
        if guess in known and guess != word:
            return guess
    for item in known:
        if snake_case(item) == plain and item != word:
            return item
    limit = min(limit, max(1, len(word) // 3))
    scored = [(distance(word, item, limit), item) for item in known if abs(len(item) - len(word)) <= limit]
    best = min(scored, default=(limit + 1, ""), key=lambda pair: pair[0])
    return best[1] if best[0] <= limit else None


def _unit_forms(word: str) -> Iterable[str]:
    for suffix in ("_s", "_ms", "_seconds", "_bytes", "_sec"):
        if word.endswith(suffix):
            yield word[: -len(suffix)]


def distance(one: str, two: str, limit: int) -> int:
    """Return the Damerau-Levenshtein distance (adjacent swaps count 1), or ``limit + 1`` when it is larger."""
    if one == two:
        return 0
    if abs(len(one) - len(two)) > limit or len(one) > 100:
        return limit + 1
    older: list[int] = []
    old = list(range(len(two) + 1))
    for i, left in enumerate(one, 1):
        row = [i]
        for j, right in enumerate(two, 1):
            cost = min(old[j] + 1, row[j - 1] + 1, old[j - 1] + (left != right))
            if i > 1 and j > 1 and left == two[j - 2] and one[i - 2] == right:
                cost = min(cost, older[j - 2] + 1)
            row.append(cost)
        older, old = old, row
    return min(old[-1], limit + 1)
