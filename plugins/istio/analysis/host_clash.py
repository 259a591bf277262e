"""Several VirtualServices on one host: in the mesh (IST0109) and at a gateway (MSH0413). Here they are merged."""

from collections import defaultdict
from itertools import islice

from meshd.api import WARNING
from meshd_plugins.istio.analysis.place import gateway_key, is_of_mesh, scopes
from meshd_plugins.istio.analysis.report import MAX_LISTED, item, listed, there
from meshd_plugins.istio.mesh.index import MESH
from meshd_plugins.istio.mesh.order import reason


def analyze(report):
    """Group VirtualServices by host and by who sees them."""
    mesh, gateways = defaultdict(list), defaultdict(list)
    for resource in report.mesh.of("VirtualService"):
        for host in dict.fromkeys(resource.spec.hosts):
            name = report.resolve(host, resource.namespace)
            if is_of_mesh(resource):
                mesh[name].append(resource)
            for gateway in {gateway_key(one, resource.namespace) for one in resource.spec.gateways if one != MESH}:
                gateways[gateway, host.lower()].append(resource)
    said = set()
    for host, found in mesh.items():
        for place, resource in enumerate(found[1:], 1):
            if resource.key in said:
                continue
            before = list(islice((one for one in found[:place] if _meet(one, resource)), MAX_LISTED))
            if before:
                said.add(resource.key)
                _mesh_clash(report, host, resource, before)
    for (gateway, host), found in gateways.items():
        for resource in found[1:]:
            if (resource.key, gateway) not in said:
                said.add((resource.key, gateway))
                _gateway_merge(report, "/".join(gateway), host, resource, found[0])


def _meet(one, two):
    """Say whether a proxy may see both."""
    first, second = (scopes(each.spec.export_to, each.namespace) for each in (one, two))
    return "*" in first or "*" in second or bool(first & second)


def _place(report, resource, host):
    for place, one in enumerate(resource.spec.hosts):
        if host in (one.lower(), report.resolve(one, resource.namespace)):
            return place
    return 0


def _mesh_clash(report, host, resource, before):
    place = _place(report, resource, host)
    report.add("IST0109", resource, item(resource.spec, "hosts", place), f"spec.hosts[{place}]",
               f'"{host}" is a host of {listed(one.title for one in before)} too', severity=WARNING,
               hint="a second time", related=tuple(there(one, f"{one.title} comes first") for one in before[:3]),
               notes=(f"the rules are tried in this order: {listed(one.title for one in (*before, resource))} "
                      f"({reason(before[0], resource)})",
                      "Istio's sidecars take the oldest of them alone and leave the others out"),
               help="put the rules into one VirtualService, or say the order with the annotation meshd.io/priority")


def _gateway_merge(report, gateway, host, resource, first):
    place = _place(report, resource, host)
    report.add("MSH0413", resource, item(resource.spec, "hosts", place), f"spec.hosts[{place}]",
               f'at {gateway} the rules for "{host}" follow those of {first.title}',
               related=(there(first, f"{first.title} comes first"),),
               notes=(f"the order is the documents': {reason(first, resource)}; what takes every request comes last",))
