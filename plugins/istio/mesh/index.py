"""All resources of a configuration, looked up as translation and analysis ask: by kind, host, namespace."""

from collections import defaultdict

from meshd_plugins.istio.mesh import entry, kubernetes
from meshd_plugins.istio.mesh.name import covers, kubernetes_host, specificity
from meshd_plugins.istio.mesh.order import order
from meshd_plugins.istio.mesh.policy import policy

ROOT_NAMESPACE = "istio-system"
EVERYWHERE, HERE, NOWHERE = "*", ".", "~"
MESH = "mesh"


def always(kind, objects, make):
    """Stand for ``context.once`` where nothing is taken over."""
    return make()


class Mesh:
    """``resources`` are decoded documents; ``config`` is the MeshConfig's spec or None.

    ``once`` is that of a decoding context. ``asked`` is None, or a list that gets what is asked of the mesh.
    """

    def __init__(self, resources, once=always):
        self.resources = tuple(resources)
        self.once = once
        self.asked = None
        self._kinds = defaultdict(list)
        for one in resources:
            self._kinds[one.kind.group, one.kind.name].append(one)
        for found in self._kinds.values():
            found.sort(key=order)
        configs = self.of("MeshConfig", "mesh.istio.io")
        self.config = configs[0].spec if configs else None
        self.root_namespace = (self.config and self.config.root_namespace) or ROOT_NAMESPACE
        self.services = tuple(self._services())
        self._hosts = defaultdict(list)
        for service in self.services:
            self._hosts[service.host.lower()].append(service)
        self._rules = self._hashers = None

    def of(self, kind, group="networking.istio.io"):
        """Return all resources of a kind, in their order (``mesh.order``)."""
        return tuple(self._kinds.get((group, kind), ()))

    def has_group(self, group):
        """Say whether there is a resource of this group."""
        return any(one == group for one, _ in self._kinds)

    def _services(self):
        workloads = self.of("WorkloadEntry")
        slices, endpoints = self.of("EndpointSlice", "discovery.k8s.io"), self.of("Endpoints", "")
        others = self.once("workloads", (*workloads, *slices, *endpoints), object)
        for resource in self.of("Service", ""):
            yield self.once("service", (resource, others),
                            lambda: kubernetes.service(resource, slices, endpoints, workloads))
        for resource in self.of("ServiceEntry"):
            needs = (resource,) if resource.spec.workload_selector is None else (resource, others)
            yield from self.once("services", needs, lambda: tuple(entry.services(resource, workloads)))

    @property
    def gateways(self):
        """Return all Gateway and VirtualGateway resources, in their order."""
        return tuple(sorted((*self.of("Gateway"), *self.of("VirtualGateway")), key=order))

    def service(self, namespace, name):
        """Return the Service of a Kubernetes document, or None."""
        return self.find(kubernetes_host(name, namespace), namespace)

    def find(self, host, namespace=None):
        """Return the visible Service of an exact host, that of ``namespace`` before others, or None."""
        known = [one for one in self._hosts.get(host.lower(), ()) if self.is_visible(one, namespace)]
        found = next((one for one in known if one.namespace == namespace), known[0] if known else None)
        if self.asked is not None:
            self.asked.append((Mesh.find, host, namespace, found))
        return found

    def resolve(self, name, namespace):
        """Return the host that a rule in ``namespace`` means.

        A name without dots is the Kubernetes Service of the rule's own namespace (as Istio has it) where there is
        such a service, else the host of exactly this name.
        """
        if "." in name or name.startswith("*"):
            return name.lower()
        long = kubernetes_host(name, namespace).lower()
        found = long if long in self._hosts else name.lower()
        if self.asked is not None:
            self.asked.append((Mesh.resolve, name, namespace, found))
        return found

    def is_visible(self, service, namespace):
        """Say whether a proxy in ``namespace`` (None: anywhere) sees a service."""
        default = self.config.default_service_export_to if self.config else ()
        return namespace is None or exported(service.export_to or default, service.namespace, namespace)

    def sees(self, resource, namespace, default=()):
        """Say whether a rule is exported to ``namespace``."""
        return exported(resource.spec.export_to or default, resource.namespace, namespace)

    def destination_rule(self, host, service_namespace, client_namespace, labels=()):
        """Return the DestinationRules that hold for ``host`` together, the first one first, or ().

        Istio's look-up: the client's namespace, then the service's, then the root namespace; there the most specific
        host. Clients in the root namespace ask there first for rules that are only for them. Rules of one host and
        namespace are merged by who uses them; those with a workloadSelector that picks ``labels`` (pairs of the client)
        hold in place of the others.
        """
        root = self.root_namespace
        places = ((client_namespace, client_namespace == root), (service_namespace, False), (root, False))
        for namespace, is_private in dict.fromkeys(places):
            found = self._most_specific(namespace, host, client_namespace, labels, is_private)
            if found:
                return found
        return ()

    def is_hashed(self, host, port, subset, namespace, labels):
        """Say whether requests of a client go to this destination by consistentHash."""
        asked, self.asked = self.asked, None
        service = self.find(host, namespace)
        rules = self.destination_rule(host, service.namespace, namespace, labels) if service is not None else ()
        found = any(id(rule) in self._hashing() for rule in rules) and _hashes(policy(rules, subset, port)[0])
        self.asked = asked
        if asked is not None:
            asked.append((Mesh.is_hashed, host, port, subset, namespace, labels, found))
        return found

    def _hashing(self):
        """Return the ids of the DestinationRules that speak of consistentHash at any level."""
        if self._hashers is None:
            self._hashers = {id(one) for one in self.of("DestinationRule") if _mentions_hash(one.spec)}
        return self._hashers

    def _most_specific(self, namespace, host, client, labels, is_private):
        by_host, wildcards = self._of_namespace().get(namespace, ({}, ()))
        hosts = [host] if host in by_host else []
        for one in hosts + [wildcard for wildcard in wildcards if wildcard != host and covers(wildcard, host)]:
            rules = [rule for rule in by_host[one] if self._is_for(rule, client, is_private)]
            rules = _selected(rules, dict(labels).items()) if namespace == client else _selected(rules, None)
            if rules:
                return rules
        return ()

    def _is_for(self, rule, client, is_private):
        default = self.config.default_destination_rule_export_to if self.config else ()
        is_selecting = rule.spec.workload_selector is not None
        if is_private and not is_selecting and set(rule.spec.export_to or default) not in ({HERE}, {rule.namespace}):
            return False
        return self.sees(rule, client, default)

    def _of_namespace(self):
        """Return namespace -> (DestinationRules by host, its wildcard hosts, the most specific first)."""
        if self._rules is None:
            found = defaultdict(lambda: defaultdict(list))
            for rule in self.of("DestinationRule"):
                found[rule.namespace][self.resolve(rule.spec.host, rule.namespace)].append(rule)
            self._rules = {
                namespace: (by_host, sorted((one for one in by_host if one.startswith("*")), key=specificity))
                for namespace, by_host in found.items()
            }
        return self._rules


def _selected(rules, labels):
    """Return the rules whose workloadSelector picks ``labels`` (those that select as the first does), else those
    without one. ``labels`` None: no rule that selects counts.
    """
    selectors = {id(rule): dict(rule.spec.workload_selector.match_labels) for rule in rules
                 if rule.spec.workload_selector is not None}
    found = next((one for one in selectors.values() if labels is not None and one.items() <= labels), None)
    return tuple(rule for rule in rules if selectors.get(id(rule)) == found)


def _hashes(one):
    """Say whether a level of a policy has consistentHash."""
    return getattr(one.load_balancer, "consistent_hash", None) is not None


def _mentions_hash(spec):
    levels = [one for one in (spec.traffic_policy, *(subset.traffic_policy for subset in spec.subsets)) if one]
    return any(_hashes(one) or any(map(_hashes, one.port_level_settings)) for one in levels)


def exported(export_to, owner, namespace):
    """Say whether something of the namespace ``owner`` with this ``exportTo`` is seen in ``namespace``."""
    if not export_to:
        return True
    return any(one == EVERYWHERE or (one == HERE and owner == namespace) or one == namespace for one in export_to)
