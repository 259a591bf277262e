"""One document that was read: its metadata and its decoded ``spec``. Made by ``read``, used by everything behind it."""

from typing import Any

import attrs

from meshd.api import MapOf, Mapping, Text, camel_config, option
from meshd_plugins.istio.catalog import Kind

DEFAULT_NAMESPACE = "default"


@camel_config
class Metadata:
    """What is read of ``metadata``; its other keys are Kubernetes' own business."""

    name: str = option(Text(minimum=1, maximum=253), doc="its name")
    namespace: str = option(Text(maximum=253), default="", doc="its namespace")
    labels: tuple[tuple[str, str], ...] = option(MapOf(value=Text()), default=(), doc="its labels")
    annotations: tuple[tuple[str, str], ...] = option(MapOf(value=Text()), default=(), doc="its annotations")
    creation_timestamp: str = option(Text(maximum=64), default="", doc="when it was made, by Kubernetes")


@attrs.frozen(eq=False)
class Resource:
    """``spec`` is an object of ``kind.spec``; ``node`` the whole document; ``namespace`` is never empty."""

    kind: Kind
    metadata: Metadata
    namespace: str
    spec: Any
    node: Mapping

    @property
    def name(self):
        """Return its name."""
        return self.metadata.name

    @property
    def title(self):
        """Return ``VirtualService default/reviews``."""
        return f"{self.kind.name} {self.namespace}/{self.name}"

    @property
    def key(self):
        """Return what no other resource has."""
        return self.kind.group, self.kind.name, self.namespace, self.name

    @property
    def labels(self):
        """Return its labels as a dict."""
        return dict(self.metadata.labels)

    @property
    def annotations(self):
        """Return its annotations as a dict."""
        return dict(self.metadata.annotations)
