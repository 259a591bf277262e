"""One address of a cluster, as balancers and telemetry see it."""

from typing import Any

from zope.interface import classImplements

from meshd.api.kind import IEndpoint


class Endpoint:
    """``spec`` is the model's; ``pool`` may be shared with an endpoint of another runtime that has the same address.

    ``bits`` are its health flags (``meshd.model.health``), ``healthy`` says whether it may be used. ``weight`` and
    ``priority`` are those in force: less than the spec's during warm-up (since ``warm_from``, 0.0 when it is over), and
    by locality. ``memo`` is what its balancer remembers of it.
    """

    __slots__ = (
        "spec", "pool", "address", "weight", "active", "healthy", "bits", "labels", "locality", "priority",
        "warm_from", "memo", "__weakref__",
    )

    def __init__(self, spec: Any, pool: Any) -> None:
        self.spec = spec
        self.pool = pool
        self.address = spec.address
        self.weight = spec.weight
        self.active = 0
        self.healthy = True
        self.bits = 0
        self.labels = spec.labels
        self.locality = spec.locality
        self.priority = spec.priority
        self.warm_from = 0.0
        self.memo = None

    def __repr__(self) -> str:
        return f"<endpoint {self.address}>"


classImplements(Endpoint, IEndpoint)
