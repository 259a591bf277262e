"""Gateways and ListenerSets with their listeners: which are ours, which conflict, their conditions. Made by ``plan``.

Listeners of all Gateways that this node serves share its addresses. Two of one document that take the same are both
out; of two documents' listeners the first document's stays (a Gateway before its ListenerSets, else by ``mesh.order``).
"""

import attrs

from meshd_plugins.istio.gateway_api.condition import (
    ACCEPTED, OVERLAPPING, PROGRAMMED, RESOLVED, TRUE, UNKNOWN, Condition, bad, good,
)
from meshd_plugins.istio.gateway_api.listener import KINDS, Listener, overlap_of
from meshd_plugins.istio.mesh.name import overlap

ANY_ADDRESS = "0.0.0.0"


@attrs.define(eq=False)
class Owner:
    """A Gateway or ListenerSet of ours. ``fault`` is the reason and message why it is not accepted as a whole."""

    resource: object
    gateway: object
    controller: str
    is_here: bool
    listeners: list
    fault: tuple = ()
    conditions: dict = attrs.field(factory=dict)
    sets: list = attrs.field(factory=list)

    def set(self, condition):
        """Keep a condition."""
        self.conditions[condition.type] = condition


def addresses(gateway):
    """Return the addresses at which a Gateway listens."""
    asked = [one for one in gateway.spec.addresses if one.type == "IPAddress"]
    return tuple(one.value or ANY_ADDRESS for one in asked) or (ANY_ADDRESS,)


class Gateways:
    """The Gateways and ListenerSets that are ours; ``owners`` in their order, each Gateway before its sets."""

    def __init__(self, world):
        self._world = world
        self.owners = []
        self._taken = {}
        for gateway in world.gateways:
            controller = world.controller(gateway)
            if controller is not None:
                self._add(gateway, controller)
        self._by_resource = {id(one.resource): one for one in self.owners}
        for owner in self.owners:
            self._finish(owner)
            _find_overlaps(owner.listeners)
        for owner in self.owners:
            _summarize(owner)

    def of(self, resource):
        """Return the Owner of a Gateway or ListenerSet, or None where it is not ours."""
        return self._by_resource.get(id(resource))

    def here(self):
        """Yield the listeners that this node serves."""
        for owner in self.owners:
            yield from (one for one in owner.listeners if one.is_programmed)

    def _add(self, gateway, controller):
        is_here = self._world.serves(gateway)
        top = self._own(gateway, gateway, controller, is_here, _gateway_fault(gateway))
        for one in self._world.listener_sets:
            ref = one.spec.parent_ref
            if (ref.kind, ref.namespace or one.namespace, ref.name) != ("Gateway", gateway.namespace, gateway.name):
                continue
            takes = self._world.selects(gateway.spec.allowed_listeners.namespaces, gateway.namespace, one.namespace)
            fault = () if takes else ("NotAllowed", f"{gateway.title} takes no ListenerSets of {one.namespace}")
            fault = fault or (("ParentNotAccepted", top.fault[1]) if top.fault else ())
            made = self._own(one, gateway, controller, is_here, fault)
            if not fault:
                top.sets.append(made)

    def _own(self, resource, gateway, controller, is_here, fault):
        listeners = [Listener(resource, gateway, place, spec, is_here)
                     for place, spec in enumerate(resource.spec.listeners)]
        owner = Owner(resource, gateway, controller, is_here, listeners, fault)
        for one in listeners:
            one.judge(self._world)
        if not fault:
            self._keep_distinct(listeners, gateway, is_here)
        self.owners.append(owner)
        return owner

    def _keep_distinct(self, listeners, gateway, is_here):
        """Take out the listeners that conflict with each other or with those of earlier documents."""
        able = [one for one in listeners if one.spec.protocol in KINDS]
        clashes = []
        for one in able:
            others = [two for two in able if two is not one and two.spec.port == one.spec.port]
            others += [two for key in _keys(one, gateway, is_here) for two in self._taken.get(key, ())]
            found = next(((two, reason) for two in others if (reason := overlap_of(one, two))), None)
            if found is not None:
                clashes.append((one, *found))
        for one, two, reason in clashes:
            one.conflict(reason, f"port {one.spec.port} and the same hostname or another protocol: {two.title}")
        out = {id(one) for one, _, _ in clashes}
        for one in able:
            if id(one) not in out:
                for key in _keys(one, gateway, is_here):
                    self._taken.setdefault(key, []).append(one)

    def _finish(self, owner):
        for one in owner.listeners:
            one.finish(owner.fault[1] if owner.fault else "")


