"""Policies of DestinationRules that do less than they seem to: outlier detection, localities, ports (MSH0401, 2, 7)."""

from meshd.api import Related
from meshd_plugins.istio.analysis.report import key, listed
from meshd_plugins.istio.analysis.traffic import BLOCKS, levels, policies, ports
from meshd_plugins.istio.mesh.service import STATIC

LOCALITIES = (("locality_lb_setting", "localityLbSetting"), ("zone_aware_lb_setting", "zoneAwareLbSetting"))
FAILOVER = (("failover", "failover"), ("failover_priority", "failoverPriority"))
DEFAULT_PERCENT = 10
"""Istio's default of maxEjectionPercent."""


def analyze(report):
    """Look at every level of every DestinationRule, and at the mesh's own setting."""
    baseline = _baseline(report)
    _mesh(report, baseline)
    for rule in report.mesh.of("DestinationRule"):
        host = report.resolve(rule.spec.host, rule.namespace)
        service = report.find(host, rule.namespace)
        for policy, path, subset in levels(rule.spec):
            count = _count(service, subset)
            outlier = policy.outlier_detection or _inherited(rule, subset) or baseline
            _level(report, rule, policy, path, outlier, count)
            for one, place in ports(policy, path):
                _level(report, rule, one, place, one.outlier_detection or baseline, count)
                _dropped(report, rule, policy, one, place)


def _baseline(report):
    """Return the mesh's outlier detection, which holds where a rule has none."""
    given = getattr(report.mesh.config, "default_traffic_policy", None)
    return getattr(given, "outlier_detection", None)


def _mesh(report, baseline):
    """The mesh's own failover does nothing where no host at all has outlier detection."""
    setting = getattr(report.mesh.config, "locality_lb_setting", None)
    rules = report.mesh.of("DestinationRule")
    if setting is None or setting.enabled is False or baseline is not None:
        return
    if any(one.outlier_detection is not None for rule in rules for one, _ in policies(rule.spec)):
        return
    config = report.mesh.of("MeshConfig", "mesh.istio.io")[0]
    for field, word in FAILOVER:
        if getattr(setting, field):
            _inactive(report, config, setting, f"spec.localityLbSetting.{word}", word, "defaultTrafficPolicy")


def _inherited(rule, subset):
    """A subset without outlier detection of its own has the host's."""
    top = rule.spec.traffic_policy
    return top.outlier_detection if subset is not None and top is not None else None


def _count(service, subset):
    """Return how many endpoints a level has, or None where they are not known by their number."""
    if service is None or service.resolution != STATIC or not service.endpoints:
        return None
    wanted = dict(subset.labels).items() if subset is not None else {}.items()
    return sum(wanted <= dict(one.labels).items() for one in service.endpoints)


def _level(report, rule, policy, path, outlier, count):
    if policy.outlier_detection is not None:
        _ejection(report, rule, policy, path, count)
    _locality(report, rule, policy.load_balancer, f"{path}.loadBalancer", outlier)


def _ejection(report, rule, policy, path, count):
    outlier = policy.outlier_detection
    percent = outlier.max_ejection_percent or DEFAULT_PERCENT
    if not count or 100 <= percent * count:
        return
    is_given = outlier.max_ejection_percent > 0
    name = "maxEjectionPercent" if is_given else "outlierDetection"
    needed = -(-100 // count)
    report.add("MSH0401", rule, key(outlier, name) if is_given else key(policy, name),
               f"{path}.outlierDetection" + (f".{name}" if is_given else ""),
               f"nothing is ever ejected: {percent} % of {count} {'endpoint' if count == 1 else 'endpoints'} is none",
               hint="less than one endpoint",
               notes=(() if is_given else (f"maxEjectionPercent is {DEFAULT_PERCENT} where it is not given",))
               + ("an endpoint that fails goes on getting its share of the requests",),
               help=f"maxEjectionPercent: {needed} allows one of {count}")


def _locality(report, rule, balancer, path, outlier):
    if outlier is not None or balancer is None:
        return
    for attribute, name in LOCALITIES:
        setting = getattr(balancer, attribute)
        if setting is None or setting.enabled is False:
            continue
        for field, word in FAILOVER:
            if getattr(setting, field):
                _inactive(report, rule, setting, f"{path}.{name}.{word}", word, "the policy")


def _inactive(report, resource, setting, path, word, where):
    report.add("MSH0402", resource, key(setting, word), path,
               f"{word} does nothing without outlierDetection", hint="nothing is ever failed over",
               notes=("without it no endpoint counts as failed, and endpoints of all localities are used",),
               help=f"add outlierDetection: {{maxEjectionPercent: 100}} to {where}")


def _dropped(report, rule, policy, one, path):
    lost = [(name, word) for name, word in BLOCKS
            if getattr(policy, name) is not None and getattr(one, name) is None]
    if not lost:
        return
    number = one.port.number if one.port is not None else "?"
    report.add("MSH0407", rule, key(one, "port"), path,
               f"{listed(word for _, word in lost)} of the destination's level {'is' if len(lost) == 1 else 'are'} not "
               f"in force at port {number}", hint="replaces the level above whole",
               related=tuple(Related(key(policy, word).mark(), f"not in force at port {number}") for _, word in lost),
               notes=("what a port's settings leave out falls to the defaults, not to the destination's level",),
               help="repeat it under this port")
