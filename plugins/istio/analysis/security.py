"""Policies of security: namespaces that nobody is in (IST0101), and claims that nobody checks (IST0149)."""

from meshd.api import INFO
from meshd_plugins.istio.analysis.place import gateway_key, gateways_by_name
from meshd_plugins.istio.analysis.report import item, key_in, listed, there
from meshd_plugins.istio.analysis.route import CLAIM
from meshd_plugins.istio.mesh.index import MESH

SECURITY = "security.istio.io"


def analyze(report):
    """Look at the namespaces of AuthorizationPolicies and at rules that match claims."""
    _namespaces(report)
    authentications = report.mesh.of("RequestAuthentication", SECURITY)
    gateways = gateways_by_name(report.mesh)
    for resource in report.mesh.of("VirtualService"):
        found = _claim(resource)
        for name in resource.spec.gateways if found is not None else ():
            gateway = gateways.get(gateway_key(name, resource.namespace)) if name != MESH else None
            if gateway is not None and not _is_checked(report, gateway, authentications):
                _unchecked(report, resource, gateway, *found)


def _namespaces(report):
    documents = report.mesh.of("Namespace", "")
    known = {one.name for one in documents} | {one.namespace for one in report.mesh.resources if one.namespace}
    known.add(report.node.namespace)
    for policy in report.mesh.of("AuthorizationPolicy", SECURITY):
        for number, rule in enumerate(policy.spec.rules or ()):
            for place, one in enumerate(rule.from_ or ()):
                for name, word in (("namespaces", "namespaces"), ("not_namespaces", "notNamespaces")):
                    for index, namespace in enumerate(getattr(one.source, name, ()) or ()):
                        if not any(_is_one(namespace, each) for each in known):
                            path = f"spec.rules[{number}].from[{place}].source.{word}"
                            report.add("IST0101", policy, item(one.source, word, index), f"{path}[{index}]",
                                       f'referenced namespace not found: "{namespace}"',
                                       severity=None if documents else INFO,
                                       hint=report.guess(namespace, sorted(known)) or "no document is in it",
                                       notes=("no request would match this source",))


def _is_one(pattern, namespace):
    if pattern.startswith("*"):
        return namespace.endswith(pattern[1:])
    return namespace.startswith(pattern[:-1]) if pattern.endswith("*") else pattern.lower() == namespace.lower()


def _claim(resource):
    """Return (match, key of the section, path, header) of the first match by a claim, or None."""
    for number, rule in enumerate(resource.spec.http):
        for place, match in enumerate(rule.match):
            for name, word in (("headers", "headers"), ("without_headers", "withoutHeaders")):
                for header, _ in getattr(match, name):
                    if header.lower().startswith(CLAIM):
                        return match, word, f"spec.http[{number}].match[{place}].{word}", header
    return None


def _is_checked(report, gateway, authentications):
    """Say whether a RequestAuthentication is for the gateway's workloads, as far as they are known."""
    wanted = dict(gateway.spec.selector)
    chosen = report.workloads.select(wanted)
    places = [(one.namespace, one.labels) for one in chosen] or [(gateway.namespace, wanted)]
    for namespace, labels in places:
        for one in authentications:
            selector = dict(one.spec.selector.match_labels) if one.spec.selector is not None else {}
            if one.namespace not in (namespace, report.mesh.root_namespace):
                continue
            if selector.items() <= labels.items() and not one.spec.target_refs and one.spec.target_ref is None:
                return True
    return False


def _unchecked(report, resource, gateway, match, word, path, header):
    report.add("IST0149", resource, key_in(match.node.get(word), header), f"{path}.{header}",
               f"a rule matches {header}, and no RequestAuthentication is for {gateway.title}",
               hint="nothing checks the token", related=(there(gateway),),
               notes=("no request has claims there: the rule matches none (with withoutHeaders: every one)",),
               help="add a RequestAuthentication for the gateway's workloads, with a JWT rule for the issuer: "
                    f"selector {listed(f'{name}: {one}' for name, one in gateway.spec.selector) or 'none'}")