def _keys(listener, gateway, is_here):
    """Return what a listener takes: this node's addresses, or those of the Gateway's own nodes."""
    where = None if is_here else id(gateway)
    return [(where, address, listener.spec.port) for address in addresses(gateway)]


def _find_overlaps(listeners):
    """Mark listeners that end TLS on one port for hostnames that overlap: a connection of one may ask for the other."""
    ends = [one for one in listeners if one.spec.tls is not None and one.spec.tls.mode == "Terminate"]
    for one in ends:
        if any(two is not one and two.spec.port == one.spec.port and overlap(host_of(one), host_of(two)) is not None
               for two in ends):
            why = f"port {one.spec.port} has listeners of overlapping hostnames"
            one.conditions[OVERLAPPING] = Condition(OVERLAPPING, TRUE, "OverlappingHostnames", why)


def host_of(listener):
    """Return the hostname of a listener, ``*`` where it takes any."""
    return (listener.spec.hostname or "*").lower()


def _gateway_fault(gateway):
    infrastructure = gateway.spec.infrastructure
    if infrastructure is not None and infrastructure.parameters_ref is not None:
        ref = infrastructure.parameters_ref
        return "InvalidParameters", f"{ref.kind} {ref.name}: no parameters of this kind are known"
    other = next((one for one in gateway.spec.addresses if one.type != "IPAddress"), None)
    if other is not None:
        return "UnsupportedAddress", f"{other.type} {other.value}: expected an IPAddress"
    return ()


def _summarize(owner):
    """Set the conditions of a Gateway or ListenerSet from those of its listeners."""
    bad_ones = [one.spec.name for one in owner.listeners if not one.conditions[ACCEPTED].is_true]
    rest = len(owner.listeners) - len(bad_ones)
    text = f"not accepted: {', '.join(bad_ones)}" if bad_ones else ""
    if owner.fault:
        owner.set(bad(ACCEPTED, *owner.fault))
    elif not rest:
        owner.set(bad(ACCEPTED, "ListenersNotValid", text))
    else:
        owner.set(good(ACCEPTED, "ListenersNotValid" if bad_ones else "", text))
    owner.set(_programmed(owner))
    broken = [one.spec.name for one in owner.listeners if not one.conditions[RESOLVED].is_true]
    owner.set(bad(RESOLVED, "ListenersNotResolved", f"not resolved: {', '.join(broken)}") if broken else good(RESOLVED))


def _programmed(owner):
    accepted = owner.conditions[ACCEPTED]
    if not accepted.is_true:
        return bad(PROGRAMMED, "Invalid" if owner.fault else "ListenersNotValid"
                   if owner.resource is not owner.gateway else "Invalid", accepted.message)
    states = [one.conditions[PROGRAMMED] for one in owner.listeners]
    if any(one.is_true for one in states):
        return good(PROGRAMMED)
    if any(one.status == UNKNOWN for one in states):
        return Condition(PROGRAMMED, UNKNOWN, "Pending", "another node's to serve")
    return bad(PROGRAMMED, "Pending" if any(one.reason == "Pending" for one in states) else "Invalid",
               "; ".join(dict.fromkeys(one.message for one in states)))
