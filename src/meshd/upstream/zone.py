"""Zone-aware routing: which share of the traffic stays in this proxy's own zone (docs/formulas.md).

Asked when endpoints change. Envoy's rule (arch_overview/upstream/load_balancing/zone_aware): with the percentage of
this service's own endpoints in a zone (``here``) and of the upstream's usable endpoints (``there``), all stays where
``there >= here``; else ``there / here`` stays, and the rest goes to the zones that have more than their share, by how
much more they have.
"""

from collections.abc import Mapping


def zone_shares(own: str, here: Mapping[str, int], there: Mapping[str, int]) -> dict[str, float] | None:
    """Return the percentage of each zone of ``there``, None where the rule does not apply.

    ``here`` and ``there`` are numbers of endpoints by locality. It does not apply where this proxy's locality is not
    among both, or the upstream has one locality only.
    """
    if len(there) < 2 or not there.get(own) or not here.get(own):
        return None
    local = {zone: 100.0 * count / sum(here.values()) for zone, count in here.items()}
    remote = {zone: 100.0 * count / sum(there.values()) for zone, count in there.items()}
    if remote[own] >= local[own]:
        return {zone: 100.0 if zone == own else 0.0 for zone in there}
    stays = 100.0 * remote[own] / local[own]
    spare = {zone: max(0.0, remote[zone] - local.get(zone, 0.0)) for zone in there if zone != own}
    total = sum(spare.values())
    if not total:
        return None
    return {own: stays, **{zone: (100.0 - stays) * part / total for zone, part in spare.items()}}
