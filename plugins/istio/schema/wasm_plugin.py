"""WasmPlugin (extensions.istio.io): recognised and checked; meshd runs Python plugins in its place."""

from urllib.parse import urlsplit

from meshd.api import Anything, Choice, Integer, ListOf, Nested, Text, camel_config, option
from meshd_plugins.istio.schema.common import PORT, WorkloadSelector
from meshd_plugins.istio.schema.policy import (
    PolicyTargetReference, one_target, selector_option, target_option, targets_option,
)

SCHEMES = ("oci", "http", "https", "file")
NO_WASM = "there is no Wasm; a Python plugin does the same"


@camel_config
class EnvVar:
    """A variable of the plugin's environment."""

    name: str = option(Text(minimum=1, maximum=256), doc="its name")
    value_from: str = option(Choice(("INLINE", "HOST")), default="INLINE", doc="given here, or the proxy's")
    value: str | None = option(Text(maximum=2048), default=None, doc="its value")

    def check(self):
        """Yield a fault where a value is given that is not used."""
        if self.value_from == "HOST" and self.value is not None:
            yield "value", "expected a value only where valueFrom is INLINE"


@camel_config
class VmConfig:
    """The plugin's machine."""

    env: tuple[EnvVar, ...] = option(ListOf(item=Nested(EnvVar), maximum=256, unique="name"), default=(),
                                     doc="its environment")


@camel_config
class TrafficPort:
    """A port."""

    number: int = option(PORT, doc="its number")


@camel_config
class TrafficSelector:
    """Which traffic."""

    mode: str = option(Choice(("UNDEFINED", "CLIENT", "SERVER", "CLIENT_AND_SERVER")), default="UNDEFINED",
                       doc="which side")
    ports: tuple[TrafficPort, ...] = option(ListOf(item=Nested(TrafficPort)), default=(), doc="ports (all)")


@camel_config
class WasmPlugin:
    """A filter in WebAssembly."""

    selector: WorkloadSelector | None = selector_option()
    target_ref: PolicyTargetReference | None = target_option()
    target_refs: tuple[PolicyTargetReference, ...] = targets_option()
    url: str = option(Text(minimum=1), doc="where the module is", unsupported=NO_WASM)
    sha256: str = option(Text(pattern="|[a-f0-9]{64}"), default="", doc="the module's hash")
    image_pull_policy: str = option(Choice(("UNSPECIFIED_POLICY", "IfNotPresent", "Always")),
                                    default="UNSPECIFIED_POLICY", doc="when it is pulled")
    image_pull_secret: str = option(Text(minimum=1, maximum=253), default="", doc="secret for it")
    verification_key: str = option(Text(), default="", doc="key of its signature")
    plugin_config: dict | None = option(Anything(), default=None, doc="its configuration")
    plugin_name: str = option(Text(minimum=1, maximum=256), default="", doc="its name")
    phase: str = option(Choice(("UNSPECIFIED_PHASE", "AUTHN", "AUTHZ", "STATS")), default="UNSPECIFIED_PHASE",
                        doc="where in the chain")
    priority: int | None = option(Integer(minimum=-2**31, maximum=2**31 - 1), default=None, doc="order in its phase")
    fail_strategy: str = option(Choice(("FAIL_CLOSE", "FAIL_OPEN", "FAIL_RELOAD")), default="FAIL_CLOSE",
                                doc="what a fault of it means")
    vm_config: VmConfig | None = option(Nested(VmConfig), default=None, doc="its machine")
    match: tuple[TrafficSelector, ...] = option(ListOf(item=Nested(TrafficSelector)), default=(), doc="traffic (all)")
    type: str = option(Choice(("UNSPECIFIED_PLUGIN_TYPE", "HTTP", "NETWORK")), default="UNSPECIFIED_PLUGIN_TYPE",
                       doc="what it filters")

    def check(self):
        """Yield faults between fields."""
        yield from one_target(self)
        if not _is_url(self.url):
            yield "url", f"expected a URL with one of {', '.join(SCHEMES)}, or none, got {self.url!r}"


def _is_url(text):
    if text.startswith("/"):
        return True
    try:
        parts = urlsplit(text if "://" in text else "http://" + text)
        return parts.scheme in SCHEMES and (bool(parts.netloc) or parts.scheme == "file") and "%" not in parts.netloc
    except ValueError:
        return False
