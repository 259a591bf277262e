"""One address of a cluster, as balancers and telemetry see it."""

from typing import Any

from zope.interface import classImplements

from meshd.api.kind import IEndpoint


class Endpoint:
    """``spec`` is the model's; ``pool`` may be shared with an endpoint of another runtime that has the same address."""

    __slots__ = (
        "spec", "pool", "address", "weight", "active", "healthy", "labels", "locality", "priority", "__weakref__",
    )

    def __init__(self, spec: Any, pool: Any) -> None:
        self.spec = spec
        self.pool = pool
        self.address = spec.address
        self.weight = spec.weight
        self.active = 0
        self.healthy = True
        self.labels = spec.labels
        self.locality = spec.locality
        self.priority = spec.priority

    def __repr__(self) -> str:
        return f"<endpoint {self.address}>"


classImplements(Endpoint, IEndpoint)
