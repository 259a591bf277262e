"""What surrounds the load balancer in a DestinationRule and the MeshConfig: localities, panic, warm-up.

Istio's rules: failover acts only with outlier detection, and then by default; the DestinationRule's locality setting
replaces the mesh's; outlier detection turns panic off unless ``minHealthPercent`` says otherwise.
"""

from meshd_plugins.istio.emit import At, default, field, seconds

WARMED = ("", "UNSPECIFIED", "ROUND_ROBIN", "LEAST_REQUEST", "LEAST_CONN")
"""Policies that a warm-up has an effect on."""


def native_balancing(in_force, config, node):
    """Return the native ``balancing`` of a policy in force, or None where Envoy's defaults stand."""
    settings = in_force.load_balancer
    found = {
        "panic_threshold": _panic(in_force.outlier_detection),
        "locality": _locality(in_force, config, node),
        "slow_start": _warmup(settings),
    }
    return found if any(value is not None for value in found.values()) else None


def _panic(detection):
    if detection is None:
        return None
    percent = detection.min_health_percent
    return At(field(detection, "minHealthPercent"), percent) if percent else default(0)


def _locality(in_force, config, node):
    """Consistent hashing looks at no localities."""
    settings = in_force.load_balancer
    if settings is not None and settings.consistent_hash is not None:
        return None
    own = getattr(settings, "locality_lb_setting", None)
    setting = own if own is not None else getattr(config, "locality_lb_setting", None)
    if setting is not None and setting.distribute:
        return At(setting.node, {"mode": "distribute", "distribute": [
            At(one.node, {"from": one.from_, "to": dict(one.to)}) for one in setting.distribute]})
    is_off = setting is not None and setting.enabled is False
    if in_force.outlier_detection is None or is_off:
        return None
    labels = list(setting.failover_priority) if setting is not None else []
    if not labels and not node.locality:
        return None
    found = {
        "mode": "failover", "failover_priority": labels or None,
        "failover": [{"from": one.from_, "to": one.to} for one in setting.failover] or None if setting else None,
    }
    return At(setting.node, found) if setting is not None else default(found)


def _warmup(settings):
    if settings is None or (settings.simple or "") not in WARMED or settings.consistent_hash is not None:
        return None
    warmup = settings.warmup
    if warmup is None:
        old_s = settings.warmup_duration_secs_s
        return At(field(settings, "warmupDurationSecs"), {"window": seconds(old_s)}) if old_s else None
    return At(warmup.node, {
        "window": seconds(warmup.duration_s), "min_weight_percent": warmup.minimum_percent,
        "aggression": warmup.aggression,
    })
