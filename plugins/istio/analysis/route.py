"""HTTP rules whose parts do not fit together: retries and time-outs, faults, mirrors, prefixes, weights (MSH0403 to
MSH0406, MSH0417, MSH0418).
"""

from meshd.api import INFO, format_duration
from meshd_plugins.istio.analysis.report import key, value

CLAIM = "@request.auth.claims"


def analyze(report):
    """Look at every HTTP rule."""
    for resource in report.mesh.of("VirtualService"):
        for section in ("http", "tls", "tcp"):
            for number, rule in enumerate(getattr(resource.spec, section)):
                _weights(report, resource, rule, f"spec.{section}[{number}]")
        for number, rule in enumerate(resource.spec.http):
            path = f"spec.http[{number}]"
            _retries(report, resource, rule, path)
            _fault(report, resource, rule, path)
            _delay(report, resource, rule, path)
            _mirrors(report, resource, rule, path)
        _prefixes(report, resource)


def _retries(report, resource, rule, path):
    retries = rule.retries
    if retries is None or not rule.timeout_s or not retries.attempts or not retries.per_try_timeout_s:
        return
    each_s, whole_s = retries.per_try_timeout_s, rule.timeout_s
    if each_s * retries.attempts < whole_s:
        return
    fit = max(0, -int(-whole_s // each_s) - 1)
    each, whole = format_duration(each_s), format_duration(whole_s)
    report.add("MSH0403", resource, value(retries, "perTryTimeout"), f"{path}.retries.perTryTimeout",
               f"of {retries.attempts} retries at most {fit} can begin: {1 + retries.attempts} attempts of {each} "
               f"are longer than the timeout {whole}", hint=f"longer than {whole} in all",
               notes=(f"a request that waits out every attempt gets 504 (flag UT) after {whole}",),
               help="make perTryTimeout shorter, timeout longer, or attempts fewer")


def _fault(report, resource, rule, path):
    for name in ("delay", "abort"):
        fault = getattr(rule.fault, name, None)
        if fault is None:
            continue
        share = fault.percentage.value if fault.percentage is not None else getattr(fault, "percent", 0)
        if not share:
            said = "is 0" if fault.percentage is not None else "is not given"
            report.add("MSH0404", resource, key(rule.fault, name), f"{path}.fault.{name}",
                       f"the {name} never happens: its percentage {said}", hint="happens to no request",
                       help="write percentage: {value: 100} for every request")


def _delay(report, resource, rule, path):
    delay = getattr(rule.fault, "delay", None)
    if delay is None or not rule.timeout_s or (delay.fixed_delay_s or 0) < rule.timeout_s:
        return
    waits, whole = format_duration(delay.fixed_delay_s), format_duration(rule.timeout_s)
    report.add("MSH0417", resource, value(delay, "fixedDelay"), f"{path}.fault.delay.fixedDelay",
               f"the timeout {whole} does not end this delay: it begins after it", hint=f"waits {waits} in full",
               notes=("time-outs and retries of a rule do not see its own faults; those of the caller's proxy do",),
               help="to see a timeout, inject the delay at the next hop")


def _mirrors(report, resource, rule, path):
    own = {_where(report, resource, one.destination) for one in rule.route}
    named = [(rule.mirror, f"{path}.mirror")] if rule.mirror is not None else []
    named += [(one.destination, f"{path}.mirrors[{place}].destination") for place, one in enumerate(rule.mirrors)]
    for destination, where in named:
        if _where(report, resource, destination) in own:
            report.add("MSH0418", resource, value(destination, "host"), f"{where}.host",
                       f'"{destination.host}" gets these requests twice: as a destination and as a mirror',
                       hint="a destination of this rule", help="mirror to another host or subset")


def _where(report, resource, destination):
    number = destination.port.number if destination.port is not None else 0
    return report.resolve(destination.host, resource.namespace), number, destination.subset


def _prefixes(report, resource):
    found = [(f"spec.http[{number}].match[{place}].uri.prefix", match.uri)
             for number, rule in enumerate(resource.spec.http) for place, match in enumerate(rule.match)
             if match.uri is not None and match.uri.prefix and not match.uri.prefix.endswith("/")]
    if not found:
        return
    path, uri = found[0]
    more = f" (and {len(found) - 1} more prefixes of this document)" if len(found) > 1 else ""
    report.add("MSH0405", resource, value(uri, "prefix"), path,
               f'prefix "{uri.prefix}" also takes {uri.prefix}bar{more}', hint="no segment ends here",
               help=f'"{uri.prefix}/" takes only what is below it; add a match with exact: "{uri.prefix}" for itself')


def _weights(report, resource, rule, path):
    shares = rule.route
    if len(shares) < 2 or not any(share.weight for share in shares):
        return
    for place, share in enumerate(shares):
        if share.weight:
            continue
        is_written = share.node.get("weight") is not None
        report.add("MSH0406", resource, value(share, "weight"), f"{path}.route[{place}].weight",
                   f'"{share.destination.host}" gets no request: its weight is {"0" if is_written else "not given"}',
                   severity=INFO if is_written else None, hint="weight 0" if is_written else "no weight",
                   help="" if is_written else "where one destination has a weight, give one to each")
