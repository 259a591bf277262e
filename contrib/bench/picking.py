"""Times the choice of an endpoint alone, without a proxy: ``compare.py --pick``, with meshd in this Python.

One pick is ``cluster.pick(exchange)``, with all that surrounds the balancer. The second table is what the reactor is
kept by a change of the endpoints: the CPU time of ``set_endpoints`` or of a change of health, balancer included.
"""

import time
from types import SimpleNamespace

BALANCERS = ("round_robin", "least_request", "random", "peak_ewma", "ring_hash", "maglev")
HASHED = ("ring_hash", "maglev")
PICKS = 20_000
ROUNDS = 5
COUNT, LARGE = 1000, 10_000
TRIED = 2
LOCALITIES = ("r/a", "r/b", "r/c")
CHANGES = 20
KINDS = ("add", "remove", "same", "all", "fail", "recover")
"""One endpoint more, one less, a report that says the same anew, all addresses new; one fails, one is well again."""


def specs(count: int, *, weights: int = 1, priorities: int = 1, localities: int = 1, start: int = 0) -> tuple:
    """Return endpoints whose weights are 1 to ``weights``, in so many priorities and localities, from an address on."""
    from meshd.model.cluster import EndpointSpec

    return tuple(
        EndpointSpec(address=f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}:80", weight=1 + number % weights,
                     priority=number % priorities, locality=LOCALITIES[number % localities])
        for number in range(start, start + count)
    )


def balancing(localities: int):
    """Return what surrounds the balancer: weights of localities where there are several."""
    from meshd.model.balancing import Balancing, Locality

    if localities == 1:
        return Balancing()
    weights = tuple((name, 1 + place) for place, name in enumerate(LOCALITIES))
    return Balancing(locality=Locality(mode="weighted", weights=weights))


def plugin(name: str):
    """Return the configured balancer; the hash balancers go by a field."""
    from meshd.model.plugin import Plugin
    from meshd_plugins.consistent_hash import MaglevOptions, RingHashOptions
    from meshd_plugins.consistent_hash.key import HashRule

    rules = (HashRule(header="x-user"),)
    config = {"ring_hash": RingHashOptions(hash=rules), "maglev": MaglevOptions(hash=rules)}.get(name)
    return Plugin(kind="load_balancer", type=name, config=config, name=name)


def live(name: str, endpoints: tuple, localities: int = 1):
    """Return a started cluster without connections, and the world that it is in, whose time is this thread's CPU."""
    from meshd.model.cluster import Cluster as Spec
    from meshd.testing.site import FakeSite, FakeTime
    from meshd.upstream.cluster import Cluster

    clock = FakeTime()
    clock.now = time.thread_time
    site = FakeSite(time=clock)
    made = Cluster(Spec(name="up", endpoints=endpoints, balancing=balancing(localities)), site.build(plugin(name)),
                   None, site.world)
    made.set_endpoints(endpoints)
    made.start()
    return made, site.world


def requests(count: int) -> list:
    """Return requests of so many users."""
    from meshd.http.headers import Headers

    plan = SimpleNamespace(retry=None)
    return [
        SimpleNamespace(tried=(), metadata={}, plan=plan, request=SimpleNamespace(version=11, headers=Headers.of(
            (b"host", b"example.com"), (b"user-agent", b"bench"), (b"x-user", b"user-%d" % number))))
        for number in range(count)
    ]


