"""Times the load balancers' ``pick`` alone, without a proxy: ``compare.py --pick``, with meshd in this Python."""

import time
from types import SimpleNamespace

COUNTS = (2, 10, 100, 1000)
BALANCERS = ("round_robin", "least_request")
PICKS = 200_000
ROUNDS = 5


def endpoints(count: int, is_weighted: bool) -> tuple:
    """Make live endpoints without connections."""
    from meshd.model.cluster import EndpointSpec
    from meshd.upstream.endpoint import Endpoint

    weights = [1 + number % 5 if is_weighted else 1 for number in range(count)]
    return tuple(
        Endpoint(EndpointSpec(address=f"127.0.0.1:{10000 + number}", weight=weight), None)
        for number, weight in enumerate(weights)
    )


def balancer(name: str):
    """Build a shipped load balancer as a cluster would."""
    from meshd.model.plugin import Plugin
    from meshd.testing.site import FakeSite

    return FakeSite().build(Plugin(kind="load_balancer", type=name, config=None, name=name))


def pick_us(name: str, count: int, is_weighted: bool) -> float:
    """Return the best of some rounds: microseconds for one pick."""
    lb = balancer(name)
    lb.update(endpoints(count, is_weighted))
    pick, exchange, best = lb.pick, SimpleNamespace(tried=()), float("inf")
    for _ in range(ROUNDS):
        began = time.perf_counter()
        for _ in range(PICKS // ROUNDS):
            pick(exchange)
        best = min(best, time.perf_counter() - began)
    return best / (PICKS // ROUNDS) * 1e6


def main() -> None:
    """Print one line for each balancer and number of endpoints."""
    for name in BALANCERS:
        for count in COUNTS:
            equal, weighted = pick_us(name, count, False), pick_us(name, count, True)
            print(f"{name:14} {count:5} endpoints  equal {equal:6.3f} us  weighted {weighted:6.3f} us a pick")


if __name__ == "__main__":
    main()
