"""What a route table uses: the clusters it names. Called by the check and before the build."""

from meshd.api import Need


def references(config):
    """Yield a Need for each cluster, with the path of the field that names it."""
    for number, host in enumerate(config.virtual_hosts):
        for place, route in enumerate(host.routes):
            yield from _of_route(route, f"virtual_hosts[{number}].routes[{place}]")


def _of_route(route, path):
    if route.cluster is not None:
        yield Need("cluster", route.cluster, f"{path}.cluster")
    for number, share in enumerate(route.weighted_clusters or ()):
        yield Need("cluster", share.name, f"{path}.weighted_clusters[{number}].name")
