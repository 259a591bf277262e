"""Which listener would take the request: the one that was named, or those on the URL's port."""

from collections.abc import Mapping
from ipaddress import ip_address
from types import MappingProxyType
from typing import Any

import attrs

from meshd.document.address import split_address
from meshd.explain.asked import Asked, BadQuestion
from meshd.model.chain_match import ChainMatch, ChainTable, Facts
from meshd.model.tls import MESH_ALPN

WILDCARDS = ("0.0.0.0", "::")


def choose(listeners: tuple[Any, ...], bound: Mapping[str, str], asked: Asked,
           ports: Mapping[str, int] = MappingProxyType({})) -> tuple[Any, str]:
    """Return (listener of the model, why it is that one); raises BadQuestion where none would take the request.

    ``bound`` maps a listener's name to the address that it has, where that is known better than by its configuration;
    ``ports`` are ``node.ports``: port of a document -> port that is bound for it.
    """
    listeners = tuple(one for one in listeners if not one.is_udp)
    if not listeners:
        raise BadQuestion("listener: the configuration has none")
    if asked.listener:
        return _named(listeners, asked.listener), "it was asked for"
    port = asked.wanted_port
    addresses = {one.name: bound.get(one.name, one.address) for one in listeners}
    found = [one for one in listeners if _port(addresses[one.name]) == port]
    if not found and str(port) in ports:
        found = [one for one in listeners if _port(addresses[one.name]) == ports[str(port)]]
        if found:
            return found[0], f"it has port {ports[str(port)]}, which node.ports puts in the place of {port}"
    if not found:
        if len(listeners) == 1 and asked.port is None:
            return listeners[0], "it is the only one, and the URL names no port"
        raise BadQuestion(f"url: no listener has port {port}: expected one of {_list(listeners, addresses)}, "
                          "or the name of a listener")
    if len(found) == 1:
        return found[0], f"it has port {port}"
    return _best(found, addresses, asked)


def _best(found: list[Any], addresses: dict[str, str], asked: Asked) -> tuple[Any, str]:
    """Choose as the kernel does among sockets on one port: the exact address, then one on all addresses."""
    others = ", ".join(one.name for one in found)
    for one in found:
        if split_address(addresses[one.name])[0] == asked.host:
            return one, f"of {others} on port {asked.wanted_port} it has the URL's address"
    for one in found:
        if split_address(addresses[one.name])[0] in WILDCARDS:
            return one, f"of {others} on port {asked.wanted_port} it takes every address"
    return found[0], f"of {others} on port {asked.wanted_port} it is the first; the URL's host names no address of them"


def chain_of(listener: Any, asked: Asked, local: str) -> Any:
    """Return the filter chain of the model that would take the request; raises BadQuestion where none of HTTP would.

    The client's address is as asked, its port unknown; listener filters are taken to see what there is to be seen.
    Where nothing takes TLS of others, the client is taken for one of the mesh.
    """
    table, chains = ChainTable(), listener.chains
    for one in chains:
        if one.match != ChainMatch() or len(chains) == 1:
            table.add(one.match, one)
    found = _found(table, asked, local) or next((one for one in chains if one.match == ChainMatch()), None)
    if found is None:
        raise BadQuestion(f"listener {listener.name}: no filter chain takes the request: its connection is closed"
                          + _other_scheme(table, asked, local))
    if found.protocol != "http":
        where = f"filter chain {found.name} of listener {listener.name}" if found.name else f"listener {listener.name}"
        raise BadQuestion(f"{where}: it is of TCP: requests are not looked at")
    if found.tls is not None and asked.scheme == "http":
        raise BadQuestion(f"url: listener {listener.name} takes TLS here: expected https://{asked.authority}/...")
    return found


def _found(table: ChainTable, asked: Asked, local: str) -> Any:
    facts = _facts(asked, local)
    found = table.find(facts)
    if found is None and facts.transport_protocol == "tls":
        return table.find(attrs.evolve(facts, application_protocols=MESH_ALPN))
    return found


def _other_scheme(table: ChainTable, asked: Asked, local: str) -> str:
    other = attrs.evolve(asked, scheme="http" if asked.scheme == "https" else "https")
    return "" if _found(table, other, local) is None else f"; one would with {other.scheme}"


def _facts(asked: Asked, local: str) -> Facts:
    host, port = split_address(local)
    host = asked.host if host in WILDCARDS else host
    is_tls = asked.scheme == "https"
    return Facts(
        destination=host if _is_ip(host) else "", destination_port=port or asked.wanted_port,
        server_name=(asked.sni or asked.host) if is_tls else "", transport_protocol="tls" if is_tls else "raw_buffer",
        application_protocols=("http/1.1",), direct_source=asked.client, source=asked.client)


def _is_ip(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True


def _named(listeners: tuple[Any, ...], name: str) -> Any:
    for one in listeners:
        if one.name == name:
            return one
    known = ", ".join(sorted(one.name for one in listeners))
    raise BadQuestion(f"listener: {name!r}: unknown: expected one of {known}")


def _port(address: str) -> int | None:
    """Return the port; None of a unix socket. The kernel's text may have a port of 0, the configuration's never."""
    return None if address.startswith("unix:") else int(address.rpartition(":")[2])


def _list(listeners: tuple[Any, ...], addresses: dict[str, str]) -> str:
    return ", ".join(f"{_port(addresses[one.name])} ({one.name})" if _port(addresses[one.name]) is not None
                     else f"{addresses[one.name]} ({one.name})" for one in listeners)
