"""Parts of a DestinationRule's policy that put each other out of force: minHealthPercent, warm-up, localities beside
hashing (MSH0414 to MSH0416).
"""

from meshd_plugins.istio.analysis.policy import DEFAULT_PERCENT
from meshd_plugins.istio.analysis.report import key
from meshd_plugins.istio.analysis.traffic import policies
from meshd_plugins.istio.translate.balancing import WARMED

WARMUPS = (("warmup", "warmup"), ("warmup_duration_secs_s", "warmupDurationSecs"))


def analyze(report):
    """Look at every level of every DestinationRule."""
    for rule in report.mesh.of("DestinationRule"):
        for policy, path in policies(rule.spec):
            if policy.outlier_detection is not None:
                _least_healthy(report, rule, policy.outlier_detection, f"{path}.outlierDetection")
            if policy.load_balancer is not None:
                _warmup(report, rule, policy.load_balancer, f"{path}.loadBalancer")
                _hashing(report, rule, policy.load_balancer, f"{path}.loadBalancer")


def _least_healthy(report, rule, outlier, path):
    percent = outlier.max_ejection_percent or DEFAULT_PERCENT
    least = outlier.min_health_percent
    if not least or 100 - percent < least:
        return
    report.add("MSH0414", rule, key(outlier, "minHealthPercent"), f"{path}.minHealthPercent",
               f"never reached: at most {percent} % are ejected, so {100 - percent} % are left", hint="no effect",
               notes=() if outlier.max_ejection_percent else (
                   f"maxEjectionPercent is {DEFAULT_PERCENT} where it is not given",),
               help=f"write a maxEjectionPercent of more than {100 - least}, or leave it out")


def _warmup(report, rule, balancer, path):
    if balancer.consistent_hash is None and (balancer.simple or "") in WARMED:
        return
    word = "consistentHash" if balancer.consistent_hash is not None else balancer.simple
    for attribute, name in WARMUPS:
        if getattr(balancer, attribute) is not None:
            report.add("MSH0415", rule, key(balancer, name), f"{path}.{name}",
                       f"new endpoints are not warmed up: {word} has no warm-up", hint="no effect",
                       help="write simple: LEAST_REQUEST or ROUND_ROBIN")


def _hashing(report, rule, balancer, path):
    setting = balancer.locality_lb_setting
    if balancer.consistent_hash is None or setting is None or setting.enabled is False:
        return
    report.add("MSH0416", rule, key(balancer, "localityLbSetting"), f"{path}.localityLbSetting",
               "not in force beside consistentHash: the key alone chooses the endpoint", hint="no effect",
               help="leave one of the two out")
