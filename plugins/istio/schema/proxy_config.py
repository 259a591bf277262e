"""ProxyConfig (networking.istio.io): what a proxy is told as it starts, as a document of its own."""

from meshd.api import Integer, MapOf, Nested, Text, camel_config, option
from meshd_plugins.istio.schema.common import WorkloadSelector
from meshd_plugins.istio.schema.policy import selector_option

NATIVE = "it is set in the native file"


@camel_config
class ProxyImage:
    """Which image of the proxy is run."""

    image_type: str = option(Text(), default="", doc="distroless, debug...")


@camel_config
class ProxyConfig:
    """Of workloads, a namespace or the mesh."""

    selector: WorkloadSelector | None = selector_option()
    concurrency: int | None = option(
        Integer(maximum=2**31 - 1), default=None, doc="worker threads (0: all cores)", unsupported=NATIVE + " (workers)"
    )
    environment_variables: tuple[tuple[str, str], ...] = option(
        MapOf(value=Text(maximum=2048)), default=(), doc="environment of the proxy",
        unsupported="the environment is the unit's"
    )
    image: ProxyImage | None = option(
        Nested(ProxyImage), default=None, doc="image of the proxy", unsupported="there are no images"
    )
