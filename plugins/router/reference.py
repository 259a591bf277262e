"""What a route table uses: the clusters and filters it names. Called by the check and before the build."""

from meshd.api import Need


def references(config):
    """Yield a Need for each cluster and filter, with the path of the field that names it."""
    for number, host in enumerate(config.virtual_hosts):
        yield from _overrides(host, f"virtual_hosts[{number}]")
        for place, route in enumerate(host.routes):
            yield from _of_route(route, f"virtual_hosts[{number}].routes[{place}]")


def _overrides(options, path):
    for name, _ in options.filters:
        yield Need("filter", name, f"{path}.filters.{name}")
    for number, name in enumerate(options.disabled_filters):
        yield Need("filter", name, f"{path}.disabled_filters[{number}]")


def _of_route(route, path):
    yield from _overrides(route, path)
    if route.cluster is not None:
        yield Need("cluster", route.cluster, f"{path}.cluster")
    for number, share in enumerate(route.weighted_clusters or ()):
        if share.name is not None:
            yield Need("cluster", share.name, f"{path}.weighted_clusters[{number}].name")
    for number, one in enumerate(route.mirror):
        yield Need("cluster", one.cluster, f"{path}.mirror[{number}].cluster")
