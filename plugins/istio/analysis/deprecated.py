"""Fields that Istio calls deprecated (IST0002), and what should be written in their place."""

from meshd_plugins.istio.analysis.report import key
from meshd_plugins.istio.analysis.traffic import policies


def analyze(report):
    """Look for deprecated fields of VirtualServices, DestinationRules, Gateways and Sidecars."""
    for resource in report.mesh.of("VirtualService"):
        for number, rule in enumerate(resource.spec.http):
            _rule(report, resource, rule, f"spec.http[{number}]")
    for resource in report.mesh.of("DestinationRule"):
        for policy, path in policies(resource.spec):
            _policy(report, resource, policy, path)
    for resource in report.mesh.gateways:
        for number, server in enumerate(resource.spec.servers):
            if server.port.target_port is not None:
                _say(report, resource, server.port, "targetPort", f"spec.servers[{number}].port", "a port map")
    for resource in report.mesh.of("Sidecar"):
        outbound = resource.spec.outbound_traffic_policy
        if outbound is not None and outbound.egress_proxy is not None:
            _say(report, resource, outbound, "egressProxy", "spec.outboundTrafficPolicy", "")


def _rule(report, resource, rule, path):
    delay = rule.fault.delay if rule.fault is not None else None
    if delay is not None and delay.percent:
        _say(report, resource, delay, "percent", f"{path}.fault.delay", "percentage")
    if rule.mirror_percent is not None:
        _say(report, resource, rule, "mirrorPercent", path, "mirrorPercentage")
    if rule.cors_policy is not None and rule.cors_policy.allow_origin:
        _say(report, resource, rule.cors_policy, "allowOrigin", f"{path}.corsPolicy", "allowOrigins")


def _policy(report, resource, policy, path):
    outlier, balancer = policy.outlier_detection, policy.load_balancer
    if outlier is not None and outlier.consecutive_errors:
        _say(report, resource, outlier, "consecutiveErrors", f"{path}.outlierDetection", "consecutive5xxErrors")
    if balancer is None:
        return
    if balancer.consistent_hash is not None and balancer.consistent_hash.minimum_ring_size:
        _say(report, resource, balancer.consistent_hash, "minimumRingSize", f"{path}.loadBalancer.consistentHash",
             "ringHash.minimumRingSize")
    if balancer.warmup_duration_secs_s is not None:
        _say(report, resource, balancer, "warmupDurationSecs", f"{path}.loadBalancer", "warmup")
    if balancer.simple == "LEAST_CONN":
        _say(report, resource, balancer, "simple", f"{path}.loadBalancer", "LEAST_REQUEST", "LEAST_CONN")


def _say(report, resource, one, name, path, instead, what=""):
    report.add("IST0002", resource, key(one, name), f"{path}.{name}", f"{what or name} is deprecated",
               hint=f"write {instead}" if instead else "it is not used")
