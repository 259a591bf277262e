"""The health flags of an endpoint, and Envoy's words for them; what one health check has found."""

import attrs

FAILED_ACTIVE_CHECK, FAILED_OUTLIER_CHECK, FAILED_DISCOVERY, DRAINING, PENDING_CHECK, IMMEDIATE_FAIL = (
    1, 2, 4, 8, 16, 32)
DEGRADED_ACTIVE_CHECK, DEGRADED_DISCOVERY = 64, 128
FAILED_PROBE = 256
"""The local workload's own probe (meshd's; Envoy has none)."""
FAILED = (FAILED_ACTIVE_CHECK | FAILED_OUTLIER_CHECK | FAILED_DISCOVERY | DRAINING | PENDING_CHECK | IMMEDIATE_FAIL
          | FAILED_PROBE)
DEGRADED = DEGRADED_ACTIVE_CHECK | DEGRADED_DISCOVERY
BY_CHECKS = FAILED_ACTIVE_CHECK | IMMEDIATE_FAIL | DEGRADED_ACTIVE_CHECK
"""What active checks set."""
WORDS = (
    (FAILED_ACTIVE_CHECK, "failed_active_hc"), (FAILED_OUTLIER_CHECK, "failed_outlier_check"),
    (FAILED_DISCOVERY, "failed_eds_health"), (DRAINING, "eds_status_draining"), (PENDING_CHECK, "pending_active_hc"),
    (IMMEDIATE_FAIL, "excluded_via_immediate_hc_fail_header"), (DEGRADED_ACTIVE_CHECK, "degraded_active_hc"),
    (DEGRADED_DISCOVERY, "degraded_eds_health"), (FAILED_PROBE, "failed_local_probe"),
)
"""Bit -> Envoy's word on /clusters."""
DISCOVERED = {"unhealthy": FAILED_DISCOVERY, "degraded": DEGRADED_DISCOVERY, "draining": DRAINING}
"""What a source says of an endpoint -> bit."""


def words(bits: int) -> str:
    """Return the health flags as Envoy writes them: ``healthy``, or ``/failed_active_hc/failed_outlier_check``."""
    return "".join(f"/{word}" for bit, word in WORDS if bits & bit) or "healthy"


@attrs.frozen(kw_only=True)
class Checked:
    """What one health check has found.

    ``is_final``: a failure counts at once, whatever the threshold (an answer that says no, and not silence).
    ``is_immediate``: the endpoint wants no traffic from now on. ``reason`` says why it failed.
    """

    is_well: bool
    reason: str = ""
    is_final: bool = False
    is_degraded: bool = False
    is_immediate: bool = False
