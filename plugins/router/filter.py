"""The terminal filter: finds the route and carries out its action. The exchange calls it for every request.

``filter.pxd`` types it for the compiled build.
"""

from zope.interface import classImplements

from meshd.api import CONTINUE, STOP, IRoute, ITerminalFilter, flag

SLASH = 47
"""The code of ``/``."""


class Route:
    """One route as built. Either ``plan`` (forward) or ``answer`` (a callable(exchange) that replies) is there."""

    __slots__ = ("name", "virtual_host", "overrides", "plan", "answer")

    def __init__(self, name, virtual_host, overrides, plan=None, answer=None):
        self.name = name
        self.virtual_host = virtual_host
        self.overrides = overrides
        self.plan = plan
        self.answer = answer

    def __repr__(self):
        return f"Route({self.name!r} of {self.virtual_host!r})"


class RouterFilter:
    """The route table of one chain: ``domains`` leads from an authority to the ``find`` of its routes."""

    __slots__ = ("routes", "_hosts", "_known", "__weakref__")

    def __init__(self, hosts, routes):
        """``hosts`` is a ``Domains`` of callables(request) -> Route or None; ``routes`` are all Routes, in order."""
        self.routes = routes
        self._hosts = hosts
        self._known = hosts.known

    def match(self, exchange):
        """Return the Route of the request as it is now, or None."""
        request = exchange.request
        find = self._known.get(request.host)
        if find is None:
            find = self._hosts.find(request.host)
            if find is None:
                return None
        return find(request)

    def on_request(self, exchange):
        """Forward, redirect or answer; 404 ``NR`` where no route matches."""
        route = exchange.route
        if route is None:
            exchange.reply(404, flag=flag.NR, detail="route_not_found")
            return STOP
        plan = route.plan
        if plan is not None:
            exchange.forward(plan)
            return CONTINUE
        route.answer(exchange)
        return STOP


class CatchAllFilter(RouterFilter):
    """The filter of a table whose first route takes every path of every authority: there is little to look up."""

    __slots__ = ("_first",)

    def __init__(self, hosts, routes):
        super().__init__(hosts, routes)
        self._first = routes[0]

    def match(self, exchange):
        """Return the first Route; a target that is no path (``*``) is looked up as in any table."""
        path = exchange.request.path
        if path and path[0] == SLASH:
            return self._first
        return RouterFilter.match(self, exchange)


classImplements(Route, IRoute)
classImplements(RouterFilter, ITerminalFilter)
