"""Analysis of a mesh: what its documents say that is not wrong in itself, and surely not meant. For the dialect.

Each module has ``analyze(report)`` and looks at one matter; ``report`` says what was found. The configuration is in
force whatever is found here.
"""

from meshd_plugins.istio.analysis import (
    annotation, balancing, credential, deprecated, destination, destination_rule, envoy_filter, gateway,
    gateway_reference,
    host_clash, policy, reach, route, security, selector, service, target, telemetry, unusual,
)
from meshd_plugins.istio.analysis.codes import CODES
from meshd_plugins.istio.analysis.report import Report

ANALYZERS = (
    destination, gateway_reference, host_clash, reach, route, deprecated, destination_rule, policy, balancing, gateway,
    credential, service, selector, target, security, telemetry, annotation, unusual, envoy_filter,
)

__all__ = ["ANALYZERS", "CODES", "analyze"]


def analyze(mesh, context):
    """Add the findings on a ``mesh.Mesh`` to ``context.faults``, for ``context.node``."""
    report = Report(mesh, context)
    for one in ANALYZERS:
        try:
            one.analyze(report)
        except Exception as error:  # a bug of ours is no reason to serve nothing
            report.failed(one.__name__.rpartition(".")[2], error)
