"""What holds for an object of any kind; the other suites of this folder build on it."""

from typing import Any

from twisted.internet.task import Clock

from meshd.runtime.contract import check_object
from meshd.testing.contract.http import Contract


class KindContract(Contract):
    """``kind`` names the interface. Mix it into a TestCase and write ``make``; ``self.site`` may be a FakeSite."""

    kind = ""

    def test_keeps_the_interface_of_its_kind(self):
        check_object(self.kind, self.make())

    def test_building_schedules_nothing(self):
        reactor = getattr(getattr(getattr(self, "site", None), "world", None), "reactor", None) or Clock()
        before = len(reactor.getDelayedCalls())
        self.make()
        self.assertEqual(len(reactor.getDelayedCalls()), before)


class Endpoint:
    """An endpoint for balancers and detectors (``IEndpoint``)."""

    def __init__(self, address: str, weight: int = 1, **more: Any) -> None:
        self.address = address
        self.weight = weight
        self.active = more.get("active", 0)
        self.healthy = more.get("healthy", True)
        self.bits = more.get("bits", 0)
        self.memo = None
        self.labels = more.get("labels", ())
        self.locality = more.get("locality", "")
        self.priority = more.get("priority", 0)

    def __repr__(self) -> str:
        return f"<endpoint {self.address}>"


class Outcome:
    """How an attempt ended, for retry policies and outlier detectors: ``status`` 0 means that no answer came."""

    def __init__(
        self, status: int = 0, headers: Any = None, flag: int = 0, began: bool = False, reason: str = "",
        seconds: float = 0.0,
    ) -> None:
        self.status = status
        self.headers = headers
        self.flag = flag
        self.began = began
        self.reason = reason
        self.seconds = seconds


def endpoints(count: int, **more: Any) -> tuple[Endpoint, ...]:
    """Return ``count`` endpoints of documentation addresses."""
    return tuple(Endpoint(f"192.0.2.{number + 1}:80", **more) for number in range(count))
