"""Rules of others that capture meets: nat chains by their priority, firewalls that would drop what is redirected."""

from pathlib import Path

from meshd.capture import ruleset
from meshd.capture.settings import Settings

LEGACY = (Path("/proc/net/ip_tables_names"), Path("/proc/net/ip6_tables_names"))
OURS = {"output": "outbound", "prerouting": "inbound"}


def conflicts(chains: list[dict], settings: Settings, legacy: tuple[Path, ...] = LEGACY) -> list[tuple[str, str]]:
    """Return (``warning`` or ``note``, text) for each; ``chains`` are the base chains as nft's JSON has them."""
    found = [one for chain in chains if chain.get("table") != ruleset.TABLE for one in _of(chain, settings)]
    if any(_names_nat(path) for path in legacy):
        found.append(("note", "iptables (legacy): its nat table comes after: what is captured does not reach it"))
    return found


def _of(chain: dict, settings: Settings):
    name = f"table {chain['family']} {chain['table']}, chain {chain['name']}"
    kind, hook, priority = chain.get("type"), chain.get("hook"), chain.get("prio", 0)
    if kind == "nat" and hook in OURS and (hook == "output" or settings.has_inbound):
        if priority < ruleset.NAT_PRIORITY:
            yield "warning", (f"{name}: priority {priority} comes before {ruleset.NAT_PRIORITY}: "
                              "what it translates is not captured")
        else:
            yield "note", (f"{name}: priority {priority} comes after {ruleset.NAT_PRIORITY}: "
                           "what is captured does not reach it")
    if kind == "filter" and hook == "input" and chain.get("policy") == "drop" and settings.has_inbound:
        yield "warning", (f"{name}: drops by default: it must accept port {settings.inbound_port}, "
                          "which is what it sees of captured connections")


def _names_nat(path: Path) -> bool:
    try:
        return "nat" in path.read_text().split()
    except OSError:
        return False
