"""The way back: what the kernel has in our table, as settings and counts; nothing else keeps them."""

from typing import Any

import attrs

from meshd.capture import ruleset
from meshd.capture.settings import EVERYTHING, REDIRECT, TPROXY, Settings

_PORTS = ("ssh_ports", "include_outbound_ports", "exclude_outbound_ports", "include_inbound_ports",
          "exclude_inbound_ports")
_NETWORKS = ("include_outbound_cidrs", "exclude_outbound_cidrs", "dns_servers")


@attrs.frozen
class Captured:
    """What is in force. ``hits`` are the counts of the rules by their keys, of connections or, with TPROXY, packets."""

    settings: Settings
    hits: dict[str, int]


def read(document: dict) -> Captured:
    """Return what ``nft -j list table`` says."""
    entries = document["nftables"]
    sets = {one["set"]["name"]: [_text(item) for item in one["set"].get("elem", ())] for one in entries if "set" in one}
    rules = [one["rule"] for one in entries if "rule" in one]
    chains = {one["chain"]["name"]: one["chain"] for one in entries if "chain" in one}
    ports = {rule["comment"]: port for rule in rules if "comment" in rule for port in _targets(rule)}
    fields: dict[str, Any] = {
        "mode": TPROXY if chains.get("inbound", {}).get("type") == "filter" else REDIRECT,
        "has_ipv6": not any(rule.get("comment") == ruleset.IPV6 for rule in rules),
        "dns_port": ports.get(ruleset.DNS, 0),
        "proxy_uids": tuple(map(int, sets.get("proxy_uids", ()))),
        "proxy_gids": tuple(map(int, sets.get("proxy_gids", ()))),
        "exclude_interfaces": tuple(sorted(sets.get("exclude_interfaces", ()))),
        **{name: tuple(sets.get(name, ())) for name in _PORTS},
        **{name: tuple([*sets.get(f"{name}_v4", ()), *sets.get(f"{name}_v6", ())]) for name in _NETWORKS},
    }
    for name, key in (("outbound", ruleset.OUTBOUND), ("inbound", ruleset.INBOUND)):
        if key in ports:
            fields[f"{name}_port"] = ports[key]
            include = f"include_{name}_cidrs" if name == "outbound" else f"include_{name}_ports"
            fields[include] = fields[include] or (() if f"include_{name}_ports" in sets else EVERYTHING)
    return Captured(Settings(**fields), _hits(rules))


def _hits(rules: list[dict]) -> dict[str, int]:
    found: dict[str, int] = {}
    for rule in rules:
        if "comment" in rule:
            count = sum(one["counter"]["packets"] for one in rule["expr"] if isinstance(one.get("counter"), dict))
            found[rule["comment"]] = found.get(rule["comment"], 0) + count
    return found


def _targets(rule: dict) -> list[int]:
    """Return the port that a rule leads to, if it leads to any."""
    return [one[verb]["port"] for one in rule["expr"] for verb in ("redirect", "tproxy") if one.get(verb)]


def _text(item: Any) -> str:
    """Return an element of a set as the settings have it."""
    if isinstance(item, dict) and "prefix" in item:
        return f"{item['prefix']['addr']}/{item['prefix']['len']}"
    if isinstance(item, dict) and "range" in item:
        return "-".join(map(str, item["range"]))
    return str(item)
