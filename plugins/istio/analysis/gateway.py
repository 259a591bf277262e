"""Gateways: selectors (IST0101), the same port and host twice (IST0145), the same certificate twice (IST0138)."""

from collections import defaultdict

from meshd.api import INFO, WARNING
from meshd_plugins.istio.analysis.place import parts, words
from meshd_plugins.istio.analysis.report import item, listed, there, value
from meshd_plugins.istio.mesh.order import reason
from meshd_plugins.istio.translate.gateway_label import gateway_labels

ANY = ("", "0.0.0.0", "::")


def analyze(report):
    """Look at every Gateway, alone and beside those that the same proxies serve."""
    _selectors(report)
    _clashes(report)
    _certificates(report)


def _selectors(report):
    labels = gateway_labels(report.node)
    for gateway in report.mesh.gateways:
        wanted = dict(gateway.spec.selector)
        if not wanted or wanted.items() <= labels.items() or report.workloads.select(wanted):
            continue
        report.add("IST0101", gateway, value(gateway.spec, "selector"), "spec.selector",
                   f'referenced selector not found: "{words(wanted)}"', severity=INFO,
                   hint="no proxy that is known here", notes=(f"this proxy has: {words(labels) or 'no labels'}",),
                   help="give the gateway's proxy these labels (node.labels of its own file)")


def _clashes(report):
    """Servers are compared by port, address and host, where the same proxies may serve them."""
    seen = defaultdict(list)
    for gateway in report.mesh.gateways:
        for place, server in enumerate(gateway.spec.servers):
            bind = "" if server.bind in ANY else server.bind
            rivals = {}
            for host in server.hosts:
                name = "/".join(parts(host)) if not host.startswith("./") else f"{gateway.namespace}/{host[2:]}"
                place_of = server.port.number, bind, name
                first = next((pair for pair in seen[place_of] if pair[0] is not gateway
                              and _same_proxies(gateway, pair[0])), None)
                if first is not None:
                    rivals.setdefault(first[0].key, (*first, host))
                seen[place_of].append((gateway, server))
            for other, other_server, host in rivals.values():
                _clash(report, gateway, place, server, other, other_server, host)


def _same_proxies(one, two):
    """Say whether one's selector picks every proxy that the other's picks."""
    first, second = dict(one.spec.selector).items(), dict(two.spec.selector).items()
    return first <= second or second <= first


def _clash(report, gateway, place, server, other, other_server, host):
    is_plain = server.tls is None and other_server.tls is None
    number = server.hosts.index(host)
    report.add("IST0145", gateway, item(server, "hosts", number), f"spec.servers[{place}].hosts[{number}]",
               f'"{host}" at port {server.port.number} is served by {other.title} too',
               severity=WARNING if is_plain else None, hint="a second time",
               related=(there(other, f"{other.title} comes first"),),
               notes=((f"the rules bound to either are put together ({reason(other, gateway)})",) if is_plain else
                      ("only one of the two TLS settings can be in force for a name",)),
               help="put the servers into one Gateway, or give them different hosts")


def _certificates(report):
    """One certificate at two Gateways lets clients use one HTTP/2 connection for both, which then meets a 404."""
    seen = defaultdict(list)
    for gateway in report.mesh.gateways:
        for place, server in enumerate(gateway.spec.servers):
            tls = server.tls
            if tls is None or not (tls.credential_name or (tls.server_certificate and tls.private_key)):
                continue
            same = tls.credential_name or (tls.server_certificate, tls.private_key)
            first = next((one for one in seen[same] if one is not gateway and _same_proxies(one, gateway)), None)
            seen[same].append(gateway)
            if first is None:
                continue
            name = "credentialName" if tls.credential_name else "serverCertificate"
            report.add("IST0138", gateway, value(tls, name), f"spec.servers[{place}].tls.{name}",
                       f"the certificate is that of {first.title} too", hint="a second time", related=(there(first),),
                       notes=("a client may use one HTTP/2 connection for hosts of both, and gets 404 for some of "
                              f"{listed(server.hosts)}",),
                       help="put the servers into one Gateway, or use a certificate for each")
