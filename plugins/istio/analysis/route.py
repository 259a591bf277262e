"""HTTP rules whose parts do not fit together: retries and time-outs, faults, prefixes, weights (MSH0403 to MSH0406)."""

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
