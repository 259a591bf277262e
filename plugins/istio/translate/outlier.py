"""Outlier detection of a DestinationRule to the native detector: Istio's choice of Envoy's detectors.

Success rates never eject. What is not given has Envoy's default; a number of 0 turns a detector off.
"""

from meshd_plugins.istio.emit import At, default, field, seconds

NUMBERS = (
    ("consecutive_5xx_errors", "consecutive5xxErrors", "consecutive_5xx"),
    ("consecutive_gateway_errors", "consecutiveGatewayErrors", "consecutive_gateway_failure"),
)


def native_outlier_detection(detection):
    """Return the native ``outlier_detection``, or None where there is none."""
    if detection is None:
        return None
    found = {"enforcing_success_rate": default(0)}
    for attribute, key, name in NUMBERS:
        number = getattr(detection, attribute)
        if number is not None:
            found[name] = At(field(detection, key), number)
            found[f"enforcing_{name}"] = default(100 if number else 0)
    if detection.split_external_local_origin_errors:
        found |= _local(detection)
    codes = detection.outlier_detection_http_error_codes
    return {"outlier_detection": At(detection.node, {
        **found,
        "interval": seconds(detection.interval_s), "base_ejection_time": seconds(detection.base_ejection_time_s),
        "max_ejection_percent": detection.max_ejection_percent or None,
        "http_error_codes": [str(code) for code in codes] or None,
    })}


def _local(detection):
    """Failures without an answer, where they are counted apart."""
    found = {"split_external_local_origin_errors": True, "enforcing_local_origin_success_rate": default(0)}
    number = detection.consecutive_local_origin_failures
    if number:
        found["consecutive_local_origin_failure"] = number
    return found
