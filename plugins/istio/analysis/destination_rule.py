"""DestinationRules: unknown hosts (IST0174), empty subsets (IST0173), CAs (IST0128, IST0129), rivals (MSH0408, 9)."""

from collections import defaultdict

from meshd.api import WARNING, Related
from meshd_plugins.istio.analysis.place import scopes, words
from meshd_plugins.istio.analysis.report import item, key, listed, there, value
from meshd_plugins.istio.analysis.traffic import ports
from meshd_plugins.istio.mesh.name import covers
from meshd_plugins.istio.mesh.order import reason
from meshd_plugins.istio.mesh.service import DNS, DNS_ROUND_ROBIN, STATIC

COUNTED = (STATIC, DNS, DNS_ROUND_ROBIN)


def analyze(report):
    """Look at every DestinationRule, alone and beside the others."""
    by_host = defaultdict(list)
    for rule in report.mesh.of("DestinationRule"):
        host = report.resolve(rule.spec.host, rule.namespace)
        by_host[host].append(rule)
        services = _services(report, rule, host)
        for service in services:
            _subsets(report, rule, service)
        _tls(report, rule)
    for host, rules in by_host.items():
        if len(rules) > 1:
            _merged(report, rules)
            _hidden(report, host, rules)


def _services(report, rule, host):
    """Return the services that the rule is for: the one, or those under its wildcard."""
    if host.startswith("*"):
        found = [one for one in report.mesh.services if covers(host, one.host)]
        exact = []
    else:
        one = report.find(host, rule.namespace)
        found = exact = [one] if one is not None else []
        if not found:
            found = [one for one in report.wildcards if covers(one, host)]
    if not found:
        report.add("IST0174", rule, value(rule.spec, "host"), "spec.host",
                   f'"{rule.spec.host}" is no known service',
                   hint=report.guess(rule.spec.host, report.hosts) or "no such host",
                   notes=("the rule has no effect",),
                   help="add a ServiceEntry for it, or write the host of an existing service")
    return exact


def _subsets(report, rule, service):
    is_elsewhere = service.resource.kind.name == "Service" and not service.endpoints
    if service.resolution not in COUNTED or is_elsewhere:
        return
    have = [dict(one.labels).items() for one in service.endpoints]
    for place, subset in enumerate(rule.spec.subsets):
        wanted = dict(subset.labels).items()
        if any(wanted <= labels for labels in have):
            continue
        report.add("IST0173", rule, value(subset, "name"), f"spec.subsets[{place}]",
                   f'subset "{subset.name}" is empty: no endpoint of {service.host} has {words(subset.labels)}',
                   hint="no endpoint", related=(Related(service.node.mark(), _have(service)),),
                   notes=("requests for this subset get 503 (flag UH)",),
                   help="correct the subset's labels, or give them to an endpoint")


def _have(service):
    found = dict.fromkeys(words(one.labels) or "no labels" for one in service.endpoints)
    return f"{service.resource.title}: {listed(found)}" if found else f"{service.resource.title} has no endpoints"


def _tls(report, rule):
    policy = rule.spec.traffic_policy
    if policy is None:
        return
    _authority(report, "IST0128", rule, policy.tls, "spec.trafficPolicy.tls", "")
    for one, path in ports(policy, "spec.trafficPolicy"):
        number = one.port.number if one.port is not None else None
        _authority(report, "IST0129", rule, one.tls, f"{path}.tls", f" at port {number}")


def _authority(report, code, rule, tls, path, where):
    if tls is None or tls.mode not in ("SIMPLE", "MUTUAL") or tls.ca_certificates:
        return
    if tls.credential_name and rule.spec.workload_selector is not None:
        return
    taken = ("any certificate is accepted" if tls.insecure_skip_verify
             else "a certificate of any authority that the system trusts is accepted")
    report.add(code, rule, value(tls, "mode"), f"{path}.mode",
               f'TLS to "{rule.spec.host}"{where} has mode {tls.mode} and no caCertificates', hint=taken,
               help="name the file of the authority that signs the host's certificate: caCertificates")


def _merged(report, rules):
    """Rules of one host and namespace are put together: what is said twice is said first (MSH0409)."""
    first = {}
    for rule in rules:
        selector = rule.spec.workload_selector
        group = rule.namespace, tuple(sorted(selector.match_labels)) if selector is not None else ()
        before = first.setdefault(group, [])
        if before:
            _twice(report, rule, before)
        before.append(rule)


def _twice(report, rule, before):
    taken = next((one for one in before if one.spec.traffic_policy is not None), None)
    if rule.spec.traffic_policy is not None and taken is not None:
        report.add("MSH0409", rule, key(rule.spec, "trafficPolicy"), "spec.trafficPolicy",
                   f"not in force: {taken.title} has one for this host, and comes first", hint="not in force",
                   related=(Related(key(taken.spec, "trafficPolicy").mark(), "this one is in force"),),
                   notes=(f"of several rules for a host the first one's policy holds ({reason(taken, rule)})",),
                   help="put both into one DestinationRule")
    names = {subset.name: one for one in before for subset in one.spec.subsets}
    for place, subset in enumerate(rule.spec.subsets):
        if subset.name in names:
            other = names[subset.name]
            report.add("MSH0409", rule, item(rule.spec, "subsets", place), f"spec.subsets[{place}]",
                       f'subset "{subset.name}" is not in force: {other.title} defines it too, and comes first',
                       hint="a second time", related=(there(other),), help="give it another name, or remove it")


def _hidden(report, host, rules):
    """A rule of the clients' own namespace hides that of the service's (MSH0408)."""
    service = report.find(host, None)
    owner = service.namespace if service is not None else report.mesh.root_namespace
    hidden = next((rule for rule in rules if rule.namespace == owner), None)
    if hidden is None:
        return
    for rule in rules:
        if rule.namespace in (owner, report.mesh.root_namespace):
            continue
        if not scopes(hidden.spec.export_to, owner) & {"*", rule.namespace}:
            continue
        report.add("MSH0408", rule, value(rule.spec, "host"), "spec.host",
                   f"it hides {hidden.title} from proxies in namespace {rule.namespace}", severity=WARNING,
                   hint="this one alone is in force there", related=(there(hidden, "hidden"),),
                   notes=(f"the client's namespace is asked first, then {owner}; rules of two are not put together",),
                   help="repeat here what is to hold, or remove this rule")
