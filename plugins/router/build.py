"""Builds the router from its configuration, in slices; the runtime's construction drives the generator."""

import attrs

from meshd.api import Plan, Plugin, Timeouts
from meshd_plugins.router.answer import compile_direct_response, compile_redirect
from meshd_plugins.router.connect_config import connect_of
from meshd_plugins.router.domain import Domains
from meshd_plugins.router.edit import compile_edits, request_edit, response_edit
from meshd_plugins.router.explain import CatchAllRouter, ListRouter
from meshd_plugins.router.filter import Route
from meshd_plugins.router.match_config import whole
from meshd_plugins.router.matcher import compile_conditions
from meshd_plugins.router.recovery import calls_of, extra_of
from meshd_plugins.router.rewrite import compile_rewrite
from meshd_plugins.router.split import Split, alone_with
from meshd_plugins.router.substitution import Context
from meshd_plugins.router.table import build_table

DEFAULT_RETRY = Plugin(kind="retry_policy", type="retry", config=None, name="retry", where="default of native")


def build(config, site):
    """A generator that returns the filter of a Router configuration."""
    factory = RouteFactory(config, site)
    hosts, everything = Domains(), []
    for host in config.virtual_hosts:
        routes = []
        for route in host.routes:
            routes.append(factory.route(host, route))
            yield
        table = yield from build_table([whole(route.match) for route in host.routes], routes)
        for domain in host.domains:
            hosts.add(domain, table.find)
        everything += routes
    made = CatchAllRouter if takes_all(config.virtual_hosts) else ListRouter
    return made(hosts, tuple(everything), config)


def takes_all(virtual_hosts):
    """Say whether the very first route takes every path (what begins with ``/``) of every authority."""
    if len(virtual_hosts) != 1 or "*" not in virtual_hosts[0].domains or not virtual_hosts[0].routes:
        return False
    match = virtual_hosts[0].routes[0].match
    return match.prefix == "/" and compile_conditions(match) is None


def _overrides(options):
    """Return a dict of HTTP filter instance -> Plugin, or None where it is off."""
    named = {name: None if plugin.disabled else plugin for name, plugin in options.filters}
    return named | dict.fromkeys(options.disabled_filters)


class RouteFactory:
    """Makes the routes of one table; equal retry policies are built once."""

    def __init__(self, config, site):
        self._config = config
        self._site = site
        self._context = Context(site.environment, site.clock)
        self._policies = {}

    def route(self, host, route):
        """Return the built Route of ``route`` in ``host`` (both configurations)."""
        overrides = {**_overrides(host), **_overrides(route)}
        if route.redirect is not None or route.direct_response is not None:
            return Route(route.name, host.name, overrides, answer=self._answer(host, route))
        if not all(share.is_plain for share in route.weighted_clusters or ()):
            return Route(route.name, host.name, overrides, answer=self._split(host, route))
        return Route(route.name, host.name, overrides, plan=self._plan(host, route))

    def _answer(self, host, route, *first):
        """Return the callable of a redirect or direct response; ``first`` are edits that run before the route's."""
        status = route.redirect.response_code if route.redirect is not None else route.direct_response.status
        context = Context(self._site.environment, self._site.clock, {"RESPONSE_CODE": b"%d" % status})
        edits = (*first, route.response_headers, host.response_headers, self._config.response_headers)
        steps = compile_edits(edits, context)
        if route.redirect is not None:
            return compile_redirect(route.redirect, route.match, steps)
        return compile_direct_response(route.direct_response, steps, context)

    def _plan(self, host, route):
        table, context = self._config, self._context
        asking = compile_edits((route.request_headers, host.request_headers, table.request_headers), context)
        shares = route.weighted_clusters or ()
        alone = (shares[0].response_headers,) if len(shares) == 1 else ()
        answering = compile_edits(
            (*alone, route.response_headers, host.response_headers, table.response_headers), context)
        retry = self._retry(route.retry or host.retry or DEFAULT_RETRY)
        return Plan(
            clusters=self._clusters(route),
            timeouts=_timeouts(route),
            retry=retry,
            calls=calls_of(route, retry),
            asked_retry=self._asked_retry(route.retry or host.retry or DEFAULT_RETRY),
            extra=extra_of(table, host, route, self._site, context),
            on_request=request_edit(asking, compile_rewrite(route)),
            on_response=response_edit(answering),
            upgrades=tuple(name.lower().encode() for name in route.upgrades),
            connect=connect_of(route),
        )

    def _split(self, host, route):
        """Return the draw between what each share would be if it were the whole route."""
        rows, total = [], 0
        for share in route.weighted_clusters:
            if share.weight or len(route.weighted_clusters) == 1:
                total += share.weight or 1
                alone = alone_with(route, share)
                is_plan = share.name is not None
                rows.append((total, self._plan(host, alone), None) if is_plan else
                            (total, None, self._answer(host, alone, share.response_headers)))
        return Split(tuple(rows), self._site.random.random)

    def _clusters(self, route):
        if route.cluster is not None:
            return ((1, self._site.cluster(route.cluster), None, None),)
        shares = route.weighted_clusters
        if len(shares) == 1:
            shares = (attrs.evolve(shares[0], weight=1),)
        entries, total = [], 0
        for share in shares:
            if share.weight:
                total += share.weight
                asking = compile_edits((share.request_headers,), self._context)
                entries.append((total, self._site.cluster(share.name), request_edit(asking), None))
        return tuple(entries)

    def _retry(self, plugin):
        return None if plugin.disabled else self._policy(plugin)

    def _asked_retry(self, plugin):
        """Return the policy that requests which ask for retries start from; the default one where there are none."""
        policy = self._policy(DEFAULT_RETRY if plugin.disabled else plugin)
        return policy if hasattr(policy, "asked") else None

    def _policy(self, plugin):
        key = (plugin.type, repr(plugin.config))
        if key not in self._policies:
            self._policies[key] = self._site.build(plugin)
        return self._policies[key]


def _timeouts(route):
    """Return the route's timeouts; one of an attempt that is not below the whole's counts for nothing (C3)."""
    per_try_s = route.per_try_timeout_s
    if route.timeout_s and per_try_s >= route.timeout_s:
        per_try_s = 0.0
    return Timeouts(request_s=route.timeout_s, per_try_s=per_try_s, idle_s=route.idle_timeout_s)
