"""Destinations of VirtualServices: the host, its port, its subset (IST0101, IST0112), short names (MSH0410)."""

from collections import defaultdict

from meshd.api import Related
from meshd_plugins.istio.analysis.place import targets
from meshd_plugins.istio.analysis.report import key, listed, there, value
from meshd_plugins.istio.mesh.name import covers, kubernetes_host

NOT_FOUND = "requests matching this route would get 503 (flag NC)"
COPIES_LOST = "no copy would be sent"


def analyze(report):
    """Look at every destination of every VirtualService."""
    subsets = Subsets(report)
    short = set()
    for resource in report.mesh.of("VirtualService"):
        for target in targets(resource):
            service = _host(report, resource, target)
            if service is not None:
                _port(report, resource, target, service)
                _short(report, resource, target, service, short)
            if target.destination.subset:
                _subset(report, resource, target, subsets)


def _lost(target):
    return COPIES_LOST if target.what else NOT_FOUND


def _host(report, resource, target):
    """Return the service, or None after a finding."""
    name = target.destination.host
    host = report.resolve(name, resource.namespace)
    service = report.find(host, resource.namespace)
    if service is not None:
        return service
    hint, notes = _why(report, name, host, resource.namespace)
    report.add("IST0101", resource, value(target.destination, "host"), f"{target.path}.host",
               f'referenced {target.what}host not found: "{name}"', hint=hint, notes=(_lost(target), *notes),
               help="add a ServiceEntry for it, or write the host of an existing service")
    return None


def _why(report, name, host, namespace):
    """Return (hint, notes) on what is there in place of a host."""
    hidden = report.find(host, None)
    if hidden is not None:
        return "not visible here", (f"{hidden.resource.title} is not exported to namespace {namespace}",)
    wild = next((one for one in report.wildcards if covers(one, host)), None)
    if wild is not None:
        return f'only "{wild}" is known', (f'a wildcard host is a destination as it is written: host: "{wild}"',)
    return report.guess(name, report.hosts) or "no such host", ()


def _port(report, resource, target, service):
    destination = target.destination
    number = destination.port.number if destination.port is not None else None
    numbers = [str(port.number) for port in service.ports]
    if number is None and len(service.ports) > 1:
        report.add("IST0112", resource, value(destination, "host"), f"{target.path}.port",
                   f'"{destination.host}" has several ports, and the destination names none',
                   hint=f"expected a port of {listed(numbers)}", related=(there(service.resource),),
                   notes=("the port that a request came in on is taken; where the service has no such port it gets "
                          "503 (flag NC)",),
                   help=f"write port: {{number: {numbers[0]}}} beside host")
    elif number is not None and service.ports and service.port(number) is None:
        report.add("IST0101", resource, value(destination.port, "number"), f"{target.path}.port.number",
                   f'referenced {target.what}host:port not found: "{destination.host}:{number}"', hint="no such port",
                   related=(there(service.resource, f"{service.resource.title} has: {listed(numbers)}"),),
                   help=_lost(target))


def _subset(report, resource, target, subsets):
    destination = target.destination
    rules = subsets.rules(destination.host, resource.namespace)
    names = sorted({one.name for rule in rules for one in rule.spec.subsets})
    if destination.subset in names:
        return
    related = tuple(_defines(rule) for rule in rules)
    hint = "no such subset" if rules else "no DestinationRule has this host"
    report.add("IST0101", resource, value(destination, "subset"), f"{target.path}.subset",
               f'referenced {target.what}host+subset not found: "{destination.host}" subset "{destination.subset}"',
               hint=hint, related=related, help=_lost(target))


def _defines(rule):
    """Return the place of a rule's subsets."""
    names = listed(one.name for one in rule.spec.subsets)
    if not names:
        return there(rule, f"{rule.title} defines no subsets")
    return Related(key(rule.spec, "subsets").mark(), f"{rule.title} defines: {names}")


def _short(report, resource, target, service, seen):
    name = target.destination.host
    if "." in name or name in seen or service.host != name.lower():
        return
    seen.add(name)
    report.add("MSH0410", resource, value(target.destination, "host"), f"{target.path}.host",
               f'"{name}" is a short name: {service.resource.title} is meant here, for there is no Service of it',
               notes=(f"Istio on Kubernetes reads {name}.{resource.namespace}.svc.cluster.local",),
               help="give the service a host with a domain where the documents are used in both worlds")


class Subsets:
    """DestinationRules by the host that they are for, in any namespace, as istioctl looks them up."""

    def __init__(self, report):
        self._report = report
        self._exact = defaultdict(list)
        self._wild = []
        for rule in report.mesh.of("DestinationRule"):
            if rule.spec.host.startswith("*"):
                self._wild.append((rule.spec.host.lower(), rule))
            else:
                self._exact[self._name(rule.spec.host, rule.namespace)].append(rule)

    def _name(self, host, namespace):
        """Return the host that is meant; a short name of no service is taken for one of Kubernetes."""
        name = self._report.resolve(host, namespace)
        is_short = "." not in name and self._report.find(name, None) is None
        return kubernetes_host(name, namespace) if is_short else name

    def rules(self, host, namespace):
        """Return the rules whose host is the one that a rule in ``namespace`` means, or a wildcard over it."""
        name = self._name(host, namespace)
        return [*self._exact.get(name, ()), *(rule for wild, rule in self._wild if covers(wild, name))]
