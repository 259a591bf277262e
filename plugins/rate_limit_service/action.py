"""Makes the descriptors of a request: each action a function of the exchange, compiled once (Envoy's router_ratelimit).

A function returns (key, value) as text, SKIP where its entry is left out, or None where the whole descriptor is.
"""

import ipaddress

from meshd.api import header_test

SKIP = ()
UNITS = {"second": 1, "minute": 2, "hour": 3, "day": 4, "month": 5, "year": 6, "week": 7}
"""Unit of a limit, in lower case -> its number (envoy.type.v3.RateLimitUnit)."""


class Entries(list):
    """The (key, value) of one descriptor; ``hits`` are 0 where the request's count, ``limit`` is (number, unit) or
    None.
    """

    __slots__ = ("hits", "limit")

    def __init__(self, hits=0, limit=None):
        super().__init__()
        self.hits = hits
        self.limit = limit


def compile_limits(limits, node):
    """Return a callable(exchange) -> list of descriptors, each a list of (key, value)."""
    rows = [(limit, [compile_action(action, node) for action in limit.actions]) for limit in limits]

    def describe(exchange):
        found = (descriptor_of(limit, steps, exchange) for limit, steps in rows)
        return [entries for entries in found if entries]

    return describe


def descriptor_of(limit, steps, exchange):
    """Return the entries of one descriptor, None where there is none."""
    entries = Entries(limit.hits_addend, override(limit.limit, exchange))
    for step in steps:
        entry = step(exchange)
        if entry is None:
            return None
        if entry:
            entries.append(entry)
    return entries


def override(where, exchange):
    """Return the (number, unit) that a plugin has noted as the limit, None where there is none that can be read."""
    found = None if where is None else noted(exchange, (where.key, *where.path))
    if not isinstance(found, dict):
        return None
    number, unit = found.get("requests_per_unit"), UNITS.get(str(found.get("unit", "")).lower())
    is_number = isinstance(number, int) and not isinstance(number, bool) and 0 <= number < 2**32
    return (number, unit) if is_number and unit else None


def noted(exchange, path):
    """Return what stands under ``path`` among the notes of plugins, or None."""
    found = exchange.metadata
    for key in path:
        found = found.get(key) if isinstance(found, dict) else None
    return found


def compile_action(action, node):
    """Return the function of one action."""
    if action.source_cluster is not None:
        return constant("source_cluster", service_cluster(node))
    if action.destination_cluster is not None:
        return destination
    if action.request_headers is not None:
        return field(action.request_headers)
    if action.remote_address is not None:
        return address
    if action.masked_remote_address is not None:
        return network(action.masked_remote_address)
    if action.generic_key is not None:
        return constant(action.generic_key.descriptor_key, action.generic_key.descriptor_value)
    if action.header_value_match is not None:
        return match(action.header_value_match)
    if action.query_parameter_value_match is not None:
        return query_match(action.query_parameter_value_match)
    return note(action.metadata)


def service_cluster(node):
    """Return what Istio gives Envoy as --service-cluster: the app and its namespace, else the proxy's id."""
    app = dict(node.labels).get("app")
    return f"{app}.{node.namespace}" if app else node.id


def constant(key, value):
    """Always the same entry."""
    entry = (key, value)
    return lambda exchange: entry


def destination(exchange):
    """The route's cluster, where it has but one."""
    plan = getattr(exchange.route, "plan", None)
    if plan is None or len(plan.clusters) != 1 or plan.clusters[0][1] is None:
        return None
    return ("destination_cluster", plan.clusters[0][1].name)


def field(options):
    """A field's value; several lines are joined."""
    name, key = options.header_name.lower().encode(), options.descriptor_key
    absent = SKIP if options.skip_if_absent else None

    def read(exchange):
        value = exchange.request.headers.joined(name)
        return absent if value is None else (key, value.decode("utf-8", "replace"))

    return read


def address(exchange):
    """The client's address; there is none behind a unix socket."""
    found = address_of(exchange.client)
    return None if found is None else ("remote_address", str(found))


def network(options):
    """The network of the client's address."""
    def read(exchange):
        found = address_of(exchange.client)
        if found is None:
            return None
        bits = options.v4_prefix_mask_len if found.version == 4 else options.v6_prefix_mask_len
        return ("masked_remote_address", str(ipaddress.ip_network((found, bits), strict=False)))

    return read


def address_of(text):
    """Return an IP address, or None."""
    try:
        return ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return None


def match(options):
    """A constant entry, where the fields match or do not, as wanted."""
    tests = tuple(map(header_test, options.headers))
    entry = (options.descriptor_key, options.descriptor_value)

    def judge(exchange):
        headers = exchange.request.headers
        return entry if all(test(headers) for test in tests) == options.expect_match else None

    return judge


def query_match(options):
    """A constant entry, where the query parameters match or do not, as wanted."""
    tests = tuple(map(parameter_test, options.query_parameters))
    entry = (options.descriptor_key, options.descriptor_value)

    def judge(exchange):
        known = {}
        for pair in (exchange.request.query or b"").split(b"&"):
            name, _, value = pair.partition(b"=")
            known.setdefault(name, value)
        return entry if all(test(known) for test in tests) == options.expect_match else None

    return judge


def parameter_test(options):
    """Return a callable(dict of name -> value) that says whether a parameter is as wanted."""
    name = options.name.encode()
    exact, prefix, suffix, part = (
        None if one is None else one.encode()
        for one in (options.exact, options.prefix, options.suffix, options.contains))

    def test(known):
        value = known.get(name)
        return (value is not None and (exact is None or value == exact) and value.startswith(prefix or b"")
                and value.endswith(suffix or b"") and (part or b"") in value)

    return test


def note(options):
    """A text among the notes of plugins."""
    path = (options.metadata_key.key, *options.metadata_key.path)
    absent = SKIP if options.skip_if_absent else None

    def read(exchange):
        found = noted(exchange, path)
        value = found if isinstance(found, str) and found else options.default_value
        return (options.descriptor_key, value) if value else absent

    return read
