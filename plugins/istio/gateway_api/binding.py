"""Routes and their parents: which listeners take a route, for which hostnames, and why others do not."""

import attrs

from meshd_plugins.istio.gateway_api.backend import L7
from meshd_plugins.istio.gateway_api.condition import ACCEPTED, bad, good
from meshd_plugins.istio.mesh.name import overlap

ANY = "*"


@attrs.define(eq=False)
class Binding:
    """One reference of a route to a parent. ``listeners`` are those that took it; ``ports`` a Service's ports."""

    route: object
    ref: object
    place: int
    controller: str
    parent: object = None
    service: object = None
    listeners: list = attrs.field(factory=list)
    ports: tuple = ()
    conditions: dict = attrs.field(factory=dict)

    @property
    def is_accepted(self):
        """Say whether the parent takes the route."""
        return ACCEPTED in self.conditions and self.conditions[ACCEPTED].is_true

    @property
    def path(self):
        """Return the path of the reference in its document."""
        return f"spec.parentRefs[{self.place}]"

    def set(self, condition):
        """Keep a condition."""
        self.conditions[condition.type] = condition


def attach(binding, listeners, world):
    """Attach the route to those of a parent's ``listeners`` that take it, and say how it went."""
    ref, route = binding.ref, binding.route
    named = [one for one in listeners if (ref.section_name is None or one.spec.name == ref.section_name)
             and (ref.port is None or one.spec.port == ref.port)]
    if not named:
        binding.set(bad(ACCEPTED, "NoMatchingParent", f"{binding.parent.title} has no listener {_asked(ref)}"))
        return
    allowed = [one for one in named if route.kind.name in one.kinds
               and world.selects(one.spec.allowed_routes.namespaces, one.owner.namespace, route.namespace)]
    if not allowed:
        binding.set(bad(ACCEPTED, "NotAllowedByListeners", _not_allowed(named, route)))
        return
    found = [(one, hosts) for one in allowed if (hosts := hostnames(route, one))]
    if not found:
        asked = ", ".join(one.spec.hostname for one in allowed)
        binding.set(bad(ACCEPTED, "NoMatchingListenerHostname", f"no hostname of the route is one of {asked}"))
        return
    free = [(one, hosts) for one, hosts in found if _rival(route, one, hosts) is None]
    if not free:
        one, hosts = found[0]
        binding.set(bad(ACCEPTED, "HostnameConflict", f"{_rival(route, one, hosts).title} has the hostname already, "
                                                      "and HTTP and gRPC routes of one hostname are not merged"))
        return
    binding.set(good(ACCEPTED))
    for one, hosts in free:
        binding.listeners.append(one)
        one.routes.append((binding, hosts))


def _asked(ref):
    words = [f"named {ref.section_name!r}"] if ref.section_name is not None else []
    words += [f"on port {ref.port}"] if ref.port is not None else []
    return " ".join(words)


def _not_allowed(listeners, route):
    if not any(route.kind.name in one.kinds for one in listeners):
        return f"{listeners[0].title} takes {', '.join(listeners[0].kinds) or 'no kind of routes'}"
    return f"no listener takes routes of namespace {route.namespace}"


def hostnames(route, listener):
    """Return the hostnames for which a listener takes a route, without those that it does not share."""
    mine = (listener.spec.hostname or ANY).lower()
    theirs = getattr(route.spec, "hostnames", ()) or (ANY,)
    shared = [overlap(mine, one.lower()) for one in theirs]
    return tuple(dict.fromkeys(one for one in shared if one is not None))


def _rival(route, listener, hosts):
    """Return the route of the other kind that has one of ``hosts`` at this listener already, or None."""
    if route.kind.name not in L7:
        return None
    return next((binding.route for binding, taken in listener.routes if binding.route.kind.name != route.kind.name
                 and any(overlap(one, two) is not None for one in hosts for two in taken)), None)
