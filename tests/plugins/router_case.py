"""Short forms for the router's tests."""

from meshd.runtime.site import finish
from meshd.testing.exchange import FakeExchange
from meshd.testing.site import FakeSite
from meshd_plugins.router.build import build
from meshd_plugins.router.config import Route, Router, VirtualHost
from meshd_plugins.router.match_config import Match


class NamedCluster:
    """A cluster that has a name."""

    def __init__(self, name):
        self.name = name


def route(cluster="users", prefix="/", match=None, **options):
    """Return a Route configuration; ``cluster`` None where ``options`` name another action."""
    return Route(match=match or Match(prefix=prefix), cluster=cluster, **options)


def router(*routes, site=None, domains=("*",), host=(), table=()):
    """Build a router of one virtual host."""
    hosts = (VirtualHost(name="all", domains=domains, routes=routes, **dict(host)),)
    site = site or make_site()
    return finish(build(Router(virtual_hosts=hosts, **dict(table)), site))


def make_site(**options):
    """Return a site with the clusters users, beta and gamma."""
    return FakeSite(clusters={name: NamedCluster(name) for name in ("users", "beta", "gamma")}, **options)


def send(filter, method=b"GET", target=b"/", headers=(), **options):
    """Run one request through the router and return its exchange."""
    exchange = FakeExchange(method, target, headers, **options)
    exchange.route = filter.match(exchange)
    exchange.request_phase(filter)
    return exchange


def edited(exchange):
    """Do what the exchange does with a plan's edits before the first attempt; return the request."""
    row = exchange.plan.clusters[0]
    for edit in (row[2], exchange.plan.on_request):
        if edit is not None:
            edit(exchange)
    return exchange.request


def faults(options):
    """Return the messages of a configuration object's own check."""
    return [message for _, message in options.check()]
