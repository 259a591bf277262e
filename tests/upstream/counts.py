"""The ledger of a circuit breaker whose counts have names, and which a test catches at giving what it has not."""

from meshd.hot.ledger import Ledger
from meshd_plugins.limits.breaker import RESOURCES


class Counts(Ledger):
    """``made()`` makes one."""

    @classmethod
    def made(cls):
        """Return one with the counts of a breaker."""
        return cls(len(RESOURCES))

    def give(self, index):
        """Count one less."""
        assert self.used(index) > 0, f"{RESOURCES[index][0]}: given without being taken"
        super().give(index)

    connections, pending, requests, retries = (
        property(lambda self, index=index: self.used(index)) for index in range(len(RESOURCES))
    )
