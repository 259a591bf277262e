"""Telemetry documents: access logging for which there is no provider (IST0157)."""

from meshd_plugins.istio.analysis.report import item


def analyze(report):
    """Look at the access logging of every Telemetry document."""
    defaults = report.mesh.config.default_providers if report.mesh.config is not None else None
    if defaults is not None and defaults.access_logging:
        return
    for resource in report.mesh.of("Telemetry", "telemetry.istio.io"):
        for place, one in enumerate(resource.spec.access_logging):
            if one.providers or one.disabled:
                continue
            report.add("IST0157", resource, item(resource.spec, "accessLogging", place), f"spec.accessLogging[{place}]",
                       "no provider is named, and the mesh has no default one: nothing is logged",
                       hint="no provider",
                       help="name one: providers: [{name: ...}], or set defaultProviders of MeshConfig")
