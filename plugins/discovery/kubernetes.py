"""The discovery ``kubernetes``: the endpoints of a Service of a Kubernetes cluster, by its API.

Only the options stand here. What watches (``kubernetes_source`` and below) is imported where a configuration uses it.
"""

from typing import Any

from meshd.api import PluginType, Text, config, option

from meshd_plugins.discovery.remote import TokenOptions, references

NAME = r"[a-z0-9][a-z0-9.-]{0,252}"


@config
class KubernetesOptions(TokenOptions):
    """A Service of Kubernetes. In a pod the token is /var/run/secrets/kubernetes.io/serviceaccount/token."""

    service: str = option(Text(pattern=NAME), doc="name of the Service")
    namespace: str = option(Text(pattern=NAME), default="default", doc="its namespace")
    port: str = option(Text(), default="", doc="name or number of the Service's port (its only one when empty)")
    region: str = option(Text(), default="", doc="region of the endpoints (this node's when empty)")


def build(config: KubernetesOptions, site: Any) -> Any:
    """Return a Discovery."""
    from meshd_plugins.discovery.kubernetes_source import build as build_source

    return build_source(config, site)


TYPE = PluginType(
    kind="discovery", name="kubernetes", config=KubernetesOptions, build=build, references=references,
    doc="Endpoints of a Service, from Kubernetes' API.",
)