def pick_us(cluster, tried: int = 0) -> float:
    """Return the best of some rounds: microseconds of CPU for one pick; every request has tried ``tried`` others."""
    exchanges = requests(PICKS // ROUNDS)
    for exchange in exchanges:
        exchange.tried = tuple([cluster.pick(exchange) for _ in range(tried)])
    pick, best, empty = cluster.pick, float("inf"), float("inf")
    for _ in range(ROUNDS):
        began = time.thread_time()
        for exchange in exchanges:
            pick(exchange)
        best = min(best, time.thread_time() - began)
        began = time.thread_time()
        for exchange in exchanges:
            pass
        empty = min(empty, time.thread_time() - began)
    return (best - empty) / len(exchanges) * 1e6


def cases() -> list:
    """Return (name, endpoints' options, endpoints tried) of each column."""
    return [
        ("equal", {}, 0), ("weights", {"weights": 5}, 0), ("tried", {}, TRIED),
        ("weights, tried", {"weights": 5}, TRIED), ("priorities", {"priorities": 3}, 0),
        ("localities", {"localities": 3}, 0),
    ]


def picks_table() -> None:
    """Print microseconds for one pick."""
    print(f"\nmicroseconds of CPU a pick, {COUNT} endpoints ({LARGE}: that many)\n")
    print(f"{'':14}" + "".join(f"{name:>16}" for name, _, _ in cases()) + f"{LARGE:>16}")
    for name in BALANCERS:
        row = []
        for _, options, tried in cases():
            cluster, _ = live(name, specs(COUNT, **options), options.get("localities", 1))
            degrade(cluster, options.get("priorities", 1))
            row.append(f"{pick_us(cluster, tried):16.2f}")
        cluster, _ = live(name, specs(LARGE))
        print(f"{name:14}" + "".join(row) + f"{pick_us(cluster):16.2f}", flush=True)


def degrade(cluster, priorities: int) -> None:
    """Let half of the first priority fail, where there are several, so that the next has a share."""
    from meshd.model.health import FAILED_ACTIVE_CHECK

    if priorities > 1:
        first = [one for one in cluster.endpoints if one.priority == 0]
        for one in first[:len(first) // 2]:
            cluster.verdicts.bits[one.address] = FAILED_ACTIVE_CHECK
            cluster.judge(one)
        cluster.arrange()


def changes(name: str, localities: int) -> dict:
    """Return the longest CPU time (ms) of each kind of change, the median of some; slices that follow count singly."""
    from meshd.model.health import FAILED_OUTLIER_CHECK

    given = specs(COUNT + 1, weights=3, localities=localities)
    cluster, world = live(name, given[:-1], localities)
    settle(cluster, world)
    found: dict = {kind: [] for kind in KINDS}

    def timed(kind, function, *args):
        began = time.thread_time()
        function(*args)
        spent = time.thread_time() - began
        found[kind].append(max(spent, settle(cluster, world)) * 1e3)

    for number in range(CHANGES):
        timed("add", cluster.set_endpoints, given)
        timed("remove", cluster.set_endpoints, given[:-1])
        timed("same", cluster.set_endpoints, specs(COUNT, weights=3, localities=localities))
        for kind, is_set in (("fail", True), ("recover", False)):
            cluster.arranged = -1.0
            timed(kind, cluster.mark, cluster.endpoints[number], FAILED_OUTLIER_CHECK, is_set)
        timed("all", cluster.set_endpoints, specs(COUNT, localities=localities, start=65536 * (number + 1)))
        cluster.set_endpoints(given[:-1])
        settle(cluster, world)
    return {kind: sorted(values)[len(values) // 2] for kind, values in found.items()}


def settle(cluster, world) -> float:
    """Make the calls that are due, one by one; return the longest (seconds of CPU)."""
    longest, reactor = 0.0, world.reactor
    while calls := reactor.getDelayedCalls():
        call = calls[0]
        function, args, keywords = call.func, call.args, call.kw
        call.cancel()
        cluster.calls.clear()
        began = time.thread_time()
        function(*args, **keywords)
        longest = max(longest, time.thread_time() - began)
    return longest


def changes_table() -> None:
    """Print what the reactor is kept by changes."""
    print(f"\nmilliseconds of CPU in one turn of the reactor, {COUNT} endpoints of unequal weight\n")
    print(f"{'':26}" + "".join(f"{kind:>10}" for kind in KINDS))
    for name in BALANCERS:
        for localities in (1, 3):
            found = changes(name, localities)
            title = f"{name}, {localities} localities" if localities > 1 else name
            print(f"{title:26}" + "".join(f"{found[kind]:10.2f}" for kind in KINDS), flush=True)


def main() -> None:
    """Print both tables."""
    picks_table()
    changes_table()


if __name__ == "__main__":
    main()
