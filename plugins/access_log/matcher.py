"""From the ``filter`` of an access log to a callable(exchange) -> bool; called when the sink is built."""

import re
from collections.abc import Callable
from typing import Any

from meshd.api import flag

_STATUS = re.compile(r"(\d{3})(?:-(\d{3}))?|([1-9])xx")


def parse_status(text: str) -> range:
    """Return the statuses of ``404``, ``5xx`` or ``400-499``; raises ValueError."""
    found = _STATUS.fullmatch(text)
    if found is None:
        raise ValueError(f"expected a status as 404, 5xx or 400-499, got {text!r}")
    if found[3]:
        return range(int(found[3]) * 100, int(found[3]) * 100 + 100)
    low, high = int(found[1]), int(found[2] or found[1])
    if low > high:
        raise ValueError(f"expected the lower status first, got {text!r}")
    return range(low, high + 1)


def compile_match(config: Any, site: Any) -> Callable[[Any], bool] | None:
    """Return the test of a Filter, None where everything passes."""
    tests = _tests(config, site) if config is not None else []
    if len(tests) <= 1:
        return tests[0] if tests else None
    every = all if config.match == "all" else any
    return lambda exchange: every(test(exchange) for test in tests)


def _tests(config: Any, site: Any) -> list[Callable[[Any], bool]]:
    tests: list[Callable[[Any], bool]] = []
    if config.status:
        wanted = frozenset().union(*(parse_status(text) for text in config.status))
        tests.append(lambda exchange: _status(exchange) in wanted)
    if config.status_min:
        tests.append(lambda exchange: _status(exchange) >= config.status_min)
    if config.flags:
        bits = sum({flag.BY_CODE[code].bit for code in config.flags})
        tests.append(lambda exchange: exchange.flags & bits != 0)
    if config.duration_min_s:
        tests.append(lambda exchange: exchange.ended - exchange.started >= config.duration_min_s)
    if config.percent < 100.0:
        draw = site.random.random
        share = config.percent / 100.0
        tests.append(lambda exchange: draw() < share)
    return tests


def _status(exchange: Any) -> int:
    return exchange.response.status if exchange.response is not None else 0
