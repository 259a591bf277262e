"""EnvoyFilter and WasmPlugin: recognised and not run; what is native in their place (MSH0411, MSH0412).

Also istioctl's own findings on EnvoyFilters (IST0151 to IST0155), for those who keep them for Envoys beside this proxy.
"""

from meshd_plugins.istio.analysis.envoy_use import replacement
from meshd_plugins.istio.analysis.report import item, value

ABSOLUTE = ("ROUTE_CONFIGURATION", "HTTP_ROUTE")
REPLACEABLE = ("NETWORK_FILTER", "HTTP_FILTER", "VIRTUAL_HOST")
RELATIVE = ("REMOVE", "REPLACE", "INSERT_BEFORE", "INSERT_AFTER")
PYTHON = "write a filter in Python (meshctl plugins new) and name it in the listener's filters"
WASM_USES = (
    (("ratelimit", "rate-limit", "rate_limit"), "a RateLimitPolicy document"),
    (("basic-auth", "basic_auth"), "the filter authentication with the authenticator basic"),
    (("auth", "jwt", "oidc"), "the filter authentication, or an authenticator of your own in Python"),
    (("header",), "the filter header_mutation, or headers of a VirtualService"),
    (("cors",), "corsPolicy of a VirtualService"),
)


def analyze(report):
    """Look at every EnvoyFilter and WasmPlugin."""
    versioned = set()
    for resource in report.mesh.of("EnvoyFilter"):
        for place, patch in enumerate(resource.spec.config_patches):
            if patch.patch is not None:
                _patch(report, resource, place, patch, versioned)
    for resource in report.mesh.of("WasmPlugin", "extensions.istio.io"):
        _wasm(report, resource)


def _patch(report, resource, place, patch, versioned):
    node, path = item(resource.spec, "configPatches", place), f"spec.configPatches[{place}]"
    what, instead = replacement(patch)
    report.add("MSH0411", resource, value(patch, "applyTo"), path, f"this patch of Envoy is not used here: {what}",
               hint="this proxy is not Envoy", help=instead or PYTHON)
    operation, kind = patch.patch.operation, patch.apply_to
    if operation == "ADD" and kind in ABSOLUTE:
        report.add("IST0153", resource, node, path, f"ADD is ignored where applyTo is {kind}", hint="no effect",
                   help="apply it to VIRTUAL_HOST, or use MERGE")
    elif operation == "REMOVE" and kind in ABSOLUTE:
        report.add("IST0154", resource, node, path, f"REMOVE is ignored where applyTo is {kind}", hint="no effect",
                   help="apply it to VIRTUAL_HOST, or use MERGE")
    elif operation == "REPLACE" and kind not in REPLACEABLE:
        report.add("IST0152", resource, node, path, f"REPLACE is not valid where applyTo is {kind}",
                   hint=f"expected {', '.join(REPLACEABLE)}")
    elif operation in RELATIVE and not resource.spec.priority:
        _relative(report, resource, node, path, patch, versioned)
    name = _name(patch)
    if patch.match is not None and patch.match.proxy is not None and patch.match.proxy.proxy_version:
        versioned.add(name)


def _relative(report, resource, node, path, patch, versioned):
    code, why = "IST0151", ""
    if _name(patch) in versioned:
        code, why = "IST0155", " and another EnvoyFilter has it for a proxyVersion, so that an upgrade may lose it"
    report.add(code, resource, node, path,
               f"{patch.patch.operation} depends on what Envoy has before, and the EnvoyFilter has no priority{why}",
               help="use INSERT_FIRST or ADD, or set priority")


def _name(patch):
    """Return the name of the filter that a patch brings or changes."""
    found = patch.patch.value.get("name") if isinstance(patch.patch.value, dict) else None
    if found is None and patch.match is not None and patch.match.listener is not None:
        chain = patch.match.listener.filter_chain
        found = chain.filter.name if chain is not None and chain.filter is not None else None
    return str(found or "")


def _wasm(report, resource):
    spec = resource.spec
    known = f"{resource.name} {spec.url} {spec.plugin_name}".lower()
    found = next((instead for words, instead in WASM_USES if any(word in known for word in words)), "")
    report.add("MSH0412", resource, value(spec, "url"), "spec.url", "this WebAssembly plugin is not run here",
               hint="no WebAssembly",
               notes=(f"fail strategy {spec.fail_strategy} of Istio is not kept either: requests go on without it",),
               help=f"in its place: {found}" if found else PYTHON)
