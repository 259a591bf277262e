"""What is known of the health of a cluster's endpoints: one set of bits for each address, kept over reloads.

Active checks, outlier detection and discovery each set bits of their own (``meshd.model.health``). The clusters of the
old and the new runtime have the same ``Verdicts``, and both are told of each change.
"""

from collections.abc import Callable
from typing import Any
from weakref import WeakSet

from meshd.model.health import BY_CHECKS, FAILED_ACTIVE_CHECK, FAILED_OUTLIER_CHECK, PENDING_CHECK


class Verdicts:
    """``bits`` by address; an address without an entry is well. ``checked`` are the addresses whose first active check
    has ended.

    ``notes`` say why a bit is set, by address and bit: dicts ready for JSON, with ``reason`` and what else is known.
    ``on_check`` are called with (address, whether it is well) after each active check, ``on_members`` when endpoints
    come or go. ``checkers`` are the active checks of old and new runtimes: the last one acts.
    """

    def __init__(self) -> None:
        self.bits: dict[str, int] = {}
        self.checked: set[str] = set()
        self.notes: dict[str, dict[int, dict[str, Any]]] = {}
        self.on_check: list[Callable[[str, bool], Any]] = []
        self.on_members: list[Callable[[], Any]] = []
        self.checkers: list[Any] = []
        self.membership: Any = None
        self._clusters: WeakSet = WeakSet()

    def join(self, cluster: Any) -> None:
        """Tell ``cluster`` (``on_verdict(address)``) of each change from now on."""
        self._clusters.add(cluster)

    def leave(self, cluster: Any) -> None:
        """Tell it no more."""
        self._clusters.discard(cluster)

    def of(self, address: str, spec: Any) -> int:
        """Return the bits of an address that count for a cluster of ``spec`` (the model's).

        What an older configuration has left does not; with active checks, an address that has not been checked yet
        waits for it.
        """
        bits = self.bits.get(address, 0)
        if not spec.health_checks:
            bits &= ~BY_CHECKS
        elif address not in self.checked:
            bits |= PENDING_CHECK
        return bits if spec.outlier_detection is not None else bits & ~FAILED_OUTLIER_CHECK

    def mark(self, address: str, bit: int, is_set: bool, note: dict[str, Any] | None = None) -> bool:
        """Set or clear ``bit``; say whether that was a change. ``note`` says why it is set."""
        before = self.bits.get(address, 0)
        after = before | bit if is_set else before & ~bit
        self._note(address, bit, note if is_set else None, is_set)
        if after == before:
            return False
        if after:
            self.bits[address] = after
        else:
            del self.bits[address]
        self._tell(address)
        return True

    def check(self, address: str, bits: int, note: dict[str, Any] | None = None) -> None:
        """An active check has judged: ``bits`` (of ``BY_CHECKS``) are in force from now on."""
        before = self.bits.get(address, 0)
        after = before & ~BY_CHECKS | bits
        self._note(address, FAILED_ACTIVE_CHECK, note, bool(bits & FAILED_ACTIVE_CHECK))
        if after == before and address in self.checked:
            return
        self.checked.add(address)
        if after:
            self.bits[address] = after
        else:
            self.bits.pop(address, None)
        self._tell(address)

    def _note(self, address: str, bit: int, note: dict[str, Any] | None, is_set: bool) -> None:
        if is_set and note is not None:
            self.notes.setdefault(address, {})[bit] = note
        elif not is_set and address in self.notes:
            self.notes[address].pop(bit, None)
            if not self.notes[address]:
                del self.notes[address]

    def _tell(self, address: str) -> None:
        for cluster in list(self._clusters):
            cluster.on_verdict(address)

    def forget_checks(self) -> None:
        """The cluster has no active checks any more."""
        self.checked.clear()
        for address in [one for one, bits in self.bits.items() if bits & BY_CHECKS]:
            self.mark(address, BY_CHECKS, False)

    def arrived(self) -> None:
        """Endpoints have come or gone."""
        for listener in list(self.on_members):
            listener()

    def why(self, address: str, bits: int) -> list[dict[str, Any]]:
        """Return the notes of those of ``bits`` that have one."""
        return [note for bit, note in self.notes.get(address, {}).items() if bit & bits] if bits else []

    def keep(self, addresses: set[str]) -> None:
        """Forget what is not among ``addresses`` any more."""
        for address in [one for one in self.bits if one not in addresses]:
            del self.bits[address]
        self.checked &= addresses
        for address in [one for one in self.notes if one not in addresses]:
            del self.notes[address]
