"""Builds what a route says of recovery from failures into the ``Extra`` of its plan; None where it says nothing."""

from meshd.api import Calls, Extra
from meshd.api import Mirror as BuiltMirror
from meshd_plugins.router.edit import compile_edits, request_edit, set_host

DROPPED = "meshd_mirror_dropped_total"
FIELDS = (
    ("attempt_in_request", "include_request_attempt_count"),
    ("attempt_in_response", "include_attempt_count_in_response"),
    ("timeout_retry_in_request", "include_is_timeout_retry_header"),
)


def extra_of(table, host, route, site, context):
    """Return the Extra of a route (configurations of the table, its virtual host and itself), or None."""
    said = {name: True for name, key in FIELDS if getattr(host, key)}
    if not table.suppress_envoy_headers:
        said["expected_timeout_in_request"] = True
    if route.priority == "high":
        said["is_high"] = True
    if route.hedge_policy is not None and route.hedge_policy.hedge_on_per_try_timeout:
        said["hedges"] = True
    for name in ("per_try_idle_timeout_s", "max_stream_duration_s"):
        if getattr(route, name):
            said["per_try_idle_s" if name.startswith("per") else "max_stream_s"] = getattr(route, name)
    if route.mirror:
        said["mirrors"] = tuple(_mirror(one, site, context) for one in route.mirror)
    return Extra(**said) if said else None


def calls_of(route, retry):
    """Return what a route with this policy says of gRPC calls, or None where they are requests like others."""
    heeds_deadlines = route.max_grpc_timeout_s is not None or route.grpc_timeout_header_max_s is not None
    if not heeds_deadlines and not getattr(retry, "judges_trailers", False):
        return None
    return Calls(
        timeout_max_s=route.max_grpc_timeout_s, timeout_offset_s=route.grpc_timeout_offset_s,
        stream_max_s=route.grpc_timeout_header_max_s, stream_offset_s=route.grpc_timeout_header_offset_s,
    )


def _mirror(options, site, context):
    family = site.metrics.counter(DROPPED, "copies of requests that were not sent", ("cluster_name", "reason"))
    edit = request_edit(compile_edits((options.request_headers,), context), _host_rewrite(options.host_rewrite))
    return BuiltMirror(
        cluster=site.cluster(options.cluster), percent=options.percent, edit=edit,
        keeps_host=options.disable_shadow_host_suffix_append, timeout_s=options.timeout_s,
        body_limit_bytes=options.body_limit_bytes, memory_bytes=options.memory_bytes,
        dropped=lambda reason: family.cell(options.cluster, reason).inc(),
    )


def _host_rewrite(host):
    if host is None:
        return None
    value = host.encode()
    return lambda asked: set_host(asked.request, value)
