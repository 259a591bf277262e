"""From a pressure to an action: a threshold that does not flap."""

import attrs

DISABLE_KEEPALIVE = "disable_http_keepalive"
STOP_REQUESTS = "stop_accepting_requests"
STOP_CONNECTIONS = "stop_accepting_connections"
SHRINK_HEAP = "shrink_heap"
ACTIONS = (SHRINK_HEAP, DISABLE_KEEPALIVE, STOP_REQUESTS, STOP_CONNECTIONS)
"""Envoy's overload actions, by its names."""

RELEASES = {"lag": 0.5, "descriptors": 0.98, "memory": 0.98}
"""An action ends below this part of its threshold. Memory seldom falls far: a wide gap would refuse for ever."""


@attrs.define
class Trigger:
    """One threshold of one resource; ``is_on`` until the value has fallen below ``release``."""

    resource: str
    action: str
    threshold: float
    is_on: bool = False

    @property
    def release(self) -> float:
        """Where it ends."""
        return self.threshold * RELEASES[self.resource]

    def __str__(self) -> str:
        return f"{self.threshold * 1e3:.0f} ms" if self.resource == "lag" else f"{self.threshold * 100:g} %"

    def judge(self, value: float) -> None:
        """Take in a new value."""
        self.is_on = value >= (self.release if self.is_on else self.threshold)


def triggers(settings: object) -> list[Trigger]:
    """Return the thresholds of a model's ``Overload`` that are not off (0)."""
    found = []
    for resource in RELEASES:
        thresholds = getattr(settings, resource)
        for action in ACTIONS:
            value = getattr(thresholds, action, None) or getattr(thresholds, f"{action}_s", None)
            if value:
                found.append(Trigger(resource, action, value))
    return found
